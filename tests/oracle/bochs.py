# SPDX-License-Identifier: Apache-2.0
"""Random Bochs disks and their allocation. qemu-img reads them, but cannot make them and has no block status for them.

Format: Bochs, iodev/hdimage/hdimage.h, little endian. Present sectors have bytes other than 0, and absent ones read as
zeros: so a conversion to raw shows which sectors qemu-img treats as present.
"""

import os
import struct
import subprocess

SECTOR = 512
UNALLOCATED = 0xffffffff


def random_bitmap(rng, sectors):
    """The bitmap of an extent: empty, full, runs or noise."""
    kind = rng.choice(("none", "all", "all", "runs", "runs", "noise"))
    bits = bytearray(-(-sectors // 8))
    if kind == "all":
        bits[:] = b"\xff" * len(bits)
    elif kind == "noise":
        bits[:] = rng.randbytes(len(bits))
    elif kind == "runs":
        for _ in range(rng.randint(1, 6)):
            start = rng.randrange(sectors)
            for sector in range(start, min(sectors, start + rng.choice((1, 2, 7, 8, 9, rng.randint(1, sectors))))):
                bits[sector // 8] |= 1 << sector % 8
    return bytes(bits)


def make(image, largest=16 << 20):
    rng = image.rng
    extent = 512 << rng.choice((0, 3, 3, 7, 7, 8, 10, 12, 14))
    sectors = extent // SECTOR
    bitmap = rng.choice((1, 1, 1, 2)) * max(1, sectors // 8) + rng.choice((0, 0, 0, rng.randint(0, 1000)))
    image.size = min(rng.randint(0, largest), 4096 * extent) // SECTOR * SECTOR + rng.choice((0, 0, 0, rng.randint(1, 511)))
    extents = -(-(image.size // SECTOR * SECTOR) // extent)
    entries = extents + rng.choice((0, 0, 1, rng.randint(0, 100)))
    catalog_at = 512 + rng.choice((0, 0, rng.randint(0, 5000)))
    version = rng.choice((0x10000, 0x20000, 0x20000))
    places = list(range(extents))
    if rng.random() < 0.5:
        rng.shuffle(places)
    catalog = [UNALLOCATED] * entries
    written = rng.sample(range(extents), min(extents, rng.choice((0, 1, 3, 10, extents))))
    for index, place in zip(written, places):
        catalog[index] = place
    bitmap_space = -(-bitmap // SECTOR) * SECTOR
    head = struct.pack("<32s16s16sIIIII", b"Bochs Virtual HD Image", b"Redolog", b"Growing", version, catalog_at, entries,
                       bitmap, extent)
    head += struct.pack("<Q", image.size) if version == 0x10000 else struct.pack("<IQ", rng.getrandbits(32), image.size)
    with open(image.path, "wb") as file:
        file.write(head)
        file.seek(catalog_at)
        file.write(struct.pack(f"<{entries}I", *catalog))
        for index in written:
            at = catalog_at + 4 * entries + catalog[index] * (bitmap_space + extent)
            file.seek(at)
            file.write(random_bitmap(rng, sectors).ljust(bitmap_space, b"\0"))
            file.write(bytes([rng.randint(1, 255)]) * extent)
        if not written:
            file.truncate(max(512, catalog_at + 4 * entries))
    image.commands.append(f"# Bochs: version {version:#x}, size {image.size}, extents of {extent}, bitmaps of {bitmap}, "
                          f"{len(written)} written of {extents}, catalog of {entries} at {catalog_at}")


def data_runs(path):
    """[(start, length)] in bytes of the sectors that qemu-img reads as anything but zeros."""
    raw = path + ".raw"
    subprocess.run(["qemu-img", "convert", "-S", "512", "-f", "bochs", "-O", "raw", path, raw], check=True, timeout=120)
    runs = []
    zeros = bytes(SECTOR)
    start = 0
    with open(raw, "rb") as file:
        while piece := file.read(1 << 20):
            if piece.count(0) < len(piece):
                runs += [(start + i, SECTOR) for i in range(0, len(piece), SECTOR) if piece[i:i + SECTOR] != zeros]
            start += len(piece)
    os.unlink(raw)
    return runs
