# SPDX-License-Identifier: Apache-2.0
"""Random VMDK extents that qemu-img reads but does not make: COWD, and seSparse, which needs a descriptor file."""

import os
import struct

SECTOR = 512
GTES = 4096

DESCRIPTOR = '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="{}"\n{}'


def random_grains(image, grains, states):
    """{grain: state}: runs of grains, mostly at the edge of a table or of the disk."""
    rng, chosen = image.rng, {}
    for _ in range(rng.randint(0, 12) if grains else 0):
        first = rng.choice((rng.randint(0, grains - 1), rng.randint(0, grains - 1) // GTES * GTES, 0, grains - 1))
        first = max(0, first - rng.choice((0, 0, 1, 5)))
        step, state = rng.choice((1, 1, 1, 2, 16)), rng.choice(states)
        for i in range(first, min(grains, first + rng.choice((1, 2, 17, 300))), step):
            chosen[i] = state
    return chosen


def places(image, chosen, state):
    """Numbers of the grains in that state: ascending, shuffled, or random, also past the end of the file."""
    grains = sorted(i for i in chosen if chosen[i] == state)
    numbers = list(range(len(grains)))
    how = image.pick("ascending", "ascending", "shuffled", "any")
    if how == "shuffled":
        image.rng.shuffle(numbers)
    elif how == "any":
        numbers = [image.rng.randint(0, 1 << 20) for _ in grains]
    return dict(zip(grains, numbers))


def put_tables(image, file, gd, gt, entry, tables, entries, name):
    """Writes directory and tables (sizes in sectors), some of them missing, past the end or used twice. name: makes an entry."""
    for t in range(tables):
        number = image.pick(*[t] * 12, None, 1 << 22, image.rng.randint(0, tables - 1))
        value = 0 if number is None else name(number)
        file.seek(gd * SECTOR + struct.calcsize(entry) * t)
        file.write(struct.pack("<" + entry, value))
        file.seek(gt * SECTOR + struct.calcsize(entry) * GTES * t)
        file.write(struct.pack(f"<{GTES}{entry}", *(entries.get(t * GTES + i, 0) for i in range(GTES))))


def make_cowd(image):
    grain = image.pick(1, 1, 8, 128, 128, 1024)
    capacity = image.pick(image.rng.randint(0, 4 * GTES * grain), image.rng.randint(0, 2000), GTES * grain,
                          2 * GTES * grain + image.rng.randint(-1, 1))
    write_cowd(image, image.path, min(capacity, 1 << 24), grain)


def write_cowd(image, path, capacity, grain):
    """Writes an extent of so many sectors, with grains of so many."""
    grains = -(-capacity // grain)
    tables = -(-grains // GTES)
    gd = 4
    gt = gd + -(-4 * tables // SECTOR)
    first = gt + 32 * tables
    numbers = places(image, random_grains(image, grains, "d"), "d")
    entries = {i: first + n * grain for i, n in numbers.items()}
    with open(path, "wb") as file:
        file.write(struct.pack("<4s10I", b"COWD", 1, 3, capacity, grain, gd, tables + image.pick(0, 0, 5), first, 1, 1, 1))
        file.seek(SECTOR)
        file.write(DESCRIPTOR.format("vmfsSparse", "\0").encode())
        put_tables(image, file, gd, gt, "I", tables, entries, lambda t: gt + 32 * t)
        file.truncate((first + len(numbers) * grain) * SECTOR)
    image.commands.append(f"# COWD: {capacity} sectors, grains of {grain}, {len(numbers)} of them")


def make_sesparse(image):
    capacity = image.pick(image.rng.randint(0, 32 * GTES), image.rng.randint(0, 2000), 8 * GTES,
                          16 * GTES + image.rng.randint(-1, 1))
    write_sesparse(image, image.path, capacity)
    image.through = os.path.join(image.directory, "descriptor.vmdk")
    with open(image.through, "w") as file:
        line = f'RW {max(1, capacity)} SESPARSE "{os.path.basename(image.path)}"\n'
        file.write(DESCRIPTOR.format("seSparse", line))
    image.option_sets = [("-o", "format=vmdk")]


def write_sesparse(image, path, capacity):
    """Writes an extent of so many sectors."""
    grains = -(-capacity // 8)
    tables = -(-grains // GTES)
    gd = 8
    gd_size = -(-8 * tables // SECTOR)
    gt = gd + gd_size
    first = -(-(gt + 64 * tables) // 8) * 8
    chosen = random_grains(image, grains, "dddzu")
    numbers = places(image, chosen, "d")
    entries = {i: {"z": 2, "u": 1, "d": 3}[state] << 60 for i, state in chosen.items()}
    for i, n in numbers.items():
        entries[i] |= (n & 0xfff) << 48 | n >> 12
    with open(path, "wb") as file:
        file.write(struct.pack("<26Q", 0xcafebabe, 0x200000001, capacity, 8, 64, 0, 0, 0, 0, 0, 1, 1, 2, 2, 4, 4,
                               gd, gd_size, gt, 64 * tables, 0, 0, 0, 0, first, 8 * grains))
        file.seek(SECTOR)
        file.write(struct.pack("<4Q480x", 0xcafecafe, 0, 1, 0))
        put_tables(image, file, gd, gt, "Q", tables, entries, lambda t: 1 << 60 | t)
        file.truncate((first + 8 * len(numbers)) * SECTOR)
    image.commands.append(f"# seSparse: {capacity} sectors, {len(chosen)} grains")
