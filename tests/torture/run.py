#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damages images: truncates them at every byte and flips every bit of their metadata, or with --cases some; compares a sample with
qemu-img.

    tests/torture/run.py [--build BUILD] [--seeds 'qcow2/*,vpc/*'] [--sample N] [--random N] [--jobs J] [--seed S]
    tests/torture/run.py --every-length ...                                     also runs lengths within zeros, which must be alike
    tests/torture/run.py [--build BUILD] --seeds NAME --kind KIND --only N      compares that case again

In each case every file of the tree is read (tests/torture/torture.c). It must not crash, stall or take more than 64 MiB, and every
file must have text or an errno of the contract. Of each seed and kind --sample cases whose results no former case had are compared
with qemu-img, and half as many others; differences must be documented. With --cases each seed and kind has so many consecutive
cases, from a random one on. --seed makes the choice, also that of --count seeds; the default is the time, and is printed. Exit
status: 0 nothing was found, 1 something was, 2 a tool is missing.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import oracle.ask
import torture.compare
import torture.seeds

ROOT = pathlib.Path(__file__).resolve().parents[2]
FINDINGS = ("crash", "stall", "large", "wrong")
FINDINGS_SHOWN = 5  # of one seed and kind

Programs = collections.namedtuple("Programs", "torture instar_cat map_image")


def arguments():
    parser = argparse.ArgumentParser(description=" ".join(__doc__.splitlines()[:2]))
    parser.add_argument("--build", default=str(ROOT / "build"), help="directory of torture (build)")
    parser.add_argument("--oracle-build", help="directory of instar-cat and map-image (as --build)")
    parser.add_argument("--fixtures", default=str(ROOT / "fixtures"))
    parser.add_argument("--seeds", default="*", metavar="PATTERNS", help="names of fixtures, with wildcards (*)")
    parser.add_argument("--size", type=int, metavar="BYTES", help="only images up to this size")
    parser.add_argument("--count", type=int, metavar="N", help="only so many images")
    parser.add_argument("--seed", metavar="S", help="seed of all random choices (the time)")
    parser.add_argument("--sample", type=int, default=8, metavar="N", help="comparisons per image and kind (8)")
    parser.add_argument("--random", type=int, default=1000, metavar="N", help="random cases per image (1000)")
    parser.add_argument("--cases", type=int, metavar="N", help="at most so many cases per image and kind")
    parser.add_argument("--every-length", action="store_true", help="also run lengths within zeros, which must be alike")
    parser.add_argument("--self-test", action="store_true", help="first check that excessive memory is found")
    parser.add_argument("--minutes", type=float, metavar="M", help="start no more after that time")
    parser.add_argument("--progress", action="store_true", help="print a line per image and kind")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="workers (2)")
    parser.add_argument("--kind", choices=torture.seeds.KINDS, help="only cases of this kind")
    parser.add_argument("--only", type=int, metavar="N", help="only compare this case")
    args = parser.parse_args()
    args.seed = args.seed or str(int(time.time()))
    if args.only is not None and not args.kind:
        parser.error("--only is a case of a --kind")
    return args


class Sums(collections.Counter):
    """Counts of one format, and maxima of time and memory with their cases."""

    def __init__(self):
        super().__init__()
        self.largest = {"micros": (0, ""), "memory_kib": (0, "")}

    def see(self, figure, value, where):
        self.largest[figure] = max(self.largest[figure], (value, where))

    def add(self, other):
        self.update(other)
        for figure, (value, where) in other.largest.items():
            self.see(figure, value, where)


