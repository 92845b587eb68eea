#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the walk over guest data with qemu-img: the bytes, and the ranges that a conversion writes.

    tests/oracle/contents.py --build BUILD [-n N] [--seed S]           N random images of every kind
    tests/oracle/contents.py --build BUILD --seed S --only INDEX       one round of them again

The bytes must be those of `qemu-img convert -O raw`. Written ranges must be those computed here from the runs of `qemu-img map`, and
those that `qemu-img convert` allocates in a qcow2 image with clusters of 512 bytes. Exit status: 0 all agree, 1 some differ, 2 a tool
is missing.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import zlib

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
from oracle.targets import campaign

KIB, MIB = 1 << 10, 1 << 20
BLOCK, SLAB, BUFFER = 4 * KIB, 2 * MIB, 2 * MIB
CLUSTERS = [512 << n for n in range(13)]

# Formats and their options. "-c": compressed; None: a random cluster size.
KINDS = (
    ("raw", []),
    ("qcow2", None), ("qcow2", None), ("qcow2", ["compat=0.10"]), ("qcow2", ["cluster_size=512"]),
    ("qcow2", ["cluster_size=2M"]), ("qcow2", ["extended_l2=on,cluster_size=16k"]), ("qcow2", ["extended_l2=on"]),
    ("qcow2", ["-c", "cluster_size=512"]), ("qcow2", ["-c"]), ("qcow2", ["-c", "cluster_size=2M"]),
    ("qcow2", ["-c", "compression_type=zstd"]), ("qcow2", ["-c", "compression_type=zstd,cluster_size=4k"]),
    ("qcow2", ["-c", "compression_type=zstd,cluster_size=2M"]),
    ("qcow", []), ("qcow", ["-c"]),
    ("vmdk", []), ("vmdk", ["subformat=monolithicFlat"]), ("vmdk", ["subformat=twoGbMaxExtentSparse"]),
    ("vmdk", ["subformat=twoGbMaxExtentFlat"]), ("vmdk", ["subformat=streamOptimized"]),
    ("vpc", ["force_size=on"]), ("vpc", ["subformat=fixed,force_size=on"]),
    ("vhdx", ["block_size=1M"]), ("vhdx", ["subformat=fixed"]),
    ("vdi", []), ("vdi", ["static=on"]), ("qed", ["cluster_size=4k"]), ("qed", []),
    ("parallels", []), ("parallels", ["cluster_size=4k"]),
    ("chain", ["qcow2", "cluster_size=512"]), ("chain", ["qcow2", "extended_l2=on"]), ("chain", ["qcow2", ""]),
    ("chain", ["qed", "cluster_size=4k"]),
)


def run(*args, text=True):
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, text=text)
    return done.returncode, done.stdout, done.stderr


def tool(*args):
    """Runs a tool that must succeed. Returns its output."""
    code, out, error = run(*args)
    # qemu-img 7.2 makes complete compressed qcow images, but fails without a message.
    if code and not (args[1] == "convert" and "-c" in args and "qcow" in args and not error):
        raise RuntimeError(f"{' '.join(str(a) for a in args)}: exit code {code}: {error.strip()}")
    return out


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="directory of the programs")
    parser.add_argument("-n", type=int, default=3, metavar="N", help="images of every kind (3)")
    parser.add_argument("--seed", default="1", metavar="S", help="seed of all random choices (1)")
    parser.add_argument("--only", type=int, metavar="INDEX", help="only this round of the seed")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="workers (2)")
    return parser.parse_args()


# Images.

def random_bytes(rng, length):
    """Data, or zeros with a few other bytes."""
    kind = rng.random()
    if kind < 0.3:
        return rng.randbytes(length)
    if kind < 0.5:
        return bytes([rng.randrange(1, 256)]) * length
    data = bytearray(length)
    for _ in range(rng.choice((0, 0, 1, 3, 20))):
        data[rng.randrange(length)] = rng.randrange(1, 256)
    return bytes(data)


