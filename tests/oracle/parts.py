# SPDX-License-Identifier: Apache-2.0
"""Random images of several files: VMDK descriptors with extent files, made by qemu-img and by hand, and qcow2 with a data file. All
are read with follow=beside."""

import os

import oracle.images
import oracle.vmdk

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECTOR = 512
BESIDE = ("-o", "follow=beside")


def make_split(image, subformat):
    """Extents of 2 GiB, mostly several."""
    image.option_sets = [BESIDE]
    image.units = [2 * GIB, 2 * GIB, 64 * KIB, 32 * MIB]
    image.size = oracle.images.random_size(image, 7 * GIB, image.pick(SECTOR, 2 * GIB, 4 * GIB))
    options = {"subformat": subformat}
    if subformat.endswith("Sparse") and image.chance(0.4):
        options["zeroed_grain"] = "on"
    if image.chance(0.2):
        options["adapter_type"] = "lsilogic"
    image.create(options)
    image.io(oracle.images.random_writes(image, 16))


def make_flat(image):
    """One flat extent, whose file is then changed: holes, unwritten extents, another size."""
    image.option_sets = [BESIDE]
    image.units = [4 * KIB, 64 * KIB]
    image.size = oracle.images.random_size(image, GIB)
    image.create({"subformat": "monolithicFlat"})
    image.io(oracle.images.random_writes(image, 8))
    if image.chance(0.5):
        change_file(image, image.path.replace(".vmdk", "-flat.vmdk"), image.size)


def change_file(image, path, size):
    """Makes a file of about that size with data and holes."""
    path, image.path = image.path, path  # write_raw() takes both from the image
    size, image.size = image.size, size
    try:
        oracle.images.write_raw(image, 10)
        if image.chance(0.2):
            end = image.rng.randint(0, image.size)
            os.truncate(image.path, end)
            image.commands.append(f"truncate -s {end} {image.path}")
    finally:
        image.path, image.size = path, size


