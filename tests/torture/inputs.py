# SPDX-License-Identifier: Apache-2.0
"""
Images for tests/torture/bad-inputs.py that are too large for a fixture or that make-image cannot make: huge sparse files, long
chains, large lists, special files. Each function makes the files of a row in a directory, its first argument; the others are the
words after `call NAME`. Returns the path of the image.
"""
import base64
import os
import socket
import struct
import tempfile
import zlib

import support.names as names

MIB = 1 << 20
ELSEWHERE = []  # files outside of the directory, to be removed
AS_NOBODY = ("unreadable",)  # functions whose rows run as another user


class Skip(Exception):
    """The host cannot store such a file."""


def write(directory, data, name="image"):
    path = f"{directory}/{name}"
    with open(path, "wb") as file:
        file.write(data)
    return path


# Special files


def make_special(path, what):
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        os.mkdir(path)
    elif what == "link":
        os.symlink("/etc/passwd", path)
    else:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)


def special(directory, what):
    make_special(f"{directory}/image", what)
    return f"{directory}/image"


def device(_, path):
    return path


def missing(directory):
    return f"{directory}/image"


def dangling(directory):
    os.symlink("gone", f"{directory}/image")
    return f"{directory}/image"


def unreadable(directory):
    path = write(directory, bytes(512))
    os.chmod(path, 0)
    return path


# Sizes


def sparse(directory, size):
    """A hole of any size; in memory if the file system of the tests cannot store it."""
    for top in (directory, "/dev/shm"):
        handle, path = tempfile.mkstemp(dir=top)
        ELSEWHERE.append(path)
        try:
            os.truncate(handle, int(size))
            return path
        except OSError as e:
            why = e
        finally:
            os.close(handle)
    raise Skip(f"a file of {size} bytes: {why}")


# qcow2


def qcow2_header(cluster_bits, size, l1_size, l1_offset):
    return struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, cluster_bits, size, 0, l1_size, l1_offset, 0, 1, 0,
                       0, 0, 0, 0, 4, 104)


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -12)
    return packer.compress(data) + packer.flush()


def qcow2_bomb(directory, count, length=2 * MIB, sectors=None):
    """So many clusters of 2 MiB that share one compressed run. length: bytes that it expands to; sectors: of its L2 entry, besides
    the one in which it begins."""
    count = int(count)
    cluster = 2 * MIB
    run = deflate(bytes(int(length)))
    sectors = (len(run) + 511) // 512 if sectors is None else int(sectors)
    entry = 1 << 62 | sectors << (62 - 13) | 3 * cluster
    path = write(directory, qcow2_header(21, count * cluster, 1, cluster))
    with open(path, "r+b") as file:
        for offset, data in ((cluster, struct.pack(">Q", 2 * cluster)), (2 * cluster, struct.pack(">Q", entry) * count),
                             (3 * cluster, run)):
            file.seek(offset)
            file.write(data)
    return path


def qcow2_largest(directory):
    """An L1 table of 32 MiB that is a hole, and the largest disk that it maps."""
    path = write(directory, qcow2_header(21, min(4 * MIB << 39, (1 << 63) - (1 << 30)), 4 * MIB, 2 * MIB))
    os.truncate(path, 34 * MIB)
    return path


def qcow2_short(directory, name):
    """A file of 152 bytes with a backing file."""
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 72, len(name), 16, MIB, 0, 1, 1 << 16, 1 << 16, 1, 0, 0)
    return write(directory, (header + name.encode()).ljust(152, b"\0"))


def chain(directory, count, back_to=None):
    """So many images. Each has the next as its backing image; the last has none, or the one of that number."""
    for i in range(int(count)):
        backing = f"{i + 1}" if i + 1 < int(count) else back_to
        name = b"image" if backing == "0" else (backing or "").encode()
        header = bytearray(qcow2_header(9, MIB, 32, 512))
        struct.pack_into(">QI", header, 8, 136 if name else 0, len(name))
        extensions = names.extension(0xE2792ACA, b"qcow2") + bytes(8)
        write(directory, (header + extensions.ljust(32, b"\0") + name).ljust(768, b"\0"), f"{i}" if i else "image")
    return f"{directory}/image"


# VMDK


