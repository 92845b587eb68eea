#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the sizes of target formats with qemu-img measure, and with the files that qemu-img writes.

    tests/oracle/targets.py --build BUILD [-n N] [--sets M] [--seed S] N random sources for every conversion
    tests/oracle/targets.py --build BUILD --seed S --only INDEX        one of them again

raw, qcow2 and luks: M random option sets with `qemu-img measure`, distributed over the sources. Others: the file that `qemu-img
convert` writes must have the required size if the source has no 4 KiB of zeros among its data, and else at most that. Also compares
the refused and accepted options of tests/support/target-options-table.h. Exit status: 0 all agree, 1 some differ, 2 a tool is
missing.
"""

import argparse
import concurrent.futures
import errno
import glob
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

TABLES = pathlib.Path(__file__).resolve().parents[1] / "support"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BLOCK = 4 * KIB

# Conversions: target and options. Measured sizes are those of the files; for BOUNDS they are upper bounds.
WRITTEN = (
    ("vmdk", ""), ("vmdk", "zeroed_grain=on,adapter_type=lsilogic"), ("vmdk", "subformat=streamOptimized"),
    ("vmdk", "subformat=monolithicFlat"), ("vmdk", "subformat=twoGbMaxExtentSparse"),
    ("vmdk", "subformat=twoGbMaxExtentFlat"),
    ("vpc", ""), ("vpc", "force_size=on"), ("vpc", "subformat=fixed"), ("vpc", "subformat=fixed,force_size"),
    ("vhdx", ""), ("vhdx", "block_size=1M"), ("vhdx", "block_size=32M,log_size=3M"), ("vhdx", "subformat=fixed"),
    ("vhdx", "subformat=fixed,block_size=2M,log_size=1500k"), ("vhdx", "subformat=fixed,block_state_zero=off"),
    ("vdi", ""), ("vdi", "static=on"),
    ("qed", ""), ("qed", "cluster_size=4k,table_size=2"), ("qed", "cluster_size=1M"), ("qed", "table_size=16"),
    ("parallels", ""), ("parallels", "cluster_size=4k"), ("parallels", "cluster_size=64k"),
    ("qcow", ""),
)
BOUNDS = (("vmdk", "subformat=streamOptimized"), ("vmdk", "subformat=monolithicFlat"),
          ("vmdk", "subformat=twoGbMaxExtentSparse"), ("vmdk", "subformat=twoGbMaxExtentFlat"))


def run(*args):
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, text=True, errors="replace")
    return done.returncode, done.stdout, done.stderr


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, help="directory of the programs")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="number of sources (20)")
    parser.add_argument("--sets", type=int, default=100, metavar="M", help="number of option sets to measure (100)")
    parser.add_argument("--seed", default="1", metavar="S", help="seed of all random choices (1)")
    parser.add_argument("--only", type=int, metavar="INDEX", help="only this source of the seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="J", help="workers (as many as processors)")
    return parser.parse_args()


# Sources.

def random_size(rng, index):
    """Mostly small; every fifth of several GiB, where tables and default unit sizes grow."""
    if index % 5 == 4:
        size = rng.randrange(GIB // 512, 9 * GIB // 512) * 512
    else:
        size = rng.randrange(1, (64 * MIB if rng.random() < 0.7 else 700 * MIB) // 512) * 512
    edge = rng.choice((512, 512, MIB, 2 * MIB, 32 * MIB, 2 * GIB))
    return size // edge * edge or edge


def make_source(rng, path, index):
    """Makes a sparse file. Returns its size, and whether it has zeros among its data."""
    size = random_size(rng, index)
    zeros = rng.random() < 0.25
    with open(path, "wb") as f:
        f.truncate(size)
        for _ in range(rng.choice((0, 1, 3, 10, 25))):
            f.seek(rng.randrange(size) // BLOCK * BLOCK)
            length = min(rng.choice((1, 1, 2, 16, 17, rng.randrange(1, 600))) * BLOCK, size - f.tell())
            if zeros and rng.random() < 0.4:
                f.write(bytes(length))
            elif rng.random() < 0.5:
                f.write(rng.randbytes(length))
            else:
                f.write(bytes([rng.randrange(1, 256)]) * length)
    return size, zeros


def ours(program, form, source, pairs):
    """The lines of measure-target for all pairs of target and options."""
    code, out, error = run(program, form, source, *(f"{t}:{o}" if o else t for t, o in pairs))
    if code or error or len(out.splitlines()) != len(pairs):
        raise RuntimeError(f"measure-target: exit code {code}: {out}{error}")
    return out.splitlines()


# Written files.

def written_size(directory):
    """Bytes of the file, or of all files of the image."""
    return sum(os.path.getsize(name) for name in glob.glob(os.path.join(directory, "out*")))


def refused_alike(line, error):
    """Whether our message is qemu-img's. For an image that qemu-img writes but cannot open it is ours."""
    words = line.partition(" ")[2]
    past_end = "points after end of file" in error and "ends after the end of the file" in words
    return line.startswith("-") and (first_words(error) == words or past_end)


