# SPDX-License-Identifier: Apache-2.0
"""Random VDI images: made by qemu-img, and with entries of the block map that it does not write."""

import struct

import oracle.images as images

MAP_FIELD, TYPE_FIELD, BLOCKS_FIELD = 340, 76, 384
ZERO, FREE = 0xfffffffe, 0xffffffff


def scramble(image):
    """Changes entries to zero, free, those of other blocks or blocks past the end of the file; sometimes the type, too."""
    rng = image.rng
    with open(image.path, "r+b") as file:
        head = file.read(512)
        at, blocks = struct.unpack_from("<I", head, MAP_FIELD)[0], struct.unpack_from("<I", head, BLOCKS_FIELD)[0]
        for _ in range(rng.randint(1, 16)):
            if not blocks:
                break
            index = rng.randrange(blocks)
            value = rng.choice((ZERO, ZERO, FREE, rng.randrange(blocks), blocks + rng.randrange(1000), ZERO - 1))
            file.seek(at + 4 * index)
            file.write(struct.pack("<I", value))
            image.commands.append(f"# map entry {index}: {value}")
        if image.chance(0.3):
            kind = rng.choice((0, 1, 2, 3, 4, 5))
            file.seek(TYPE_FIELD)
            file.write(struct.pack("<I", kind))
            image.commands.append(f"# image type {kind}")


def make(image):
    image.units = [images.MIB, images.MIB, 64 * images.KIB]
    static = image.chance(0.4)
    options = {"static": "on"} if static else image.pick({}, {"static": "off"})
    largest = 256 * images.MIB if static else 8 * images.GIB
    if image.chance(0.25):
        images.convert(image, images.make_source(image, largest), options)
    else:
        image.size = images.random_size(image, largest)
        if static and image.size <= 16 * images.MIB and image.chance(0.2):
            options["preallocation"] = image.pick("falloc", "full")
        image.create(options)
    image.io(images.random_writes(image, 16))
    if image.chance(0.3):
        scramble(image)
