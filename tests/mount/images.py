# SPDX-License-Identifier: Apache-2.0
"""Images for the mount tests: small ones by qemu-img, damaged and slow ones by hand."""
import os
import struct

from mount.harness import Place, good

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS

# qcow2 header: field, offset, bytes (docs/interop/qcow2.txt)
QCOW2_FIELDS = [
    ("version", 4, 4), ("backing_file_offset", 8, 8), ("backing_file_size", 16, 4), ("cluster_bits", 20, 4),
    ("size", 24, 8), ("crypt_method", 32, 4), ("l1_size", 36, 4), ("l1_table_offset", 40, 8),
    ("refcount_table_offset", 48, 8), ("refcount_table_clusters", 56, 4), ("nb_snapshots", 60, 4),
    ("snapshots_offset", 64, 8), ("incompatible_features", 72, 8), ("compatible_features", 80, 8),
    ("autoclear_features", 88, 8), ("refcount_order", 96, 4), ("header_length", 100, 4), ("compression_type", 104, 1),
]


def create(kind, size="64M", options="", name=None):
    path = Place.new(name or f"{kind}.img")
    good("qemu-img", "create", "-q", "-f", kind, *(["-o", options] if options else []), path, size)
    return path


def raw(pieces=((0, 4096), (1 << 20, 65536)), size=8 << 20, name="raw.img"):
    """A sparse raw image with data at these (offset, length)."""
    path = Place.new(name)
    with open(path, "wb") as file:
        for offset, length in pieces:
            file.seek(offset)
            file.write(b"\x5a" * length)
        file.truncate(size)
    return path


def fixed_vhd(name="disk.vhd"):
    """A fixed VHD with some data: format, subformat and allocated_size are not trivial."""
    path = create("vpc", options="subformat=fixed,force_size=on", name=name)
    with open(path, "r+b") as file:
        file.seek(5 << 20)
        file.write(b"\x5a" * (1 << 20))
    return path


def qcow2(name="disk.qcow2"):
    """A qcow2 image with data in it."""
    source = raw()
    path = Place.new(name)
    good("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", source, path)
    os.unlink(source)
    return path


def overlay(backing, name="overlay.qcow2"):
    """A qcow2 image with a backing file that need not exist."""
    path = Place.new(name)
    good("qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", backing, "-F", "raw", path, "64M")
    return path


EXTENDED_L2 = 1 << 4  # of incompatible_features


