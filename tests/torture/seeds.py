# SPDX-License-Identifier: Apache-2.0
"""The images that are damaged: good fixtures, with all their files."""

import collections
import fnmatch
import hashlib
import io
import os
import pathlib
import re
import shutil

import oracle.fixtures

# All images up to SMALL are taken, and a few larger ones of each format: some formats have hardly any small ones.
SMALL = 200 << 10
LARGE = 8 << 20
LARGE_OF_FORMAT = 4

KINDS = ("truncate", "flip", "repaired", "random")

# form: the folder of the fixture. file: the one that is damaged, of a fixture with several; else None.
Seed = collections.namedtuple("Seed", "name form packed options file size")


def members(directory):
    return sorted(os.listdir(directory))


def size_of(packed):
    """Bytes of the image, from the trailer of the gzip file."""
    with open(packed, "rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def seeds_of(packed, base):
    """One for each file of the fixture."""
    name = name_of(packed)
    expect = packed.with_name(name.split("/")[1] + ".expect").read_text(errors="replace")
    options = oracle.fixtures.read_expect(expect)[1]
    if packed.name.endswith(".img.gz"):
        return [Seed(name, packed.parent.name, packed, options, None, size_of(packed))]
    directory = os.path.join(base, "members")
    os.mkdir(directory)
    oracle.fixtures.unpack(packed, directory)
    files = [(file, os.path.getsize(os.path.join(directory, file))) for file in members(directory)
             if os.path.isfile(os.path.join(directory, file)) and not os.path.islink(os.path.join(directory, file))]
    shutil.rmtree(directory)
    return [Seed(f"{name}:{file}", packed.parent.name, packed, options, file, size) for file, size in files]


def name_of(packed):
    return f"{packed.parent.name}/" + packed.name.removesuffix(".gz").rsplit(".", 1)[0]


def all_seeds(fixtures, base, patterns):
    """All small images, and a few larger ones of each format."""
    packed = [p for p in sorted(pathlib.Path(fixtures).glob("*/*.gz"))
              if not p.name.startswith("bad-") and p.parent.name != "pairs"
              and any(fnmatch.fnmatch(name_of(p), pattern.split(":")[0]) for pattern in patterns)]
    seeds = [seed for p in packed for seed in seeds_of(p, base) if 0 < seed.size <= LARGE]
    chosen = [seed for seed in seeds if seed.size <= SMALL]
    for form in sorted({seed.form for seed in seeds}):
        large = sorted((s for s in seeds if s.form == form and s.size > SMALL), key=lambda s: s.size)
        spread = max(1, len(large) // LARGE_OF_FORMAT)
        chosen += large[::spread][:LARGE_OF_FORMAT]
    return chosen


def choose(fixtures, base, patterns, chance):
    """The images that match one of the patterns, which commas separate: one of each format, then another of each, and so on. The
    order depends only on chance and on names, so that new fixtures change little."""
    patterns = patterns.split(",")
    seeds = [s for s in all_seeds(fixtures, base, patterns) if any(fnmatch.fnmatch(s.name, p) for p in patterns)]
    seeds.sort(key=lambda seed: hashlib.sha256(f"{chance}:{seed.name}".encode()).digest())
    taken = collections.Counter()
    order = []
    for seed in seeds:
        order.append((taken[seed.form], seed.form, seed))
        taken[seed.form] += 1
    return [seed for _, _, seed in sorted(order, key=lambda entry: entry[:2])]


class Workplace:
    """A seed, unpacked to a directory of its own, to be damaged there."""

    def __init__(self, seed, directory):
        self.seed, self.directory = seed, directory
        self.image = oracle.fixtures.unpack(seed.packed, directory)
        expect = seed.packed.with_name(name_of(seed.packed).split("/")[1] + ".expect").read_text(errors="replace")
        oracle.fixtures.make_neighbours(expect, directory)
        self.options = [re.sub(r"\bref=(\d+):", rf"ref=\1:{directory}/", option) for option in seed.options]
        self.file = os.path.join(directory, seed.file) if seed.file else self.image
        self.whole, self.times = pathlib.Path(self.file).read_bytes(), os.stat(self.file)

    def restore(self):
        """Writes the undamaged file again."""
        oracle.fixtures.write_sparse(io.BytesIO(self.whole), self.file)
        os.utime(self.file, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))

    def torture(self, program, *words):
        """The command of torture with these arguments after its options."""
        return [program, *self.options, "-d", self.file, self.image, *words]
