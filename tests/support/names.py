# SPDX-License-Identifier: Apache-2.0
"""
Names of references and their states, the files around the image, and images that have these references.

A row has the state under follow=none, follow=beside and follow=under:TOP/under: N not-granted, R refused, M missing, G granted; one
triple for formats with Unix names and one for those with Windows names. The image is TOP/images/N.img.
"""
import os
import socket
import stat
import struct
import subprocess

MIB = 1 << 20
GOOD_BYTES = MIB
SECRET_BYTES = 7654400
# Output that only the secret files can cause: their sizes and contents.
SECRETS = [b"7654400", b"7654912", b"TOPSECRET", b"root:x:"]


class Row:
    def __init__(self, name, posix, windows=None, mounted=False):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.posix = posix
        self.windows = windows or posix
        self.mounted = mounted  # part of the sample for mounts


PROTOCOLS = [
    'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}', "json:{}",
    'json:{"file.filename":"good"}', "fat:/etc", "fat:rw:/etc", "fat:floppy:/etc", "nbd://localhost:1/x",
    "nbd:unix:/run/x", "nbd+unix:///x?socket=/run/x", "http://localhost:1/x", "https://localhost:1/x",
    "ftp://localhost:1/x", "ssh://localhost/etc/passwd", "iscsi://localhost/x/0", "rbd:pool/x", "gluster://localhost/v/x",
    "nfs://localhost/x", "blkdebug::good", "blkverify:good:good", "null-co://", "null-aio://", "vxhs://x/y",
    "host_device:/dev/zero", "file:/etc/passwd", "file:good", "fd:3", "sheepdog:x", "C:/good", "c:good", ":good",
]
# Absolute names that no policy grants.
ELSEWHERE = [
    "/etc/passwd", "//etc/passwd", "/etc//passwd", "/dev/zero", "/dev/sda", "/dev/null", "/dev/fd/3", "/dev/stdin",
    "/proc/self/environ", "/proc/self/fd/3", "/proc/self/fd/4", "/proc/self/mem", "/proc/self/maps",
    "/proc/self/cwd/images/good", "/proc/self/root/etc/passwd", "/proc/self/exe", "/proc/1/environ", "/sys/kernel/notes",
    "/", "/..", "{top}/secret", "{top}/images/good", "{top}/under-evil/secret", "{top}/under", "{top}/under/",
    "{top}/underx", "{top}/images/../under-evil/secret",
]