def slow(tables=8192, name="slow.qcow2"):
    """
    A qcow2 image whose scan takes some tenths of a second: 512 MiB of L2 tables with extended entries, which are not
    scanned in bulk. They are holes of the file, so they take no space, and all their entries are 0.
    """
    path = Place.new(name)
    start = CLUSTER * (3 + -(-tables * 8 // CLUSTER))
    size = tables * (CLUSTER // 16) * CLUSTER
    header = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, size, 0,
                         tables, 3 * CLUSTER, CLUSTER, 1, 0, 0, EXTENDED_L2, 0, 0, 4, 104)
    with open(path, "wb") as file:
        file.write(header)
        file.seek(CLUSTER)
        file.write(struct.pack(">Q", 2 * CLUSTER))
        file.seek(3 * CLUSTER)
        for i in range(tables):
            file.write(struct.pack(">Q", 1 << 63 | start + i * CLUSTER))
        file.truncate(start + tables * CLUSTER)
    return path


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def variant(data, changes=(), length=None):
    """A file with these bytes, changed at (offset, bytes) and cut to length."""
    path = Place.new("damaged.img")
    data = bytearray(data)
    for offset, new in changes:
        data[offset:offset + len(new)] = new
    with open(path, "wb") as file:
        file.write(data[:length])
    return path


def vhd_sum(block, at):
    """A VHD footer or header with its checksum at that offset: ones' complement of the sum of all bytes."""
    block = bytearray(block)
    block[at:at + 4] = bytes(4)
    block[at:at + 4] = struct.pack(">I", ~sum(block) & 0xFFFFFFFF)
    return bytes(block)


# Each of these yields (name, path) of damaged images. Those that are made from good images violate one rule each.


def damaged_short():
    yield "empty file", variant(b"")
    yield "one byte", variant(b"Q")
    yield "magic only", variant(b"QFI\xfb")
    good_qcow2 = contents(qcow2())
    for length in (8, 71, 72, 103, 104, 600, CLUSTER, 2 * CLUSTER, 3 * CLUSTER + 8, len(good_qcow2) - 1):
        yield f"qcow2 cut to {length}", variant(good_qcow2, length=length)


def damaged_qcow2_fields():
    good_qcow2 = contents(qcow2())
    for field, offset, size in QCOW2_FIELDS:
        yield f"qcow2 {field} 0", variant(good_qcow2, [(offset, bytes(size))])
        yield f"qcow2 {field} all ones", variant(good_qcow2, [(offset, b"\xff" * size)])


def damaged_qcow2_tables():
    good_qcow2 = contents(qcow2())
    most = struct.pack(">Q", (1 << 63) - 1)
    yield "qcow2 size 2^63-1", variant(good_qcow2, [(24, most)])
    for field, offset in (("l1_table_offset", 40), ("refcount_table_offset", 48), ("snapshots_offset", 64)):
        beyond = struct.pack(">Q", 1 << 40)
        yield f"qcow2 {field} past the end", variant(good_qcow2, [(offset, beyond)])
        yield f"qcow2 {field} 2^63-1", variant(good_qcow2, [(offset, most)])
    l1 = struct.unpack_from(">Q", good_qcow2, 40)[0]
    l2 = struct.unpack_from(">Q", good_qcow2, l1)[0] & 0x00FFFFFFFFFFFE00
    for name, where in (("L1 entry", l1), ("L2 entry", l2)):
        yield f"qcow2 {name} all ones", variant(good_qcow2, [(where, b"\xff" * 8)])
        yield f"qcow2 {name} not aligned", variant(good_qcow2, [(where, struct.pack(">Q", 1 << 63 | 0x10200))])
        yield f"qcow2 {name} past the end", variant(good_qcow2, [(where, struct.pack(">Q", 1 << 63 | 1 << 50))])


def damaged_head(kind):
    good_image = contents(create(kind, "8M"))
    for length in (4, 100, 512, 4096, 65536, 196608, 262144, len(good_image) - 1):
        if length < len(good_image):
            yield f"{kind} cut to {length}", variant(good_image, length=length)
    for offset in (4, 8, 12, 16, 28, 44, 56, 64):
        yield f"{kind} all ones at {offset}", variant(good_image, [(offset, b"\xff" * 8)])


def damaged_vhd():
    """Dynamic VHDs with bad fields but valid checksums."""
    image = contents(create("vpc", "8M"))
    for length in (8, 511, 512, 1024, 1536, len(image) - 1):
        yield f"vpc cut to {length}", variant(image, length=length)
    for field, offset, size in (("data_offset", 16, 8), ("current_size", 48, 8), ("disk_type", 60, 4)):
        for value in (bytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1)):
            footer = bytearray(image[:512])
            footer[offset:offset + size] = value
            footer = vhd_sum(footer, 64)
            yield f"vpc {field} {value.hex()}", variant(image, [(0, footer), (len(image) - 512, footer)])
    for field, offset, size in (("table_offset", 16, 8), ("max_table_entries", 28, 4), ("block_size", 32, 4)):
        for value in (bytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1)):
            header = bytearray(image[512:1536])
            header[offset:offset + size] = value
            yield f"vpc {field} {value.hex()}", variant(image, [(512, vhd_sum(header, 36))])


DAMAGED = [
    ("short", damaged_short),
    ("qcow2 header fields", damaged_qcow2_fields),
    ("qcow2 tables", damaged_qcow2_tables),
    ("vpc", damaged_vhd),
    ("vhdx", lambda: damaged_head("vhdx")),
    ("vmdk", lambda: damaged_head("vmdk")),
]
