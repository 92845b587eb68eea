#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares instar-cat with qemu-img: random images, or the statements of fixtures about qemu-img.

    tests/oracle/run.py [-n N] [--seed S]            N random images
    tests/oracle/run.py --seed S --only INDEX        one of them again
    tests/oracle/run.py --fixtures DIR               the `# qemu-img:` lines of DIR/*/*.expect

Format, sizes and measure must be equal byte for byte, the map range by range. Exit status: 0 all agree, 1 some differ, 2 a tool is
missing.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import oracle.ask
import oracle.fixtures
import oracle.images

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=300, metavar="N", help="number of images (300)")
    parser.add_argument("--seed", default="1", metavar="S", help="seed of all random choices (1)")
    parser.add_argument("--only", type=int, metavar="INDEX", help="only this image of the seed")
    parser.add_argument("--kind", choices=oracle.images.KINDS, help="only images of this kind")
    parser.add_argument("--build", default=str(ROOT / "build"), metavar="DIR", help="directory of our programs")
    parser.add_argument("--keep", metavar="DIR", help="directory for images on which the tools differ")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="workers (2)")
    parser.add_argument("--fixtures", metavar="DIR", help="check the fixtures in DIR instead")
    return parser.parse_args()


def require_tools(*ours):
    """A missing tool is a failure: skipping would hide that nothing was compared."""
    missing = [tool for tool in ("qemu-img", "qemu-io", *ours) if not shutil.which(tool)]
    if missing:
        print(f"oracle: missing: {', '.join(missing)}", file=sys.stderr)
        sys.exit(2)


class Worker(threading.local):
    """A thread's own directory."""

    def __init__(self, base):
        self.directory = tempfile.mkdtemp(dir=base)


Result = collections.namedtuple("Result", "index kind report attempts")


def keep(image, args, index):
    """Copies the image with its files to a directory of its own."""
    name = os.path.join(args.keep, f"{args.seed}-{index}")
    shutil.rmtree(name, ignore_errors=True)
    os.makedirs(name)
    for file in os.listdir(image.directory):
        oracle.ask.run("cp", "--sparse=always", os.path.join(image.directory, file), name)
    return name


def compare(args, image):
    """Returns (message or "", number of attempts)."""
    if image.compare:
        return image.compare(args, image)
    report, attempts = "", 0
    for options in image.option_sets:
        words, count = oracle.ask.compare(args, image.path, image.format, options, image.through)
        report += words
        attempts = max(attempts, count)
    return report, attempts


def one(args, worker, index):
    """Makes and compares the image of that index."""
    kind = oracle.images.kind_of(index)
    image = oracle.images.Image(random.Random(f"{args.seed}:{index}"), worker.directory, kind)
    attempts = 0
    try:
        oracle.images.make(image)
        report, attempts = compare(args, image)
    except Exception as error:  # whatever it is, it is reported with its image
        report = f"    {type(error).__name__}: {error}\n"
    if report:
        report += "    commands:\n" + oracle.ask.indent("\n".join(image.commands))
        if args.keep and os.path.exists(image.path):
            report += f"    kept: {keep(image, args, index)}\n"
    for name in os.listdir(worker.directory):
        os.unlink(os.path.join(worker.directory, name))
    return Result(index, kind, report, attempts)


def compare_images(args, base):
    """Prints each failure and a line per kind. Returns (passed, failed)."""
    indices = range(args.n) if args.only is None else [args.only]
    if args.kind:
        indices = [i for i in indices if oracle.images.kind_of(i) == args.kind]
    worker = Worker(base)
    passed, failed, again = collections.Counter(), collections.Counter(), []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda index: one(args, worker, index), indices):
            if result.attempts > 1 and not result.report:
                again.append(f"{result.index} ({result.kind})")
            (failed if result.report else passed)[result.kind] += 1
            if result.report:
                print(f"FAILED {result.kind}: --seed {args.seed} --only {result.index}\n{result.report}", flush=True)
    for kind in oracle.images.KINDS:
        if passed[kind] + failed[kind]:
            print(f"{kind}: {passed[kind]} passed, {failed[kind]} failed")
    if again:
        print(f"agreed in a later attempt, as unwritten extents had been read: {', '.join(again)}")
    return passed.total(), failed.total()


def main():
    args = arguments()
    args.instar_cat = os.path.abspath(f"{args.build}/instar-cat")
    args.map_image = os.path.abspath(f"{args.build}/tests/oracle/map-image")
    require_tools(args.instar_cat, args.map_image)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="oracle-") as base:
        if args.fixtures:
            passed, failed = oracle.fixtures.check_all(args.instar_cat, args.fixtures, base, args.jobs)
        else:
            passed, failed = compare_images(args, base)
    print(f"seed {args.seed}, {time.monotonic() - begin:.0f} s" if not args.fixtures else args.fixtures)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
