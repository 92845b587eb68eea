# SPDX-License-Identifier: Apache-2.0
"""The allocation of a VHDX, read from its BAT: qemu has no block status for VHDX.

Format: VHDX specification 1.00, little endian. Only what qemu-img writes: valid headers, an empty log, no parent.
"""

import struct
import uuid

REGIONS = 192 << 10
BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
LOGICAL_SECTOR_SIZE = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
FULLY_PRESENT = 6


def read_at(file, offset, length):
    file.seek(offset)
    return file.read(length)


def read_table(file, offset, header, count_at, count_format, entry):
    """The entries of a region or metadata table: {GUID: the rest of the entry}."""
    count = struct.unpack_from(count_format, read_at(file, offset, header), count_at)[0]
    entries = read_at(file, offset + header, 32 * count)
    table = {}
    for i in range(count):
        fields = struct.unpack_from("<16s" + entry, entries, 32 * i)
        table[uuid.UUID(bytes_le=fields[0])] = fields[1:]
    return table


def data_runs(path):
    """[(start, length)] in bytes of the blocks in state 6, clipped to the virtual size."""
    with open(path, "rb") as file:
        regions = read_table(file, REGIONS, 16, 8, "<I", "QII")
        base = regions[METADATA][0]
        items = read_table(file, base, 32, 10, "<H", "III4x")

        def item(guid, form):
            return struct.unpack(form, read_at(file, base + items[guid][0], struct.calcsize(form)))[0]

        block = item(FILE_PARAMETERS, "<I")
        size = item(VIRTUAL_DISK_SIZE, "<Q")
        per_chunk = (item(LOGICAL_SECTOR_SIZE, "<I") << 23) // block
        blocks = -(-size // block)
        entries = blocks + (blocks - 1) // per_chunk
        bat = struct.unpack(f"<{entries}Q", read_at(file, regions[BAT][0], 8 * entries))
    runs = []
    for i in range(blocks):
        if bat[i + i // per_chunk] & 7 == FULLY_PRESENT:
            runs.append((i * block, min(block, size - i * block)))
    return runs