def vmdk_text(directory, *lines):
    """A descriptor of monolithicFlat with these lines, LINE*N stands for N of them."""
    text = b'# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    for line in lines:
        line, _, count = line.partition("*")
        text += (line.encode() + b"\n") * int(count or 1)
    return write(directory, text)


# DMG


def dmg_table(count):
    """A block table with so many chunks of a sector of zeros."""
    head = struct.pack(">4sIQQQII", b"mish", 1, 0, count, 0, 0, 0).ljust(200, b"\0") + struct.pack(">I", count + 1)
    chunks = b"".join(struct.pack(">IIQQQQ", 0, 0, i, 1, 0, 0) for i in range(count))
    return head + chunks + struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, count, 0, 0, 0)


def dmg_image(directory, plist, sectors):
    trailer = struct.pack(">4sII", b"koly", 4, 512).ljust(216, b"\0") + struct.pack(">QQ", 0, len(plist))
    trailer = trailer.ljust(492, b"\0") + struct.pack(">Q", sectors)
    return write(directory, plist + trailer.ljust(512, b"\0"))


def dmg_chunks(directory, count):
    """A property list of many MB."""
    plist = (b"<plist><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Data</key><data>" +
             base64.b64encode(dmg_table(int(count))) + b"</data></dict></array></dict></dict></plist>")
    return dmg_image(directory, plist, int(count))


def dmg_plist_length(directory, length):
    """A property list of so many bytes, most of them blanks."""
    return dmg_image(directory, b" " * int(length), 1)


# LUKS


def luks2_brackets(directory):
    """A JSON area of 4 MiB of opening brackets. Its checksum is wrong, and not checked."""
    size = 4 * MIB
    headers = b""
    for magic, offset in ((b"LUKS\xba\xbe", 0), (b"SKUL\xba\xbe", size)):
        head = struct.pack(">6sHQQ48s32s64s40s48sQ", magic, 2, size, 1, b"", b"sha256", b"", b"", b"", offset)
        headers += head.ljust(4096, b"\0") + b"[" * (size - 4096)
    return write(directory, headers)


# Guests


def boot_records(directory, count):
    """An MBR with an extended partition of so many boot records, each linked to the next."""
    count = int(count)
    disk = bytearray((count + 2) * 512)

    def entry(at, number, kind, start, sectors):
        struct.pack_into("<B3xB3xII", disk, at * 512 + 446 + 16 * number, 0, kind, start, sectors)
        disk[at * 512 + 510:at * 512 + 512] = b"\x55\xaa"

    entry(0, 0, 5, 1, count + 1)
    for i in range(1, count + 1):
        entry(i, 0, 0x83, 1, 1)
        if i < count:
            entry(i, 1, 5, i, 1)
    return write(directory, disk)


def fat(directory):
    """A FAT file system on the whole disk, whose boot sector ends as an MBR does."""
    disk = bytearray(MIB)
    struct.pack_into("<3s8sHBHBHHBHHHII", disk, 0, b"\xeb\x3c\x90", b"MSWIN4.1", 512, 4, 1, 2, 512, 2048, 0xF8, 2, 63,
                     255, 0, 0)
    disk[54:62] = b"FAT12   "
    disk[510:512] = b"\x55\xaa"
    return write(directory, disk)


# References


def qcow2_of_data(name):
    """The guest's first cluster is in a data file."""
    image = names.qcow2_image(None, None, name, 4)
    names.put(image, 3 << 16, struct.pack(">Q", 1 << 63 | 4 << 16))
    return image + struct.pack(">Q", 1 << 63).ljust(1 << 16, b"\0")


KINDS = {
    "backing": lambda name: names.qcow2_image(name, b"raw"),
    "data": qcow2_of_data,
    "extent": lambda name: names.vmdk_text(name, False, b'RW 2048 FLAT "%s" 0'),
    "qcow": names.qcow_image,
    "qed": names.qed_image,
}


def reference(directory, kind, name):
    """An image with a reference. The name may have escapes (\\xHH); NAME*N is padded to N bytes."""
    name, _, length = name.partition("*")
    name = name.encode("latin-1").decode("unicode_escape").encode("latin-1")
    return write(directory, KINDS[kind](name.ljust(int(length or 0), b"x")))


def reference_to(directory, kind, what):
    """An image with a reference to a special file in its directory."""
    make_special(f"{directory}/below", what)
    return write(directory, KINDS[kind](b"below"))