def flat_line(image, files):
    """A flat extent in an existing or new file, at an offset, maybe past its end."""
    if files and image.chance(0.5):
        name, size = image.rng.choice(files)
    else:
        name, size = f"extent-f{len(files) + 1:03}.vmdk", image.rng.randint(1, 4 * MIB)
        change_file(image, os.path.join(image.directory, name), size)
        files.append((name, size))
    offset = image.pick(0, 0, 1, 8, image.rng.randint(0, size // SECTOR), size // SECTOR)
    sectors = image.pick(1, 7, 8, 128, -(-size // SECTOR), image.rng.randint(1, 16 * KIB))
    if image.chance(0.2):
        return f'RW {sectors} VMFS "{name}"'
    return f'RW {sectors} FLAT "{name}" {offset}'


def left_out_line(image):
    return image.pick('RDONLY 8 FLAT "extent-f001.vmdk" 0', "NOACCESS 100", "RW 64 ZERO", 'RW 0 FLAT "missing" 0')


def write_descriptor(image, lines):
    kind = image.pick("monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse", "vmfs", "vmfsSparse", "seSparse")
    text = oracle.vmdk.DESCRIPTOR.format(kind, "\n".join(lines) + "\n")
    with open(image.path, "w") as file:
        file.write(text)
    image.commands += [f"# {image.path}:", *(f"#     {line}" for line in text.splitlines())]


def make_flat_lines(image):
    image.option_sets = [BESIDE]
    image.units = [4 * KIB, 64 * KIB]
    files, lines = [], []
    for _ in range(image.pick(1, 2, 3, 8, 30)):
        lines.append(flat_line(image, files))
        if image.chance(0.1):
            lines.append(left_out_line(image))
    write_descriptor(image, lines)


def hosted_line(image, name, path, sectors):
    """A hosted sparse extent, which qemu-img makes as an image of its own."""
    subformat = image.pick("monolithicSparse", "monolithicSparse", "streamOptimized")
    extent = oracle.images.Image(image.rng, image.directory, "vmdk")
    extent.path, extent.size, extent.units = path, sectors * SECTOR, [64 * KIB, 32 * MIB]
    options = {"subformat": subformat}
    if subformat == "monolithicSparse" and image.chance(0.5):
        options["zeroed_grain"] = "on"
    extent.create(options)
    if subformat == "monolithicSparse":
        extent.io(oracle.images.random_writes(extent, 8))
    elif image.chance(0.7):  # a compressed grain can be written once
        grain = image.rng.randint(0, (extent.size - 1) // (64 * KIB)) * 64 * KIB
        extent.io([f"write -P 1 {grain} {min(64 * KIB, extent.size - grain)}"])
    image.commands += extent.commands
    return f'RW {sectors} SPARSE "{name}"'


def sparse_line(image, number, is_last):
    """A sparse extent of any kind. Only the last may end within a grain: qemu-img does not clip a grain to its extent."""
    name = f"extent-s{number:03}.vmdk"
    path = os.path.join(image.directory, name)
    rest = image.rng.randint(0, 127) if is_last else 0
    kind = image.pick("hosted", "cowd", "sesparse")
    if kind == "hosted":
        return hosted_line(image, name, path, image.rng.randint(1, 2000) * 128 + rest)
    if kind == "cowd":
        grain = image.pick(1, 8, 128)
        sectors = image.rng.randint(1, 9000) * grain + rest
        oracle.vmdk.write_cowd(image, path, sectors, grain)
        return f'RW {sectors} VMFSSPARSE "{name}"'
    sectors = image.rng.randint(1, 9000) * 8 + rest
    oracle.vmdk.write_sesparse(image, path, sectors)
    return f'RW {sectors} SESPARSE "{name}"'


def make_sparse_lines(image):
    """Extents of all kinds, sometimes more than stay open, some of them used twice."""
    image.option_sets = [BESIDE]
    image.units = [4 * KIB, 64 * KIB]
    count, files, lines = image.pick(1, 2, 3, 5, 12), [], []
    for number in range(1, count + 1):
        lines.append(sparse_line(image, number, number == count))
        if image.chance(0.3) and number < count:
            lines.append(image.rng.choice(lines))
        if image.chance(0.2) and number < count:
            lines.append(flat_line(image, files))
    write_descriptor(image, lines)


def make_data_file(image):
    """qcow2 with a data file, raw or not. (Version 2 has none.)"""
    image.option_sets = [BESIDE]
    cluster = image.pick(512, 4 * KIB, 16 * KIB, 64 * KIB, 64 * KIB, 256 * KIB, 2 * MIB)
    options = {"cluster_size": cluster, "data_file": "data.raw"}
    image.units = [cluster, cluster, cluster * (cluster // 8)]
    if cluster >= 16 * KIB and image.chance(0.4):
        options["extended_l2"] = "on"
        image.units.append(cluster // 32)
    if image.chance(0.4):
        options["data_file_raw"] = "on"
    elif image.chance(0.3):
        options["preallocation"] = image.pick("metadata", "falloc", "full")
    largest = 64 * MIB if options.get("preallocation") in ("falloc", "full") or cluster < 4 * KIB else 2 * GIB
    image.size = oracle.images.random_size(image, largest)
    image.create(options)
    image.io(oracle.images.random_writes(image, 16))
    if image.chance(0.5):  # fewer bytes are allocated than refcounts claim, and holes of the data file count
        image.run("fallocate", "--dig-holes", image.path)


KINDS = {
    "vmdk-split-flat": lambda image: make_split(image, "twoGbMaxExtentFlat"),
    "vmdk-split-sparse": lambda image: make_split(image, "twoGbMaxExtentSparse"),
    "vmdk-flat": make_flat,
    "vmdk-flat-lines": make_flat_lines,
    "vmdk-sparse-lines": make_sparse_lines,
    "qcow2-data-file": make_data_file,
}
