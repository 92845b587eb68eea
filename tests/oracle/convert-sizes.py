#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares convert_size/ with the files that qemu-img convert writes, to the byte.

    tests/oracle/convert-sizes.py --build BUILD [-n N] [--seed S]      N random sources for every target and set of options
    tests/oracle/convert-sizes.py --build BUILD --seed S --only INDEX  one of them again

A source is a sparse disk with data and zeros anywhere, as a raw image, in another format, or as a chain of two. No size may exceed
the measured one. Also compares the options that creation refuses (tests/support/conversion-options-table.h). Exit status: 0 all
agree, 1 some differ, 2 a tool is missing.
"""

import argparse
import glob
import os
import pathlib
import random
import re
import sys
import tempfile

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
from oracle.targets import BLOCK, GIB, KIB, MIB, TABLES, campaign, first_words, ours, refused_alike, run, table_rows

TIB = 1 << 40
SECRET = ("--object", "secret,id=key,data=x")

# Every source is converted to all of these.
FIXED = (
    ("raw", ""), ("qcow2", ""), ("vmdk", ""), ("vpc", ""), ("vhdx", ""), ("vdi", ""), ("qed", ""), ("parallels", ""),
    ("qcow", ""),
    ("vmdk", "subformat=streamOptimized"), ("vmdk", "subformat=monolithicFlat"),
    ("vmdk", "subformat=twoGbMaxExtentSparse"), ("vmdk", "subformat=twoGbMaxExtentFlat"),
    ("qcow2", "compressed=on"), ("qcow", "compressed=on"),
)
# And to some of these.
OTHERS = (
    ("raw", "preallocation=full"),
    ("vmdk", "zeroed_grain=on,adapter_type=lsilogic"), ("vmdk", "adapter_type=buslogic,hwversion=7"),
    ("vmdk", "subformat=monolithicFlat,adapter_type=legacyESX,toolsversion=12345"), ("vmdk", "compat6=on"),
    ("vmdk", "subformat=twoGbMaxExtentSparse,compat6=on"), ("vmdk", "subformat=twoGbMaxExtentFlat,adapter_type=lsilogic"),
    ("vpc", "force_size=on"), ("vpc", "subformat=fixed"), ("vpc", "subformat=fixed,force_size=on"),
    ("vhdx", "block_size=1M"), ("vhdx", "block_size=32M,log_size=3M"), ("vhdx", "subformat=fixed"),
    ("vhdx", "subformat=fixed,block_size=2M,log_size=1500k"), ("vhdx", "subformat=fixed,block_state_zero=off"),
    ("qed", "cluster_size=4k,table_size=2"), ("qed", "cluster_size=1M"), ("qed", "table_size=16"),
    ("parallels", "cluster_size=4k"), ("parallels", "cluster_size=64k"),
    ("qcow2", "compressed=on,compression_type=zstd"),
    ("luks", "key-secret=key,iter-time=10"), ("luks", "key-secret=key,iter-time=10,cipher-alg=aes-128"),
)
KEYS_OF_SECRETS = "key-secret"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="directory of the programs")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="number of sources (20)")
    parser.add_argument("--seed", default="1", metavar="S", help="seed of all random choices (1)")
    parser.add_argument("--only", type=int, metavar="INDEX", help="only this source of the seed")
    parser.add_argument("--targets", help="only these, separated by commas")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="workers (2)")
    return parser.parse_args()


# Sources.

def random_size(rng):
    """Mostly small; some of many GiB, where tables grow; some not a multiple of a sector or block."""
    kind = rng.random()
    if kind < 0.65:
        size = rng.randrange(1, 64 * MIB)
    elif kind < 0.85:
        size = rng.randrange(1, 9 * GIB)
    else:
        size = rng.randrange(1, 3 * TIB)
    edge = rng.choice((1, 512, 512, BLOCK, MIB, 2 * MIB, 2 * GIB))
    return size // edge * edge or edge


def random_piece(rng, length):
    """Bytes that compress not at all, well, or somewhat."""
    kind = rng.random()
    if kind < 0.4:
        return rng.randbytes(length)
    if kind < 0.7:
        return bytes([rng.randrange(1, 256)]) * length
    words = [rng.randbytes(rng.randrange(1, 40)) for _ in range(rng.choice((3, 50, 400)))]
    text = b"".join(rng.choices(words, k=length // 8 + 1))
    return text[:length] + bytes(length - len(text[:length]))


def write_pieces(rng, f, size, most):
    """Writes data at random places, at some of them densely, with zeros in it."""
    for _ in range(rng.choice((0, 1, 3, 10, 25))):
        unit = rng.choice((1, 512, BLOCK, BLOCK, 64 * KIB))
        at = rng.choice((0, size - size % unit, rng.randrange(size))) // unit * unit
        f.seek(at)
        for _ in range(rng.choice((1, 1, 2, 8))):
            length = min(rng.choice((1, 512, BLOCK, 2 * BLOCK, 64 * KIB, rng.randrange(1, most))), size - f.tell())
            f.write(bytes(length) if rng.random() < 0.3 else random_piece(rng, length))


def source_options(rng, size):
    """A format that can hold the disk, and options."""
    clusters = [c for c in (512, 4 * KIB, 64 * KIB, 2 * MIB) if size <= c * c * 512 * KIB]
    formats = [("qcow2", ["-o", f"cluster_size={rng.choice(clusters)}"]), ("qcow2", ["-c"]), ("vdi", [])]
    if size < 2000 * GIB:
        formats += [("vpc", ["-o", "force_size=on"]), ("parallels", []), ("qed", []), ("vhdx", [])]
    if size < GIB:  # qemu-img is slow: it converts single clusters
        formats += [("qcow", [])]
    if size < 64 * GIB:  # and single grains
        formats += [("vmdk", [])]
    return rng.choice(formats)


def make_source(rng, directory):
    """Makes a disk in a random format. Returns (format, path) of each layer, the top first."""
    raw = os.path.join(directory, "source.raw")
    size = random_size(rng)
    with open(raw, "wb") as f:
        f.truncate(size)
        write_pieces(rng, f, size, rng.choice((20, 600, 2000)) * KIB)
    if rng.random() < 0.55:
        return [("raw", raw)]
    form, options = source_options(rng, size)
    path = os.path.join(directory, "source." + form)
    checked("qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, path)
    if form != "qcow2" or rng.random() < 0.5:
        return [(form, path)]
    top = os.path.join(directory, "top.qcow2")
    checked("qemu-img", "create", "-q", "-f", "qcow2", "-b", path, "-F", "qcow2", top)
    for _ in range(rng.choice((1, 5))):
        at = rng.randrange(size) // BLOCK * BLOCK
        length = min(rng.choice((BLOCK, 64 * KIB, 200 * KIB)), size // 512 * 512 - at)
        if length > 0:
            checked("qemu-io", "-f", "qcow2", "-c", f"write -P {rng.choice((0, 7))} {at} {length}", top)
    return [("qcow2", top), ("qcow2", path)]


def checked(*command):
    code, out, error = run(*command)
    if code or "fail" in out:
        raise RuntimeError(f"{' '.join(command)}: exit code {code}: {out}{error}")


# Targets.

def random_qcow2(rng):
    """Valid options of creation."""
    options = {}
    if rng.random() < 0.85:
        options["cluster_size"] = rng.choice((512, 1024, 2048, 4096, 512 << rng.randrange(13)))
    cluster = options.get("cluster_size", 65536)
    kind = rng.random()
    if kind < 0.2:
        options["compat"] = "0.10"
    else:
        if cluster >= 16384 and rng.random() < 0.4:
            options["extended_l2"] = "on"
        if rng.random() < 0.6:
            options["refcount_bits"] = rng.choice((1 << rng.randrange(7), 64))
        if rng.random() < 0.1:
            options["lazy_refcounts"] = "on"
    kind = rng.random()
    if kind < 0.12:
        options.update({"compressed": "on"})
        if options.get("compat") != "0.10" and rng.random() < 0.5:
            options["compression_type"] = "zstd"
    elif kind < 0.3:
        options["preallocation"] = rng.choice(("metadata", "falloc", "full", "off"))
    elif kind < 0.36:
        options.update({"encrypt.format": "luks", "encrypt.key-secret": "key", "encrypt.iter-time": "10"})
    elif kind < 0.40:
        options.update({"encrypt.format": "aes", "encrypt.key-secret": "key"})
    return "qcow2", ",".join(f"{k}={v}" for k, v in options.items())


def convert(form, source, directory, pair):
    """Converts. Returns the message of qemu-img, the sizes of the files by name, and the start of the file."""
    target, options = pair
    for name in glob.glob(os.path.join(directory, "out*")):
        os.unlink(name)
    options = [o for o in options.split(",") if o]
    command = ["qemu-img", "convert", "-f", form, "-O", target]
    if "compressed=on" in options or "compressed" in options:
        options = [o for o in options if not o.startswith("compressed")]
        command.append("-c")
    options = [o for o in options if o != "compressed=off"]
    if any(KEYS_OF_SECRETS in o for o in options):
        command += SECRET
    if options:
        command += ["-o", ",".join(options)]
    for _ in range(20):  # its measurement of key derivation speed fails sometimes
        code, _, error = run(*command, source, os.path.join(directory, "out.img"))
        if "Unable to get accurate CPU usage" not in error:
            break
    if code and not error:  # qcow with -c: the file is complete
        code = 0
    with open(os.path.join(directory, "out.img"), "rb") if not code else open(os.devnull, "rb") as f:
        begin = f.read(512).decode(errors="replace")
    return error if code else "", {os.path.basename(n): os.path.getsize(n)
                                   for n in glob.glob(os.path.join(directory, "out*"))}, begin


def whole_descriptor(size, text):
    """The size of a descriptor with a content id of eight digits: qemu-img omits leading zeros."""
    return size + 8 - len(re.search("^CID=(.*)$", text, re.M).group(1)) if size % 512 else size


def differs(line, error, files, descriptor):
    """A message if a line of convert-size and the files differ, or ""."""
    words = line.split()
    if error:
        return "" if refused_alike(line, error) else f"qemu-img fails: {error.strip()}; ours: {line}"
    if line.startswith("-"):
        return f"qemu-img writes it, ours: {line}"
    if len(words) > 1:
        files = {**files, "out.img": whole_descriptor(files["out.img"], descriptor)}
        sizes = {name: int(size) for size, _, name in (w.partition(":") for w in words[1:])}
        if sizes != files:
            return f"files {sorted(files.items())}, ours: {sorted(sizes.items())}"
    if int(words[0]) != sum(files.values()):
        return f"the file has {sum(files.values())} bytes, ours: {line}"
    return ""


def affordable(pair, size):
    """Whether qemu-img converts it in little time and space."""
    target, options = pair
    cluster = next((int(o[13:]) for o in options.split(",") if o.startswith("cluster_size=") and o[13:].isdigit()), 65536)
    if "preallocation=full" in options or target == "luks" or "encrypt.format" in options and "preallocation" in options:
        return size < 64 * MIB
    if "preallocation=falloc" in options:
        return size < 9 * GIB and size / cluster < 1e6
    if "preallocation=metadata" in options:
        return size / cluster < 3e5
    if target == "vmdk" and "twoGb" in options:
        return size < 200 * GIB
    if "vhdx" == target and "fixed" in options:
        return size < 8 * GIB
    return True


def value_of(options, key, otherwise):
    """The number of an option."""
    return next((int(o[len(key) + 1:]) for o in options.split(",") if o.startswith(key + "=")), otherwise)


def table_grows(options, size):
    """Whether a qcow2 file of that size needs a refcount table of more than one cluster."""
    cluster = value_of(options, "cluster_size", 65536)
    return size // cluster > cluster // 8 * cluster * 8 // value_of(options, "refcount_bits", 16)


def above_measured(args, layers, pairs, lines):
    """Messages about sizes that exceed the measured ones, for disks in one file. Exceptions, in which qemu-img measures too little:
    preallocated metadata, as it leaves out the data, and a growing refcount table of qcow2, which leaves its old clusters."""
    if len(layers) > 1:
        return []
    measurable = [(t, ",".join(o for o in options.split(",") if o and o != "compressed=on")) for t, options in pairs]
    reports = []
    for pair, line, one in zip(pairs, lines, measurable):
        if line.startswith("-"):
            continue
        measured = ours(f"{args.build}/tests/oracle/measure-target", *layers[0], [one])[0]
        bound = int(measured.split()[1 if "preallocation=metadata" in pair[1] else 0])
        if int(line.split()[0]) > bound and not (pair[0] == "qcow2" and table_grows(pair[1], int(line.split()[0]))):
            reports.append(f"FAILED {pair}: {line} exceeds the measured {measured}")
    return reports


def refusals(base):
    """Messages about rows of the table that qemu-img convert contradicts, and the number of rows."""
    rows = table_rows(TABLES / "conversion-options-table.h", 30)
    reports = []
    with tempfile.TemporaryDirectory(dir=base) as directory:
        source = os.path.join(directory, "source")
        with open(source, "wb") as f:
            f.truncate(MIB)
        for kind, (target, options, words) in rows:
            if options == "compressed=on" and kind == "REFUSED":  # an option of ours for its -c
                continue
            theirs = first_words(convert("raw", source, directory, (target, options))[0])
            if theirs != (words if kind == "REFUSED" else ""):
                reports.append(f"FAILED table: -O {target} -o {options!r}: qemu-img: {theirs!r}")
    return reports, len(rows)


def one_source(args, base, index):
    """Messages about differences, and the number of comparisons."""
    rng = random.Random(f"{args.seed}:{index}")
    with tempfile.TemporaryDirectory(dir=base) as directory:
        layers = make_source(rng, directory)
        form, source = layers[0]
        size = int(run("qemu-img", "info", "-f", form, source)[1].split("(")[1].split()[0])
        pairs = list(FIXED) + rng.sample(OTHERS, 4) + [random_qcow2(rng) for _ in range(8)]
        if args.targets:
            pairs = [p for p in pairs if p[0] in args.targets.split(",")]
        pairs = [p for p in pairs if affordable(p, size)]
        code, out, error = run(f"{args.build}/tests/oracle/convert-size", *(f"-l{f}:{p}" for f, p in layers),
                              "out.img", *(f"{t},{o}" if o else t for t, o in pairs))
        if code or error or len(out.splitlines()) != len(pairs):
            return [f"FAILED --seed {args.seed} --only {index}: {form}: convert-size: {code}: {out}{error}"], 1
        reports = above_measured(args, layers, pairs, out.splitlines())
        for pair, line in zip(pairs, out.splitlines()):
            words = differs(line, *convert(form, source, directory, pair))
            if words:
                reports.append(f"FAILED --seed {args.seed} --only {index}: {form}, {size} bytes, {pair}: {words}")
    return reports, len(pairs)


def main():
    args = arguments()

    def submit(pool, base, indices):
        jobs = [pool.submit(refusals, base)] if args.only is None else []
        return jobs + [pool.submit(one_source, args, base, index) for index in indices]

    return campaign(args, "convert-sizes.py", ("qemu-img", "qemu-io", f"{args.build}/tests/oracle/convert-size"), submit)


if __name__ == "__main__":
    sys.exit(main())