def compare_written(source, directory, pair, line, exact):
    """A message if the file and the line of measure-target differ, or ""."""
    target, options = pair
    for name in glob.glob(os.path.join(directory, "out*")):
        os.unlink(name)
    code, _, error = run("qemu-img", "convert", "-f", "raw", "-O", target, *(["-o", options] if options else []),
                         source, os.path.join(directory, "out." + target))
    if code:
        return "" if refused_alike(line, error) else f"qemu-img fails: {error.strip()}; ours: {line}"
    if line.startswith("-"):
        return f"qemu-img writes it, ours: {line}"
    size = written_size(directory)
    required, full = (int(word) for word in line.split())
    if size > required or required > full or (exact and pair not in BOUNDS and size != required):
        return f"the file has {size} bytes, ours: {line}"
    return ""


def one_source(args, base, index):
    """Messages about differences, and the number of comparisons."""
    rng = random.Random(f"{args.seed}:{index}")
    with tempfile.TemporaryDirectory(dir=base) as directory:
        source = os.path.join(directory, "source")
        size, zeros = make_source(rng, source, index)
        sets = sets_of(args, rng, index)
        lines = ours(f"{args.build}/tests/oracle/measure-target", "raw", source, (*WRITTEN, *sets))
        reports = compare_measured(source, sets, lines[len(WRITTEN):])
        for pair, line in zip(WRITTEN, lines):
            words = compare_written(source, directory, pair, line, not zeros)
            if words:
                reports.append(f"FAILED --seed {args.seed} --only {index}: {size} bytes, {pair}: {words}")
    return reports, len(lines)


# Measured sizes.

def random_options(rng):
    """A target and valid options."""
    if rng.random() < 0.2:
        return "raw", rng.choice(("", "size=1G", "preallocation=full", "nocow=on"))
    clusters = [512 << n for n in range(13)]
    options = {}
    if rng.random() < 0.8:
        options["cluster_size"] = rng.choice(clusters)
    if options.get("cluster_size", 65536) >= 16384 and rng.random() < 0.4:
        options["extended_l2"] = rng.choice(("on", "off", "yes", "n"))
    if rng.random() < 0.6:
        options["refcount_bits"] = 1 << rng.randrange(7)
    if options.get("refcount_bits", 16) == 16 and rng.random() < 0.3:
        options["compat"] = rng.choice(("0.10", "1.1"))
    if rng.random() < 0.3:
        options["preallocation"] = rng.choice(("off", "metadata", "falloc", "full"))
    for key, value in (("lazy_refcounts", "on"), ("compression_type", "zstd"), ("backing_file", "a,,b"),
                       ("backing_fmt", "raw"), ("data_file", "d"), ("data_file_raw", "on"), ("size", "1T"),
                       ("encrypt.format", "aes"), ("encryption", "on")):
        if rng.random() < 0.06:
            options[key] = value
    return "qcow2", ",".join(f"{k}={v}" for k, v in options.items())


def ask_measure(target, options, source):
    """The sizes that qemu-img measures, or its message. Its measurement of key derivation speed fails sometimes: then again."""
    for _ in range(20):
        code, out, error = run("qemu-img", "measure", "--output=json", "--object", "secret,id=key,data=x", "-f", "raw",
                               "-O", target, *(["-o", options] if options else []), source)
        if "Unable to get accurate CPU usage" not in error:
            break
    if code:
        return first_words(error)
    answer = json.loads(out)
    return f"{answer['required']} {answer['fully-allocated']}"


def random_cipher(rng):
    """An encrypted target and options. Each takes seconds, as qemu measures its speed of key derivation."""
    cipher = rng.choice(("", "aes-128", "aes-192", "serpent-256", "twofish-128"))
    keys = {"key-secret": "key", "iter-time": "10", **({"cipher-alg": cipher} if cipher else {})}
    if cipher != "aes-192":  # with which qemu 7.2 fails an assertion, except in mode xts
        keys["cipher-mode"] = rng.choice(("xts", "cbc"))
    if rng.random() < 0.5:
        return "luks", ",".join(f"{k}={v}" for k, v in keys.items())
    return "qcow2", ",".join(["encrypt.format=luks", f"cluster_size={rng.choice((512, 65536))}",
                              *(f"encrypt.{k}={v}" for k, v in keys.items())])


