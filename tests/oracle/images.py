# SPDX-License-Identifier: Apache-2.0
"""Random images, made with qemu-img and qemu-io; raw ones also with system calls on the file.

All choices come from one random.Random: a seed and an index always yield the same commands.
"""

import ctypes
import json
import os
import shlex
import subprocess

import oracle.parallels
import oracle.vdi
import oracle.dmg
import oracle.vmdk
import oracle.bochs
import oracle.luks

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECTOR = 512

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class MakeError(Exception):
    """qemu has not made the image."""


class Spoilt(Exception):
    """qemu-io has damaged its own image, which is read as it is, and no longer written."""


class Image:
    """An image in the making: its path, the commands so far, and its parameters."""

    def __init__(self, rng, directory, kind):
        self.rng = rng
        self.directory = directory
        self.kind = kind
        self.format = kind.split("-")[0]
        self.path = os.path.join(directory, "image." + self.format)
        self.through = None  # qemu reads the image through this file
        self.commands = []
        self.size = 0
        self.units = [64 * KIB]  # sizes of clusters, blocks, tables: offsets are often beside their edges
        self.option_sets = [()]  # options of instar-cat; each set is compared
        self.compare = None  # a function, if not that for an image of one file
        self.used = []  # ranges that compressed writes must not touch

    def run(self, *args):
        args = [str(a) for a in args]
        self.commands.append(shlex.join(args))
        # qemu resolves the name of a data file from its working directory.
        done = subprocess.run(args, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, text=True, errors="replace")
        if "Marking image as corrupt" in done.stdout:
            # qemu 7.2 sometimes appends a compressed cluster to a host cluster that was freed and has become a table.
            self.commands.append("# here qemu-io damages the image; it is compared as it is")
            raise Spoilt
        if done.returncode:
            raise MakeError(f"{shlex.join(args)}: exit code {done.returncode}: {done.stdout.strip()}")

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, *values):
        return self.rng.choice(values)

    def create(self, options):
        text = ",".join(f"{key}={value}" for key, value in options.items())
        self.run("qemu-img", "create", "-q", "-f", self.format, *(["-o", text] if text else []),
                 self.path, self.size)

    def io(self, commands):
        if commands:
            batch = [word for command in commands for word in ("-c", command)]
            self.run("qemu-io", "-f", self.format, *batch, self.path)


