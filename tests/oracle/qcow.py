# SPDX-License-Identifier: Apache-2.0
"""Random qcow (version 1) images."""

import oracle.images as images

KIB, MIB = images.KIB, images.MIB
CLUSTER, TABLE = 4 * KIB, 2 * MIB  # those of qemu-img create, which has no options for them


def make_qcow(image):
    """Written by qemu-io, with some compressed clusters; or converted, half of them with all clusters compressed."""
    image.units = [CLUSTER, 64 * KIB, TABLE]
    if image.chance(0.4):
        flags = ["-c"] if image.chance(0.6) else []
        convert(image, images.make_source(image, 64 * MIB), flags)
        image.used.append((0, image.size))
    else:
        image.size = images.random_size(image, 512 * MIB)
        image.create({})
    image.io(images.random_writes(image, 20, CLUSTER))


def convert(image, source, flags):
    """With -c qemu-img exits with 1 without a message, although the image is complete."""
    try:
        images.convert(image, source, {}, *flags)
    except images.MakeError as error:
        if not flags or not str(error).endswith("exit code 1: "):
            raise
