# SPDX-License-Identifier: Apache-2.0
"""Random Parallels images: made by qemu-img, changed to the old magic, and with entries that it does not write."""

import struct

import oracle.images as images

TRACKS_FIELD, ENTRIES_FIELD, BAT = 28, 32, 64
OLD_MAGIC = b"WithoutFreeSpace"
LARGEST = 64 << 30  # qemu-img crashes on holes of 1 TiB


def edit(image, old):
    """Changes the magic to the old one, whose entries are in sectors, and some entries to other values."""
    rng = image.rng
    with open(image.path, "r+b") as file:
        head = file.read(BAT)
        tracks, count = struct.unpack_from("<I", head, TRACKS_FIELD)[0], struct.unpack_from("<I", head, ENTRIES_FIELD)[0]
        bat = list(struct.unpack(f"<{count}I", file.read(4 * count)))
        if old:
            bat = [entry * tracks for entry in bat]
            file.seek(0)
            file.write(OLD_MAGIC)
            image.commands.append("# the old magic, entries in sectors")
        for _ in range(rng.randint(0, 8) if count else 0):
            index = rng.randrange(count)
            bat[index] = rng.choice((0, 0, 1, rng.randrange(1 << 20), rng.choice(bat), 0xffffffff))
            image.commands.append(f"# BAT entry {index}: {bat[index]}")
        if image.chance(0.2):
            count = rng.randint(0, count)
            file.seek(ENTRIES_FIELD)
            file.write(struct.pack("<I", count))
            image.commands.append(f"# nb_bat_entries {count}")
        file.seek(BAT)
        file.write(struct.pack(f"<{len(bat)}I", *bat))


def make(image):
    cluster = image.pick(None, None, 4, 16, 64, 256, 1024, 4096, 32, 96, 1000)  # KiB
    options = {} if cluster is None else {"cluster_size": cluster * images.KIB}
    image.units = [options.get("cluster_size", images.MIB), 64 * images.KIB]
    largest = min(LARGEST, image.units[0] << 16)
    if image.chance(0.25):
        images.convert(image, images.make_source(image, min(largest, images.GIB)), options)
    else:
        image.size = images.random_size(image, largest)
        image.create(options)
    image.io(images.random_writes(image, 16))
    if image.chance(0.4):
        edit(image, image.chance(0.7))
