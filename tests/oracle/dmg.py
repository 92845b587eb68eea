# SPDX-License-Identifier: Apache-2.0
"""Random DMGs, written with plistlib as qemu-img cannot make them, and their allocation, read from their lists.

Trailer, block tables and chunks are big endian (UDIFResourceFile, BLKXTable, BLKXRun).
"""

import bz2
import lzma
import plistlib
import struct
import zlib

SECTOR = 512
ZERO, RAW, IGNORE = 0, 1, 2
ADC, ZLIB, BZIP2, LZFSE, LZMA = range(0x80000004, 0x80000009)
COMMENT, TERMINATOR = 0x7FFFFFFE, 0xFFFFFFFF
PACK = {
    RAW: bytes,
    ADC: lambda data: b"adc",
    ZLIB: zlib.compress,
    BZIP2: bz2.compress,
    LZFSE: lambda data: b"bvx$",
    LZMA: lzma.compress,
}


def random_chunks(image, types):
    """[(type, sectors)]: runs of chunks of equal length, as in real images, and others."""
    rng, chunks = image.rng, []
    for _ in range(rng.choice((0, 1, 2, 5, 20, 60))):
        kind = rng.choice(types)
        sectors = rng.choice((0, 1, 8, rng.randint(1, 40), 128, rng.randint(1, 512)))
        if kind in (ZERO, IGNORE) and image.chance(0.3):
            sectors = rng.choice((rng.randint(1, 1 << 14), 1 << 21, rng.randint(1, 1 << 22)))
        chunks.append((kind, sectors))
    return chunks


def table(image, runs, first, data_offset):
    """A block table with entries [(type, first sector, sectors, offset, length)]."""
    if image.chance(0.1):
        runs = [(COMMENT, first, 0, data_offset, 0)] + runs
    if image.chance(0.9):
        last = runs[-1] if runs else (0, first, 0, 0, 0)
        runs = runs + [(TERMINATOR, last[1] + last[2], 0, last[3] + last[4], 0)]
    count = sum(run[2] for run in runs)
    header = struct.pack(">4sIQQQII24xII128xI", b"mish", 1, first, count, data_offset, 0, 0, 2, 32, len(runs))
    return header + b"".join(struct.pack(">IIQQQQ", run[0], 0, run[1] - first, run[2], run[3] - data_offset, run[4])
                             for run in runs)


def split(image, runs):
    """Distributes runs over tables, each with the sector and the data offset that its entries are relative to."""
    tables = []
    while runs or not tables:
        n = image.rng.randint(0, len(runs)) if image.chance(0.7) else len(runs)
        part, runs = runs[:n], runs[n:]
        first = part[0][1] if part and image.chance(0.8) else 0
        offset = min(run[3] for run in part) if part and image.chance(0.3) else 0
        tables.append(table(image, part, first, offset))
    return tables


def property_list(image, tables):
    entries = [{"Attributes": "0x0050", "CFName": "a & b", "Data": data, "ID": str(i - 1), "Name": "<disk>"}
               for i, data in enumerate(tables)]
    fork = {"blkx": entries, "plst": [{"Attributes": "0x0050", "Data": bytes(image.rng.randint(0, 99)), "ID": "0"}]}
    return plistlib.dumps({"resource-fork": fork}, sort_keys=image.chance(0.5))


def resource_fork(image, tables):
    if image.chance(0.3):
        tables = [b"no table"] + tables
    data = b"".join(struct.pack(">I", len(t)) + t for t in tables)
    start = image.pick(16, 256)
    return struct.pack(">IIII", start, start + len(data), len(data), 30).ljust(start, b"\0") + data + bytes(30)


def make(image, types=(ZERO, RAW, IGNORE, ADC, ZLIB, ZLIB, ZLIB, BZIP2, LZFSE, LZMA)):
    """Writes image.path."""
    fork_start = image.pick(0, 0, 0, image.rng.randint(1, 2000))
    out, runs, sector = bytearray(fork_start), [], 0
    for kind, sectors in random_chunks(image, types):
        data = b""
        if kind not in (ZERO, IGNORE):
            data = PACK[kind](image.rng.randbytes(16) * (sectors * SECTOR // 16))
        runs.append((kind, sector, sectors, len(out) - fork_start, len(data)))
        out += data
        sector += sectors
    fork_end = len(out)
    out += bytes(image.pick(0, 0, image.rng.randint(1, 1000)))
    place = len(out)
    is_fork = image.chance(0.2)
    out += (resource_fork if is_fork else property_list)(image, split(image, runs))
    places = (place, len(out) - place, 0, 0) if is_fork else (0, 0, place, len(out) - place)
    out += struct.pack(">4sIIIQQQQQII16xII128xQQ120xII128xIQ12x", b"koly", 4, 512, 1, 0, fork_start,
                       fork_end - fork_start, places[0], places[1], 1, 1, 2, 32, places[2], places[3], 2, 32, 1,
                       sector)
    out += bytes(-len(out) % SECTOR if image.chance(0.2) else 0)
    with open(image.path, "wb") as file:
        file.write(out)
    image.commands.append(f"# oracle_dmg: {len(runs)} chunks, {sector} sectors, {len(out)} bytes")


def tables_of(data, trailer):
    rsrc_offset, rsrc_length = struct.unpack_from(">QQ", data, trailer + 40)
    xml_offset, xml_length = struct.unpack_from(">QQ", data, trailer + 216)
    if not rsrc_length:
        plist = plistlib.loads(data[xml_offset:xml_offset + xml_length])
        return [entry["Data"] for entry in plist["resource-fork"]["blkx"]]
    start, _, length = struct.unpack_from(">III", data, rsrc_offset)
    at, found = rsrc_offset + start, []
    end = at + length
    while at < end:
        size = struct.unpack_from(">I", data, at)[0]
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return [table for table in found if table[:4] == b"mish"]


def data_runs(path):
    """[(start, length)] in bytes of the chunks that hold data."""
    with open(path, "rb") as file:
        data = file.read()
    runs = []
    for block_table in tables_of(data, data.rindex(b"koly")):
        first = struct.unpack_from(">Q", block_table, 8)[0]
        for kind, _, sector, sectors, _, _ in struct.iter_unpack(">IIQQQQ", block_table[204:]):
            if kind in PACK and sectors:
                runs.append(((first + sector) * SECTOR, sectors * SECTOR))
    return runs