def rows(top):
    found = [
        # beside the image
        Row("good", "NGN", mounted=True), Row("./good", "NGN"), Row(".//sub///good", "NGN"), Row("sub/good", "NGN"),
        Row("sub/../good", "NGN"), Row("sub/a:b", "NGN"), Row("good/", "NMN"), Row("no-such-file", "NMN", mounted=True),
        Row("no-such-directory/x", "NMN"), Row("good/../good", "NMN"), Row("theirs", "NRN"),
        # outside of its directory
        Row("..", "NRN"), Row("../secret", "NRN", mounted=True), Row("./../secret", "NRN"),
        Row("sub/../../secret", "NRN"), Row("../images/good", "NRN"), Row("../no-such-secret", "NRN"),
        Row("../" * 30 + "etc/passwd", "NRN"), Row("../under/good", "NRG"),
        Row("../under/../secret", "NRR"), Row("../under-evil/secret", "NRN"),
        # below the granted directory
        Row("{top}/under/good", "NNG", "RRR", mounted=True), Row("{top}/under//sub/../good", "NNG", "RRR"),
        Row("{top}/under/no-such-file", "NNM", "RRR"), Row("{top}/under/../secret", "NNR", "RRR", mounted=True),
        Row("{top}/under/sub/../../secret", "NNR", "RRR"), Row("{top}/under/../under-evil/secret", "NNR", "RRR"),
        Row("{top}/under/../under/good", "NNR", "RRR"), Row("{top}/under/theirs", "NNR", "RRR"),
        # links
        Row("link-good", "NRN", mounted=True), Row("link-secret", "NRN", mounted=True), Row("link-nothing", "NRN"),
        Row("link-absolute", "NRN"), Row("link-chain", "NRN"), Row("link-loop", "NRN"), Row("link-out/secret", "NRN"),
        Row("link-out/images/good", "NRN"), Row("link-magic", "NRN"), Row("{top}/under/link-good", "NNR", "RRR"),
        Row("{top}/under/link-secret", "NNR", "RRR"), Row("{top}/under/link-absolute", "NNR", "RRR"),
        Row("{top}/under/link-chain", "NNR", "RRR"), Row("{top}/under/link-out/secret", "NNR", "RRR"),
        # other than regular files
        Row("fifo", "NRN", mounted=True), Row("socket", "NRN"), Row("zero", "NRN"), Row("block", "NRN"),
        Row("sub", "NRN"), Row("sub/", "NRN"), Row(".", "NRN"), Row("{top}/under/fifo", "NNR", "RRR"),
        Row("{top}/under/socket", "NNR", "RRR"), Row("{top}/under/zero", "NNR", "RRR"),
        Row("{top}/under/sub", "NNR", "RRR"), Row("{self}", "NRN", mounted=True),
        # odd bytes
        Row(b"go\x1b[2Jod", "NMN"), Row(b"go\nod", "NMN"), Row(b"\xff\xfe", "NMN"), Row("\u202edoog", "NMN"),
        Row(b"good\0/../../secret", "RRR"), Row("%s%n%x", "NMN"), Row("$(touch x)", "NMN"), Row("good;id", "NMN"),
        Row("-o", "NMN"), Row("~root/x", "NMN"), Row("*", "NMN"), Row(" good", "NMN"), Row("good ", "NMN"),
        # Windows
        Row("sub\\good", "NMN", "NGN"), Row(".\\good", "NMN", "NGN"), Row("..\\secret", "NMN", "NRN"),
        Row("sub\\..\\..\\secret", "NMN", "NRN"), Row("\\\\server\\share\\x", "NMN", "RRR"), Row("C:\\good", "RRR"),
        Row("\\good", "NMN", "RRR"),
        # lengths
        Row("", "RRR"), Row("./" * 509 + "/good", "NGN"),
        Row("x" * 1023, "NMN"), Row("x" * 1024, "RRR"),
    ]
    found += [Row(name, "RRR", mounted=i in (0, 6)) for i, name in enumerate(PROTOCOLS)]
    found += [Row(name, "NNN", "RRR", mounted=i in (0, 8)) for i, name in enumerate(ELSEWHERE)]
    for row in found:
        row.name = row.name.replace(b"{top}", os.fsencode(top))
    return found


# Files