def sets_of(args, rng, index):
    """The option sets that are measured with this source; with every tenth source one is encrypted."""
    share = args.sets * (index + 1) // args.n - args.sets * index // args.n
    return [random_cipher(rng) if index % 10 == 9 and i == 0 else random_options(rng) for i in range(share)]


def compare_measured(source, sets, lines):
    """Messages about differences from qemu-img measure."""
    reports = []
    for (target, options), line in zip(sets, lines):
        expected = ask_measure(target, options, source)
        if line != expected and line.partition(" ")[::2] != (str(-errno.EINVAL), expected):
            reports.append(f"FAILED measure -O {target} -o {options}: {expected}, ours: {line}")
    return reports


# Refused and accepted options.

def first_words(error):
    """The first line of a message of qemu-img, without the operation and the file."""
    line = error.splitlines()[0] if error else ""
    line = re.sub(r"^qemu-img: ", "", line)
    return re.sub(r"^(\S+/out(?:\.\w+)?: (error while converting \w+: )?|Could not open '\S+': )", "", line)


def try_options(target, options, directory, with_key):
    """The message of qemu-img, or "" if it accepts the options. See ask_measure() for the repetition."""
    source, out = os.path.join(directory, "few"), os.path.join(directory, "out")
    with open(source, "wb") as f:
        f.truncate(MIB)
    if target == "luks" and with_key:  # without a key it does not check all of them; accepted ones take seconds
        options += ",key-secret=key,iter-time=10"
        command = ["measure", "--object", "secret,id=key,data=x", "-f", "raw", "-O", target, "-o", options, source]
    elif target in ("raw", "qcow2", "luks"):
        command = ["measure", "-f", "raw", "-O", target, "-o", options, source]
    else:
        command = ["convert", "-f", "raw", "-O", target, "-o", options, source, out]
    for _ in range(20):
        code, _, error = run("qemu-img", *command)
        if "Unable to get accurate CPU usage" not in error:
            break
    for name in glob.glob(out + "*"):
        os.unlink(name)
    return first_words(error) if code else ""


def table_rows(path, least):
    """The rows of a unit test's table: REFUSED or TAKEN, and the strings."""
    text = path.read_text()
    rows = [(kind, [json.loads(word) for word in re.findall(r'"(?:[^"\\]|\\.)*"', row)])
            for kind, row in re.findall(r"^(REFUSED|TAKEN)\((.*)\)$", text, re.M)]
    if len(rows) < least or any(len(words) != 3 for _, words in rows):
        raise RuntimeError("the table of options cannot be read")
    return rows


def check_rows(base, rows):
    """Compares rows of the table with qemu-img."""
    reports = []
    with tempfile.TemporaryDirectory(dir=base) as directory:
        for kind, (target, options, words) in rows:
            theirs = try_options(target, options, directory, kind == "REFUSED")
            if kind == "TAKEN" and "is required for cipher" in theirs:
                theirs = ""  # we need no key
            if theirs != (words if kind == "REFUSED" else ""):
                reports.append(f"FAILED table: -O {target} -o {options!r}: qemu-img: {theirs!r}")
    return reports, len(rows)


def campaign(args, program, needed, submit):
    """
    Runs the jobs that submit(pool, base, indices) starts, each of which returns messages and its number of comparisons; prints the
    messages and the sum. Returns the exit status.
    """
    begin = time.monotonic()
    missing = [t for t in needed if not shutil.which(t)]
    if missing:
        print(f"{program}: missing: {', '.join(missing)}", file=sys.stderr)
        return 2
    failed = count = 0
    with tempfile.TemporaryDirectory(prefix=f"{program}-") as base:
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for job in submit(pool, base, range(args.n) if args.only is None else [args.only]):
                reports, done = job.result()
                count += done
                failed += len(reports)
                for report in reports:
                    print(report, flush=True)
    print(f"seed {args.seed}, {time.monotonic() - begin:.0f} s: {count - failed} passed, {failed} failed")
    return 1 if failed or not count else 0


def main():
    args = arguments()

    def submit(pool, base, indices):
        rows = table_rows(TABLES / "target-options-table.h", 100) if args.only is None else []
        jobs = [pool.submit(check_rows, base, rows[i:i + 20]) for i in range(0, len(rows), 20)]
        return jobs + [pool.submit(one_source, args, base, index) for index in indices]

    return campaign(args, "targets.py", ("qemu-img", f"{args.build}/tests/oracle/measure-target"), submit)


if __name__ == "__main__":
    sys.exit(main())
