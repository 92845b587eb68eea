# SPDX-License-Identifier: Apache-2.0
"""Random QED images."""

import oracle.images as images

KIB, MIB, GIB = images.KIB, images.MIB, images.GIB


def make_qed(image):
    """All cluster sizes with small files, and all table sizes except 1, with which qemu fails to open the image."""
    cluster = image.pick(4, 8, 16, 32, 64, 64, 64, 128, 512, 1024) * KIB
    options = {"cluster_size": cluster, "table_size": image.pick(2, 4, 4, 8, 16)}
    table = options["table_size"] * cluster // 8 * cluster
    image.units = [cluster, cluster, 64 * KIB, table]
    if image.chance(0.25):
        images.convert(image, images.make_source(image, 256 * MIB), options)
    else:
        largest = min(8 * GIB, table // cluster * table)
        if table >= 4 * GIB:  # qemu computes the length of a run in 32 bits, and crashes if that is 0
            largest = 4 * GIB - cluster
        image.size = images.random_size(image, largest)
        image.create(options)
    image.io(images.random_writes(image, 20, zeroes=("-z", "-z", "-zu")))