class Campaign:
    def __init__(self, args, base):
        self.args, self.base = args, base
        build = pathlib.Path(args.build)
        others = pathlib.Path(args.oracle_build or args.build)
        self.programs = Programs(build / "tests/torture/torture", others / "instar-cat", others / "tests/oracle/map-image")
        self.documented = torture.compare.Documented(args.fixtures, ROOT / "fs" / "mount.instar.8")
        self.end = time.monotonic() + 60 * args.minutes if args.minutes else None

    def cases(self, place, kind, rng):
        """The cases of the kind to run, as a range."""
        if kind == "random":
            begin = rng.randrange(1 << 32)
            return range(begin, begin + min(self.args.random, self.args.cases or self.args.random))
        command = place.torture(self.programs.torture, kind, "count")
        count = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        length = min(count, self.args.cases or count)
        begin = rng.randrange(count - length + 1)
        return range(begin, begin + length)

    def run(self, place, kind, cases):
        """Runs the cases. Returns (lines of output, standard error)."""
        every = ["-e"] if self.args.every_length else []
        done = subprocess.run(place.torture(self.programs.torture, kind, str(cases.start), str(cases.stop), *every),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.stdout.decode().splitlines(), done.stderr.decode(errors="replace")

    def finds_memory(self, seed):
        """Whether a case is reported as too large under a limit of 1 KiB."""
        place = torture.seeds.Workplace(seed, tempfile.mkdtemp(dir=self.base))
        done = subprocess.run(place.torture(self.programs.torture, "random", "1", "2", "-m", "1"), stdout=subprocess.PIPE)
        return done.returncode == 1 and done.stdout.startswith(b"large 1 ")

    def sample(self, lines, cases, rng):
        """The cases to compare: some of those with new results, and some others."""
        answers = [int(line.split()[1]) for line in lines if line.startswith("answers ")]
        wanted = rng.sample(answers, min(len(answers), self.args.sample))
        return wanted + [rng.choice(cases) for _ in range(self.args.sample // 2) if cases]

    def compare(self, place, kind, n):
        """Compares a case. Returns (verdict, message)."""
        place.restore()
        done = subprocess.run(place.torture(self.programs.torture, kind, "make", str(n)), stdin=subprocess.DEVNULL)
        if done.returncode:
            return "none", ""
        try:
            return torture.compare.compare(self.programs, self.documented, place, kind in ("truncate", "random"))
        except (oracle.ask.ToolError, subprocess.TimeoutExpired, OSError, ValueError, KeyError) as error:
            return "different", f"{type(error).__name__}: {error}"

    def unit(self, seed, kind):
        """Runs the cases of an image and kind. Returns (sums, report)."""
        sums, report = Sums(), ""
        if self.end and time.monotonic() > self.end:
            return sums, ""
        rng = random.Random(f"{self.args.seed}:{seed.name}:{kind}")
        directory = tempfile.mkdtemp(dir=self.base)
        place = torture.seeds.Workplace(seed, directory)
        cases = self.cases(place, kind, rng)
        lines, error = self.run(place, kind, cases)
        found = [line for line in lines if line.split()[0] in FINDINGS]
        report += self.count(seed, kind, lines, sums, error)
        for line in found[:FINDINGS_SHOWN]:
            report += f"FAILED {seed.name} {kind}: {line}\n{oracle.ask.indent(error[-4000:]) if error else ''}"
        for n in self.sample(lines, cases, rng):
            verdict, words = self.compare(place, kind, n)
            sums[verdict] += 1
            if verdict == "different":
                report += f"FAILED --seeds '{seed.name}' --kind {kind} --only {n}\n{oracle.ask.indent(words)}"
        shutil.rmtree(directory)
        return sums, report

    def count(self, seed, kind, lines, sums, error):
        """Adds the line of sums. Returns a message if there is none."""
        words = lines[-1].split() if lines else []
        if words[:1] != ["sums"]:
            sums["crash"] += 1
            return f"FAILED {seed.name} {kind}: no sums\n{oracle.ask.indent(error)}"
        figures = dict(zip(words[1::2], map(int, words[2::2])))
        sums[kind] += figures["run"]
        sums[kind + " alike"] += figures["alike"]
        for finding, name in zip(FINDINGS, ("crashes", "stalls", "large", "wrong")):
            sums[finding] += figures[name]
        sums.see("micros", figures["micros"], f"{seed.name} {kind} {figures['slowest']}")
        sums.see("memory_kib", figures["memory_kib"], f"{seed.name} {kind} {figures['largest']}")
        return ""


VERDICTS = ("equal", "refused", "documented", "unanswered", "different")
COLUMNS = ("truncate", "truncate alike", "flip", "repaired", "random", *FINDINGS, *VERDICTS)


def print_table(table):
    total = Sums()
    for sums in table.values():
        total.add(sums)
    print(f"{'':10}" + "".join(f"{column.split()[-1]:>11}" for column in COLUMNS) + f"{'slowest ms':>12}{'KiB':>8}")
    for form, sums in [*sorted(table.items()), ("all", total)]:
        print(f"{form:10}" + "".join(f"{sums[column]:11}" for column in COLUMNS)
              + f"{sums.largest['micros'][0] / 1000:12.1f}{sums.largest['memory_kib'][0]:8}")
    print(f"slowest: {total.largest['micros'][1]}; largest: {total.largest['memory_kib'][1]}")
    return total


def run_all(args, campaign, seeds):
    """Runs all images and kinds. Returns the sums."""
    kinds = [args.kind] if args.kind else torture.seeds.KINDS
    units = [(seed, kind) for seed in seeds for kind in kinds]
    table = {}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for (seed, kind), (sums, report) in zip(units, pool.map(lambda unit: campaign.unit(*unit), units)):
            table.setdefault(seed.form, Sums()).add(sums)
            print(report, end="", flush=True)
            if args.progress:
                cases = sum(sums[kind] + sums[f"{kind} alike"] for kind in torture.seeds.KINDS)
                print(f"{seed.name} {kind}: {cases} cases", flush=True)
    return print_table(table)


def compare_one(args, campaign, seeds):
    """Compares one case, and prints the result."""
    place = torture.seeds.Workplace(seeds[0], tempfile.mkdtemp(dir=campaign.base))
    verdict, words = campaign.compare(place, args.kind, args.only)
    print(f"{verdict}\n{oracle.ask.indent(words)}", end="")
    return 1 if verdict == "different" else 0


def main():
    args = arguments()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    if not shutil.which("qemu-img") or not shutil.which("prlimit"):
        print("torture.py: qemu-img or prlimit is missing", file=sys.stderr)
        return 2
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-", dir=memory) as base:
        campaign = Campaign(args, base)
        seeds = torture.seeds.choose(args.fixtures, base, args.seeds, args.seed)
        seeds = [seed for seed in seeds if not args.size or seed.size <= args.size][:args.count]
        if not seeds:
            print("torture.py: no such seeds", file=sys.stderr)
            return 2
        if args.only is not None:
            return compare_one(args, campaign, seeds)
        # First, so that an interrupted run can be repeated.
        print(f"torture.py: --seed {args.seed}", flush=True)
        if args.self_test and not campaign.finds_memory(seeds[0]):
            print("torture.py: excessive memory is not found", file=sys.stderr)
            return 1
        total = run_all(args, campaign, seeds)
    cases = sum(total[kind] for kind in torture.seeds.KINDS)
    compared = sum(total[verdict] for verdict in VERDICTS)
    failed = sum(total[finding] for finding in FINDINGS) + total["different"]
    print(f"seed {args.seed}, {time.monotonic() - begin:.0f} s, {len(seeds)} seeds: {cases} cases and "
          f"{total['truncate alike']} lengths alike, {compared} compared; {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