def write_disk(path, size, label="GOOD"):
    """A disk with the volume descriptors of an ISO 9660 file system, and nothing else."""
    with open(path, "wb") as file:
        file.truncate(size)
        for at, kind in ((32768, 1), (34816, 255)):
            file.seek(at)
            file.write(bytes([kind]) + b"CD001\x01\0" + b"LINUX".ljust(32) + label.encode().ljust(32))
        file.seek(32768 + 80)
        file.write(struct.pack("<I", size // 2048) + struct.pack(">I", size // 2048))


def write_secret(path):
    write_disk(path, SECRET_BYTES, "TOPSECRET")


def make_links(directory, top):
    for name, target in (("good", "good"), ("secret", "../secret"), ("nothing", "../no-such-secret"),
                         ("absolute", f"{top}/secret"), ("chain", "link-chain-2"), ("chain-2", "link-secret"),
                         ("loop", "link-loop"), ("out", ".."), ("magic", "/proc/self/environ")):
        os.symlink(target, f"{directory}/link-{name}")


def make_others(directory):
    """Special files, and a file of another user."""
    os.mkfifo(f"{directory}/fifo")
    os.mknod(f"{directory}/zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(f"{directory}/block", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{directory}/socket")
    write_secret(f"{directory}/theirs")
    os.chown(f"{directory}/theirs", 4242, 4242)


def make_tree(top, build):
    os.chmod(top, 0o755)
    for name in ("images", "images/sub", "under", "under/sub", "under-evil", "out"):
        os.mkdir(f"{top}/{name}")
    for name in granted_files(top):
        write_disk(name, GOOD_BYTES)
    for name in ("secret", "under-evil/secret"):
        write_secret(f"{top}/{name}")
    for name in ("images", "under"):
        make_links(f"{top}/{name}", top)
        make_others(f"{top}/{name}")
    VHD.append(make_vhd(top, build))


def named_file(top):
    """The file of ref=."""
    return os.fsencode(top) + b"/named"


def granted_files(top):
    return [os.fsencode(top) + b"/" + name for name in (b"images/good", b"images/sub/good", b"images/sub/a:b",
                                                        b"under/good", b"named")]


# Images


def put(image, offset, data):
    image[offset:offset + len(data)] = data


def extension(number, data):
    return struct.pack(">II", number, len(data)) + data + bytes(-len(data) % 8)


def qcow2_image(backing, backing_format, data_file=None, features=0):
    """A qcow2 image of 1 MiB of holes."""
    if backing is not None and not 0 < len(backing) < 1024:
        return None
    image = bytearray(4 << 16)
    extensions = b""
    if backing_format:
        extensions += extension(0xE2792ACA, backing_format)
    if data_file:
        extensions += extension(0x44415441, data_file)
    extensions += bytes(8)
    at = 104 + len(extensions)
    put(image, 0, struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, at if backing else 0, len(backing or b""), 16, MIB,
                              0, 1, 3 << 16, 1 << 16, 1, 0, 0, features, 0, 0, 4, 104))
    put(image, 104, extensions)
    put(image, at, backing or b"")
    put(image, 1 << 16, struct.pack(">Q", 2 << 16))
    for cluster in range(4):
        put(image, (2 << 16) + 2 * cluster, struct.pack(">H", 1))
    return image


def qcow_image(backing):
    if not 0 < len(backing) < 1024:
        return None
    image = bytearray(8192)
    put(image, 0, struct.pack(">4sIQIIQBBHIQ", b"QFI\xfb", 1, 48, len(backing), 0, MIB, 12, 9, 0, 0, 4096))
    put(image, 48, backing)
    return image


def qed_image(backing):
    if not 0 < len(backing) < 1024:
        return None
    image = bytearray(3 << 16)
    put(image, 0, struct.pack("<4sIIIQQQQQII", b"QED\0", 1 << 16, 1, 1, 5, 0, 0, 1 << 16, MIB, 64 + 8, len(backing)))
    put(image, 72, backing)
    return image


def vmdk_text(name, parent, lines):
    """A descriptor; None for names that its grammar does not allow."""
    if not name or len(name) > 511 or any(c in name for c in (b'"', b"\n", b"\0")):
        return None
    text = b"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=" + (b"87654321" if parent else b"ffffffff")
    return text + b'\ncreateType="monolithicFlat"\n' + lines % name + b"\n"


VHD = []  # a differencing VHD, whose parent's name is then replaced


def make_vhd(top, build):
    path = f"{top}/base.vhd"
    subprocess.run([f"{build}/make-image", "vhd", path, "kind=differencing", "size=2M", "block_size=512K", "parent=x"],
                   check=True)
    with open(path, "rb") as file:
        return file.read()


def vhd_image(name):
    try:
        encoded = name.decode("utf-8").encode("utf-16-be")
    except UnicodeDecodeError:
        return None
    if len(encoded) > 510:
        return None
    image = bytearray(VHD[0])
    put(image, 512 + 64, encoded.ljust(512, b"\0"))
    put(image, 512 + 36, bytes(4))
    put(image, 512 + 36, struct.pack(">I", ~sum(image[512:1536]) & 0xFFFFFFFF))
    return image


class Kind:
    """A field of a format that names a file."""

    def __init__(self, name, make, granted="granted", shows_content=False, is_windows=False, every=2):
        self.name = name
        self.make = make
        self.granted = granted  # state of a granted file; the good one is a raw image, which is unfit for some kinds
        self.shows_content = shows_content
        self.is_windows = is_windows
        self.every = every  # one name in so many is used


KINDS = [
    Kind("qcow2 backing file", lambda name: qcow2_image(name, b"raw"), shows_content=True, every=1),
    Kind("qcow2 data file", lambda name: qcow2_image(None, None, name, 4)),
    Kind("vmdk extent", lambda name: vmdk_text(name, False, b'RW 2048 FLAT "%s" 0'), shows_content=True),
    Kind("vmdk parent", lambda name: vmdk_text(name, True, b'parentFileNameHint="%s"\nRW 2048 ZERO'), granted="unfit"),
    Kind("vhd parent", vhd_image, granted="unfit", is_windows=True),
    Kind("qcow backing file", qcow_image, shows_content=True, every=5),
    Kind("qed backing file", qed_image, shows_content=True, every=5),
]
