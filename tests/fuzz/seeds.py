#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes inputs of fuzz_image (tests/image-input.h) of the fixtures in a directory: seeds.py DIRECTORY OUT.

What is not zeros becomes pieces; a byte that repeats itself becomes a short piece that is laid many times, but not more than
FILL: what more of the same tells is seen sooner elsewhere. The options of a fixture become the choices of its input.
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
FILL = 4096
LARGEST = 256 << 10
FILES = 3
ALONE, ANY_PARENT, GRANTED = 4, 8, 16

# Bytes that are not zeros, and the few zeros between them; of one byte that repeats itself no more than that.
RUN = re.compile(rb"([^\0])\1{255,}|[^\0](?:(?!([^\0])\2{255})(?:[^\0]|\0{1,24}(?=[^\0])))*", re.DOTALL)


def piece(offset, data, times, file):
    return struct.pack("<QIIB3x", offset, len(data), times, file) + data


def pieces_of(data, file):
    """The pieces of a file; blocks of zeros are looked at as one."""
    at = 0
    while at < len(data):
        if data.count(0, at, at + BLOCK) == min(BLOCK, len(data) - at):
            at += BLOCK
            continue
        end = at
        while end < len(data) and data.count(0, end, end + BLOCK) < min(BLOCK, len(data) - end):
            end += BLOCK
        for run in RUN.finditer(data, at, end):
            if run.group(1):
                yield piece(run.start(), run.group(1), min(len(run.group()), FILL), file)
            else:
                yield piece(run.start(), run.group(), 1, file)
        at = end


def choices_of(expect, files):
    """The first bytes of the input: how the fixture is opened."""
    found = re.search(r"^# options: (.*)$", expect, re.MULTILINE)
    options = dict(word.partition("=")[::2] for word in (found.group(1).split(",") if found else []))
    known = options.get("format"), options.get("backing-format")
    numbers = [FORMATS.index(name) + 1 if name in FORMATS else 0 for name in known]
    flags = QEMUS.index(options["qemu"]) if options.get("qemu") in QEMUS else 0
    flags |= ALONE * ("backing" in options) | ANY_PARENT * ("any-parent" in options) | GRANTED * (files > 1)
    return bytes((numbers[0], flags, 0, 0, numbers[1], 0, 0, 0))


def files_of(path):
    """The bytes of the image, and of the first of the files that it names, in the order of their names."""
    if path.name.endswith(".img.gz"):
        return [gzip.decompress(path.read_bytes())]
    with tarfile.open(path) as tar:
        files = {pathlib.PurePath(m.name).name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
    return [files.pop("image")] + [files[name] for name in sorted(files)][: FILES - 1]


def main():
    directory, out = map(pathlib.Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    made = left = 0
    for path in sorted(directory.glob("*.[it][ma][gr].gz")):
        case = path.name.rpartition(".")[0].rpartition(".")[0]
        files = files_of(path)
        sizes = [len(data) for data in files] + [0] * (FILES - len(files))
        text = (directory / (case + ".expect")).read_text(encoding="utf-8", errors="replace")
        seed = choices_of(text, len(files)) + struct.pack("<3Q", *sizes)
        seed += b"".join(p for number, data in enumerate(files) for p in pieces_of(data, number))
        if len(seed) > LARGEST:
            left += 1
            continue
        (out / case).write_bytes(seed)
        made += 1
    print(f"{made} inputs of {directory}, {left} too large")


main()