def random_size(image, largest, smallest=SECTOR):
    """A disk size in whole sectors, up to the largest; also beside multiples of units."""
    rng = image.rng
    top = min(largest, image.pick(4 * KIB, MIB, 16 * MIB, 64 * MIB, 64 * MIB, GIB, largest))
    if top <= smallest:
        top = largest
    size = rng.randint(smallest // SECTOR, top // SECTOR) * SECTOR
    if image.chance(0.3):
        unit = rng.choice(image.units)
        size = max(1, size // unit) * unit + rng.choice((-SECTOR, 0, 0, SECTOR))
    return min(max(size, smallest), largest)


def random_range(image, align=SECTOR, longest=MIB):
    """A range (offset, length) on the disk, mostly at an edge of a unit."""
    rng, size = image.rng, image.size
    unit = rng.choice(image.units)
    length = rng.choice((align, rng.randint(1, 64) * align, unit, unit - align, unit + align,
                         rng.randint(1, 4) * unit, rng.randint(1, max(1, min(unit, longest) // align)) * align))
    length = min(max(align, length // align * align), longest, size)
    edge = rng.randint(0, size // unit) * unit
    offset = rng.choice((rng.randint(0, size), rng.randint(0, size), edge, edge - length, edge - align,
                         edge + align, 0, size - length, size - unit, size - align))
    if image.used and image.chance(0.3):  # beside an earlier write
        start, end = rng.choice(image.used)
        offset = rng.choice((start - length, end))
    offset = max(0, min(offset, size - 1)) // align * align
    return offset, min(length, size - offset)


def overlaps(ranges, offset, length):
    return any(offset < end and start < offset + length for start, end in ranges)


def random_writes(image, most, compressed=0, zeroes=("-z", "-zu")):
    """qemu-io commands: data, zeros, discards, and compressed clusters of that size in unused ranges."""
    commands = []
    if image.size < SECTOR:
        return commands
    for _ in range(image.rng.randint(0, most)):
        offset, length = random_range(image)
        kind = image.pick("data", "data", "data", "data", "zero", "zero", "discard", "compressed")
        if kind == "compressed" and compressed:
            offset = offset // compressed * compressed
            length = min(compressed, image.size - offset)
            if overlaps(image.used, offset, length):
                continue
            commands.append(f"write -c -P {image.rng.randint(1, 255)} {offset} {length}")
        elif kind == "zero" and zeroes:
            commands.append(f"write {image.rng.choice(zeroes)} {offset} {length}")
        elif kind == "discard":
            commands.append(f"discard {offset} {length}")
        else:
            commands.append(f"write -P {image.rng.randint(1, 255)} {offset} {length}")
        unit = compressed or SECTOR
        image.used.append((offset // unit * unit, -(-(offset + length) // unit) * unit))
    return commands


def host_write(image, fd, offset, length):
    """Writes to the file itself: a repeated byte, or incompressible bytes."""
    value = image.rng.randint(0, 255)
    noise = length <= 256 * KIB and image.chance(0.3)
    os.pwrite(fd, image.rng.randbytes(length) if noise else bytes([value]) * length, offset)
    image.commands.append(f"# pwrite {'noise' if noise else value} offset {offset} length {length}")


def host_fallocate(image, fd, mode, offset, length):
    if fallocate(fd, mode, offset, length):
        raise MakeError(f"fallocate {mode}: {os.strerror(ctypes.get_errno())}")
    option = {PUNCH_HOLE | KEEP_SIZE: "-p ", ZERO_RANGE | KEEP_SIZE: "-z -n ", KEEP_SIZE: "-n "}.get(mode, "")
    image.commands.append(f"fallocate {option}-o {offset} -l {length} {shlex.quote(image.path)}")


def write_raw(image, most):
    """Makes data, holes, unwritten extents and an odd end in the file itself, without changing its size."""
    fd = os.open(image.path, os.O_RDWR | os.O_CREAT, 0o644)
    image.commands.append(f"truncate -s {image.size} {shlex.quote(image.path)}")
    try:
        os.ftruncate(fd, image.size)
        for _ in range(image.rng.randint(0, most) if image.size else 0):
            offset, length = random_range(image, image.pick(1, SECTOR, 4 * KIB))
            kind = image.pick("data", "data", "data", "punch", "zero", "allocate", "sync")
            if kind == "data":
                host_write(image, fd, offset, length)
            elif kind == "punch":
                host_fallocate(image, fd, PUNCH_HOLE | KEEP_SIZE, offset, length)
            elif kind == "zero":
                host_fallocate(image, fd, ZERO_RANGE | KEEP_SIZE, offset, length)
            elif kind == "allocate":
                host_fallocate(image, fd, KEEP_SIZE, offset, length + image.pick(0, 0, MIB))
            else:
                os.fsync(fd)
        if image.size and image.chance(0.3):
            offset = image.rng.randint(0, image.size - 1)
            offset = max(offset, image.size - MIB)
            host_fallocate(image, fd, 0, offset, image.size - offset)
    finally:
        os.close(fd)


def make_raw(image):
    image.units = [4 * KIB, 64 * KIB, MIB]
    image.size = 0 if image.chance(0.05) else random_size(image, 8 * GIB, 1)
    if image.chance(0.2) and image.size:
        image.size = min(image.size, 64 * MIB)
        image.create({"preallocation": image.pick("off", "falloc", "full")})
        image.io(random_writes(image, 12))
        return
    if image.chance(0.5):
        image.size += image.rng.randint(0, 511)
    write_raw(image, 16)


def qcow2_options(image):
    """Options of create and convert. Sets the units of the image."""
    cluster = image.pick(512, KIB, 2 * KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 64 * KIB, 64 * KIB,
                         128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB)
    options = {"cluster_size": cluster}
    entry = 8
    if image.chance(0.25):
        options["compat"] = "0.10"
    else:
        options["compat"] = "1.1"
        options["refcount_bits"] = image.pick(1, 2, 4, 8, 16, 16, 16, 32, 64)
        if cluster >= 16 * KIB and image.chance(0.4):
            options["extended_l2"] = "on"
            entry = 16
        if image.chance(0.2):
            options["lazy_refcounts"] = "on"
        if image.chance(0.3):
            options["compression_type"] = image.pick("zlib", "zstd")
    image.units = [cluster, cluster, cluster * (cluster // entry)]
    if entry == 16:
        image.units.append(cluster // 32)
    return options


def qcow2_preallocate(image, options):
    """Preallocates if that stays small; there are no compressed writes then."""
    kind = image.pick("off", "off", "off", "metadata", "metadata", "falloc", "full")
    if kind == "off":
        return
    largest = {"metadata": min(4 * GIB, options["cluster_size"] << 15), "falloc": 64 * MIB, "full": 4 * MIB}[kind]
    image.size = min(image.size, largest)
    options["preallocation"] = kind
    image.used.append((0, image.size + GIB))


def qcow2_bitmap(image, number):
    name = "b%d%s" % (number, "x" * image.pick(0, 0, 5, 30, 200))
    granularity = SECTOR << image.rng.randint(0, 14)
    if image.size // granularity > 8 << 20:  # bits: qemu keeps them all in memory
        granularity = 64 * KIB
    image.run("qemu-img", "bitmap", "--add", *(["--disable"] if image.chance(0.4) else []), "-g", granularity,
              "-f", "qcow2", image.path, name)


def qcow2_resize(image):
    old = image.size
    if image.units[0] < 4 * KIB and old > 16 * MIB:
        return  # shrinking by many clusters takes qemu minutes
    image.size = random_size(image, min(8 * GIB, image.units[0] << 24))
    shrink = ["--shrink"] if image.size < old else []
    image.run("qemu-img", "resize", "-q", "-f", "qcow2", *shrink, image.path, image.size)


def qcow2_punch(image, cluster):
    """Punches holes in data clusters of the file up to the point from which qemu looks for holes of the file, or just before.

    qemu does so if the file has a tenth more clusters, and at least two more, than it occupies.
    """
    ranges = json.loads(subprocess.run(["qemu-img", "map", "-f", "qcow2", "--output=json", image.path], check=True,
                                       stdout=subprocess.PIPE).stdout)
    places = [at // cluster * cluster for r in ranges if r["data"] and "offset" in r and not r["depth"]
              for at in range(r["offset"], r["offset"] + min(r["length"], 64 * cluster), cluster)]
    image.rng.shuffle(places)
    surplus = image.rng.randint(-1, 1)
    fd = os.open(image.path, os.O_RDWR)
    try:
        os.fsync(fd)
        for place in places[:100]:
            st = os.fstat(fd)
            occupied = st.st_blocks * 512 // cluster
            if -(-st.st_size // cluster) - max(occupied * 10 // 9, occupied + 2) >= surplus:
                break
            host_fallocate(image, fd, PUNCH_HOLE | KEEP_SIZE, place, cluster)
    finally:
        os.close(fd)


def make_qcow2(image):
    options = qcow2_options(image)
    image.size = 0 if image.chance(0.03) else random_size(image, min(8 * GIB, options["cluster_size"] << 24))
    qcow2_preallocate(image, options)
    image.create(options)
    version3 = options["compat"] == "1.1"
    snapshots = version3 and image.chance(0.3) and options["refcount_bits"] >= 8 or \
        not version3 and image.chance(0.3)
    bitmaps = image.rng.randint(1, 3) if version3 and image.size and image.chance(0.3) else 0
    for step in range(image.rng.randint(1, 3)):
        image.io(random_writes(image, 20, options["cluster_size"]))
        if step < bitmaps:
            qcow2_bitmap(image, step)
        if snapshots:
            image.run("qemu-img", "snapshot", "-c", f"snapshot {step}", image.path)
        elif image.chance(0.2) and image.size:
            qcow2_resize(image)
            image.used.append((0, image.size + GIB))  # clusters that were cut off may become zeros
    if options["cluster_size"] in (4 * KIB, 8 * KIB, 64 * KIB) and image.chance(0.7):
        qcow2_punch(image, options["cluster_size"])


def make_source(image, largest):
    """Makes a disk to convert from, raw or qcow2, with noise, patterns, zeros and holes. Returns the Image."""
    source = Image(image.rng, image.directory, image.pick("raw", "raw", "qcow2"))
    source.path = os.path.join(image.directory, "source." + source.format)
    source.commands = image.commands
    source.units = image.units
    source.size = image.size = random_size(image, largest)
    if source.format == "raw":
        write_raw(source, 16)
    else:
        source.create({"cluster_size": image.pick(4 * KIB, 64 * KIB)})
        source.io(random_writes(source, 16))
    return source


def convert(image, source, options, *flags):
    text = ",".join(f"{key}={value}" for key, value in options.items())
    image.run("qemu-img", "convert", *flags, "-f", source.format, "-O", image.format,
              *(["-o", text] if text else []), source.path, image.path)
    os.unlink(source.path)


def make_qcow2_convert(image):
    options = qcow2_options(image)
    source = make_source(image, min(GIB, options["cluster_size"] << 20))
    flags = ["-c"] if image.chance(0.6) else []
    flags += image.pick([], [], ["-S", "64k"])
    convert(image, source, options, *flags)
    image.used.append((0, image.size))
    if image.chance(0.5):
        image.io(random_writes(image, 10))
    if options["cluster_size"] in (4 * KIB, 8 * KIB, 64 * KIB) and image.chance(0.7):
        qcow2_punch(image, options["cluster_size"])


def make_vmdk(image):
    image.units = [64 * KIB, 64 * KIB, 32 * MIB]
    options = {"subformat": "monolithicSparse"}
    if image.chance(0.4):
        options["zeroed_grain"] = "on"
    if image.chance(0.4):
        options["adapter_type"] = image.pick("ide", "lsilogic", "buslogic", "legacyESX")
    if image.chance(0.2):
        options["compat6"] = "on"
    if image.chance(0.2):
        convert(image, make_source(image, GIB), options)
    else:
        image.size = random_size(image, 8 * GIB)
        image.create(options)
    image.io(random_writes(image, 16))


def make_vmdk_stream(image):
    image.units = [64 * KIB, 64 * KIB, 32 * MIB]
    convert(image, make_source(image, 2 * GIB), {"subformat": "streamOptimized"})


def chs_size(image):
    """A size that a VHD geometry has exactly, or a sector more or less."""
    heads, per_track = image.pick((4, 17), (16, 17), (8, 17), (16, 31), (16, 63))
    cylinders = image.rng.randint(1, 2000)
    sectors = cylinders * heads * per_track + image.rng.randint(-1, 1)
    return max(1, sectors) * SECTOR


OLDER_QEMU = ("-o", "qemu=7.2")
DISPUTED_CREATORS = (b"vbox", b"wa\0\0", b"vs  ", bytes(4))


def vpc_footer(image, fixed):
    """Gives the footer another creator, and a current size some sectors below that of the geometry.

    Since 10.0 qemu treats some creators differently: their images are compared with the older rule only.
    """
    creator = image.pick(b"vpc ", b"qemu", b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS", *DISPUTED_CREATORS)
    if creator in DISPUTED_CREATORS:
        image.option_sets = [OLDER_QEMU]
    with open(image.path, "r+b") as file:
        end = file.seek(-SECTOR, os.SEEK_END)
        footer = bytearray(file.read(SECTOR))
        size = int.from_bytes(footer[48:56], "big") // SECTOR
        size = max(1, size - image.rng.randint(0, 300)) * SECTOR
        footer[28:32] = creator
        footer[48:56] = size.to_bytes(8, "big")
        footer[64:68] = bytes(4)
        footer[64:68] = (~sum(footer) & 0xffffffff).to_bytes(4, "big")
        for at in [end] if fixed else [0, end]:
            file.seek(at)
            file.write(footer)
    image.commands.append(f"# footer: creator {creator!r}, current size {size}")


def make_vpc(image, fixed):
    image.units = [2 * MIB, 2 * MIB, 4 * KIB]
    image.option_sets = [(), OLDER_QEMU]
    options = {"subformat": "fixed" if fixed else "dynamic"}
    if image.chance(0.5):
        options["force_size"] = "on"
    if image.chance(0.25):
        convert(image, make_source(image, GIB), options)
    else:
        image.size = chs_size(image) if image.chance(0.4) else random_size(image, 8 * GIB)
        if image.chance(0.05):  # at and above the largest geometry
            image.size = (65535 * 16 * 255 + image.rng.randint(-2, 2)) * SECTOR
        if fixed and image.size <= 16 * MIB and image.chance(0.2):
            options["preallocation"] = image.pick("falloc", "full")
        image.create(options)
    image.io(random_writes(image, 16))
    if image.chance(0.3):
        vpc_footer(image, fixed)


def make_vhdx(image):
    image.option_sets = [(), OLDER_QEMU]
    options = {"block_size": image.pick(0, 0, 1, 1, 2, 8, 32, 256) * MIB}
    image.units = [options["block_size"] or 8 * MIB, MIB]
    if image.chance(0.3):
        options["log_size"] = image.pick(1, 2, 16) * MIB
    if image.chance(0.3):
        options["block_state_zero"] = image.pick("on", "off")
    if image.chance(0.25):
        options["subformat"] = "fixed"
        image.size = random_size(image, 256 * MIB)
    elif image.chance(0.3):  # beyond the first chunk: bitmap entries in the BAT
        options["block_size"] = MIB
        image.size = random_size(image, 16 * GIB, 4 * GIB)
    else:
        image.size = random_size(image, 8 * GIB)
    if image.chance(0.2):
        options.pop("block_state_zero", None)  # it must be on to convert to a dynamic image
        convert(image, make_source(image, 256 * MIB), options)
    else:
        image.create(options)
    image.io(random_writes(image, 12))


import oracle.qcow  # these use the functions above
import oracle.qed
import oracle.parts
import oracle.chains

KINDS = {
    "raw": make_raw,
    "qcow2": make_qcow2,
    "vmdk-sparse": make_vmdk,
    "qcow2-convert": make_qcow2_convert,
    "vmdk-stream": make_vmdk_stream,
    "vpc-dynamic": lambda image: make_vpc(image, False),
    "qcow2-more": make_qcow2,
    "vpc-fixed": lambda image: make_vpc(image, True),
    "vhdx": make_vhdx,
    "qcow": oracle.qcow.make_qcow,
    "qed": oracle.qed.make_qed,
    "vdi": oracle.vdi.make,
    "parallels": oracle.parallels.make,
    "dmg": oracle.dmg.make,
    "vmdk-cowd": oracle.vmdk.make_cowd,
    "vmdk-sesparse": oracle.vmdk.make_sesparse,
    "luks": lambda image: oracle.luks.make(image, random_size, random_range),
    "bochs": oracle.bochs.make,
    "chain": oracle.chains.make,
}


KINDS |= oracle.parts.KINDS


def make(image):
    try:
        KINDS[image.kind](image)
    except Spoilt:
        pass


def kind_of(index):
    return list(KINDS)[index % len(KINDS)]