def make_source(rng, path):
    """Makes a sparse file. Returns its size."""
    unit = rng.choice((512, 512, 4 * KIB, MIB))
    size = max(unit, rng.randrange(512, rng.choice((300 * KIB, 5 * MIB, 20 * MIB))) // unit * unit)
    with open(path, "wb") as f:
        f.truncate(size)
        for _ in range(rng.choice((0, 2, 10, 30))):
            f.seek(rng.randrange(size) // 512 * 512)
            length = rng.choice((512, 4 * KIB, rng.randrange(1, 100) * 512, rng.randrange(1, 30) * 64 * KIB))
            f.write(random_bytes(rng, min(length, size - f.tell())))
    return size


def write_at_random(rng, path, form, size):
    """Writes, zeros and discards."""
    commands = []
    for _ in range(rng.choice((1, 5, 20))):
        at = rng.randrange(size) // 512 * 512
        length = min(rng.choice((512, 3 * KIB, 64 * KIB, rng.randrange(1, 500) * 512)), size - at)
        command = rng.choice(("write -P 0", f"write -P {rng.randrange(1, 256)}", "write -z", "discard"))
        commands += ["-c", f"{command} {at} {length}"]
    tool("qemu-io", "-f", form, *commands, path)


def make_chain(rng, directory, source, size, form, options):
    """Makes overlays, of which the first may be longer than its backing image. Returns the top."""
    backing, backing_form = source, "raw"
    for layer in range(rng.choice((1, 2, 3))):
        path = os.path.join(directory, f"layer{layer}.{form}")
        size += rng.choice((0, 0, 1536, 70 * KIB)) if layer == 0 else 0
        tool("qemu-img", "create", "-q", "-f", form, *(["-o", options] if options else []), "-b", os.path.basename(backing),
             "-F", backing_form, path, size)
        write_at_random(rng, path, form, size)
        backing, backing_form = path, form
    return backing


def make_image(rng, directory, kind):
    """Returns (path, format, options of our program)."""
    form, options = kind
    source = os.path.join(directory, "source.raw")
    size = make_source(rng, source)
    if form == "raw":
        return source, "raw", []
    if form == "chain":
        granted = "follow=beside" + (",backing-format=qed" if options[0] == "qed" else "")
        return make_chain(rng, directory, source, size, *options), options[0], ["-o", granted]
    if options is None:
        options = [f"cluster_size={rng.choice(CLUSTERS)}"]
    path = os.path.join(directory, f"image.{form}")
    arguments_ = [a for o in options for a in (["-c"] if o == "-c" else ["-o", o])]
    # -S 0 also writes the zeros of the source.
    sparse = ["-S", "0"] if rng.random() < 0.5 and "-c" not in options and "streamOptimized" not in str(options) else []
    tool("qemu-img", "convert", "-f", "raw", "-O", form, *arguments_, *sparse, source, path)
    if form == "qcow2" and "-c" not in options and "compat=0.10" not in options:
        write_at_random(rng, path, form, size)
    return path, form, ["-o", "follow=beside"] if form == "vmdk" else []


# Expected results.

def joined(pieces):
    """Joins adjacent pieces (offset, end)."""
    out = []
    for offset, end in pieces:
        if out and out[-1][1] == offset:
            out[-1] = (out[-1][0], end)
        else:
            out.append((offset, end))
    return out


def written_of(guest, runs):
    """The pieces of data runs (start, end) that a conversion writes: blocks with a byte other than zero, within buffers that begin at
    the start of the run."""
    for start, end in runs:
        at = start
        while at < end:
            stop = min(end, at - at % BLOCK + BLOCK, at + BUFFER - (at - start) % BUFFER)
            if any(guest[at:stop]):
                yield at, stop
            at = stop


def data_runs(path, form):
    ranges = json.loads(tool("qemu-img", "map", "-f", form, "--output=json", path))
    return [(r["start"], r["start"] + r["length"]) for r in ranges if r["data"] and not r["zero"]]


def allocated_by_conversion(path, form, directory):
    """The ranges that a conversion allocates."""
    out = os.path.join(directory, "converted")
    tool("qemu-img", "convert", "-f", form, "-O", "qcow2", "-o", "cluster_size=512", path, out)
    return joined(data_runs(out, "qcow2"))


def slab_lines(guest, pieces):
    """The lines of map-image about slabs with written pieces."""
    slabs = sorted({n for start, end in pieces for n in range(start // SLAB, (end - 1) // SLAB + 1)})
    return [f"slab {n * SLAB} {len(guest[n * SLAB:(n + 1) * SLAB])} {zlib.crc32(guest[n * SLAB:(n + 1) * SLAB])}"
            for n in slabs]


def compare(build, directory, path, form, options):
    """A message about a difference, or ""."""
    raw = os.path.join(directory, "guest")
    tool("qemu-img", "convert", "-f", form, "-O", "raw", path, raw)
    with open(raw, "rb") as f:
        guest = f.read()
    expected = joined(written_of(guest, data_runs(path, form)))
    code, out, error = run(f"{build}/tests/oracle/map-image", "-w", *options, path)
    if code or error:
        return f"map-image: exit code {code}: {error}"
    ours = [tuple(int(word) for word in line.split()) for line in out.splitlines()]
    ours = [(offset, offset + length) for offset, length in ours]
    if ours != expected:
        return f"computed {expected}, ours {ours}"
    theirs = allocated_by_conversion(path, form, directory)
    rounded = joined((a, -(-b // 512) * 512) for a, b in ours)
    if theirs != rounded:
        return f"qemu-img writes {theirs}, ours {ours}"
    out = run(f"{build}/tests/oracle/map-image", "-s", *options, path)[1]
    slabs = [line for line in out.splitlines() if line.startswith("slab ")]
    return "" if slabs == slab_lines(guest, expected) else f"slabs differ: {slabs}, not {slab_lines(guest, expected)}"


def one_image(args, base, index, number):
    rng = random.Random(f"{args.seed}:{index}:{number}")
    with tempfile.TemporaryDirectory(dir=base) as directory:
        words = compare(args.build, directory, *make_image(rng, directory, KINDS[number]))
    return [f"FAILED --seed {args.seed} --only {index}: {KINDS[number]}: {words}"] if words else [], 1


def main():
    args = arguments()

    def submit(pool, base, rounds):
        return [pool.submit(one_image, args, base, index, number) for index in rounds for number in range(len(KINDS))]

    return campaign(args, "contents.py", ("qemu-img", "qemu-io", f"{args.build}/tests/oracle/map-image"), submit)


if __name__ == "__main__":
    sys.exit(main())
