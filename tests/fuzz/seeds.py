#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converts the fixtures in a directory to inputs of the fuzzer of images (tests/fuzz/image-input.h): seeds.py DIRECTORY OUT.

Bytes other than zeros become pieces. A block of one repeated byte becomes a piece of one byte with a repetition; of consecutive blocks
of the same byte only the first is taken. The options of a fixture become the choices of its input.
"""

import gzip
import pathlib
import re
import struct
import sys
import tarfile

FORMATS = ("parallels", "qed", "vdi", "qcow2", "qcow", "vmdk", "vhdx", "vpc", "luks", "bochs", "cloop", "dmg", "raw")
QEMUS = ("", "7.2", "8.2", "10.0")
BLOCK = 4096
ZEROS = bytes(256 << 10)
LARGEST = 1 << 20
FILES = 3
ALONE, ANY_PARENT, GRANTED = 4, 8, 16

# Zeros that separate pieces; fewer are part of a piece.
GAP = re.compile(rb"\0{25,}")


def piece(offset, data, times, file):
    return struct.pack("<QIIB3x", offset, len(data), times, file) + data


def blocks_of(source):
    """The blocks of a file, many zero blocks at once: (offset, bytes or None for zeros). The last one is (size, None)."""
    at = 0
    while many := source.read(len(ZEROS)):
        if many == ZEROS:
            yield at, None
        else:
            for begin in range(0, len(many), BLOCK):
                block = many[begin : begin + BLOCK]
                yield at + begin, None if ZEROS.startswith(block) else block
        at += len(many)
    yield at, None


def chunks_of(source):
    """The bytes between blocks of zeros: (offset, bytes, times). Of consecutive blocks of one byte only the first. The last one is
    (size, b"", 1)."""
    begin, blocks, last = 0, [], b""
    for at, block in blocks_of(source):
        alike = block is None or block == block[:1] * BLOCK
        if not alike:
            begin = begin if blocks else at
            blocks.append(block)
        elif blocks:
            yield begin, b"".join(blocks), 1
            blocks = []
        if alike and block and block != last:
            yield at, block[:1], BLOCK
        last = block
    if blocks:
        yield begin, b"".join(blocks), 1
    yield at, b"", 1


def pieces_of(source, file):
    """The size of a file, and its pieces."""
    found = b""
    for at, data, times in chunks_of(source):
        begin = 0
        for gap in GAP.finditer(data):
            if gap.start() > begin:
                found += piece(at + begin, data[begin : gap.start()], times, file)
            begin = gap.end()
        if begin < len(data):
            found += piece(at + begin, data[begin:], times, file)
    return at, found


def choices_of(expect, named):
    """The choices of the input: how the fixture is opened."""
    found = re.search(r"^# options: (.*)$", expect, re.MULTILINE)
    options = dict(word.partition("=")[::2] for word in (found.group(1).split(",") if found else []))
    known = options.get("format"), options.get("backing-format")
    numbers = [FORMATS.index(name) + 1 if name in FORMATS else 0 for name in known]
    flags = QEMUS.index(options["qemu"]) if options.get("qemu") in QEMUS else 0
    flags |= ALONE * ("backing" in options) | ANY_PARENT * ("any-parent" in options) | GRANTED * named
    return bytes((numbers[0], flags, 0, 0, numbers[1], 0, 0, 0))


def files_of(path):
    """The image, then its backing images: in reverse order of names, as "middle" has "base" as its backing image."""
    if path.name.endswith(".img.gz"):
        return [gzip.open(path)]
    tar = tarfile.open(path)
    files = {pathlib.PurePath(m.name).name: tar.extractfile(m) for m in tar.getmembers() if m.isfile()}
    return [files.pop("image")] + [files[name] for name in sorted(files, reverse=True)][: FILES - 1]


def make(path, expect):
    """The input of a fixture."""
    files = [pieces_of(source, number) for number, source in enumerate(files_of(path))]
    sizes = [size for size, _ in files] + [0] * (FILES - len(files))
    return choices_of(expect, len(files) > 1) + struct.pack("<3Q", *sizes) + b"".join(found for _, found in files)


def main():
    directory, out = map(pathlib.Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    made = left = 0
    for path in sorted([*directory.glob("*.img.gz"), *directory.glob("*.tar.gz")]):
        case = path.name[: -len(".img.gz")]
        with open(directory / (case + ".expect"), encoding="utf-8", errors="replace") as expect:
            seed = make(path, expect.read(4096))
        if len(seed) > LARGEST:
            left += 1
            continue
        (out / case).write_bytes(seed)
        made += 1
    print(f"{made} inputs of {directory}, {left} too large")


main()
