#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Tests the table of bad inputs, tests/torture/bad-inputs/*.rows: results, time and memory of each, and, by strace(1), that no file but
the image was opened or tried. tests/torture/bad-inputs/README.md explains the columns.

    tests/torture/bad-inputs.py [--build DIR] [--only ID] [--show] [--self-test]

--show prints the results; --self-test falsifies every row and every result in each way and checks that this is found. The program
must have no sanitizers, as its time and memory are measured.
"""
import argparse
import collections
import concurrent.futures
import copy
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import torture.inputs
import oracle.fixtures
from support.strace import processes_of, strace

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 1.0
KILL_SECONDS = 10
KIB = 64 << 10  # of memory
TRIES = 2       # for a run that took too long
NOBODY = 65534

# Files that need the headers, or more.
DISK = ("virtual_size", "content", "measure/raw", "measure/qcow2", "allocated_size", "convert_size/qcow2")
VERDICTS = ("refused", "partly", "noted", "silent", "none")
# A good image has this problem, too: another format cannot hold its disk.
OF_TARGETS = re.compile(r"(layer \d+: )?\w+: as an? \w+ image: ")
# References from number 10 on are left out.
MANY = re.compile(r"== references/\d\d")
WRITES = re.compile("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
# Files that the loader opens before the program begins.
OWN = re.compile(r"/(usr/)?lib(64)?/.*|/etc/ld\.so\.(cache|preload)")


class Row:
    """A line of the table."""

    def __init__(self, line):
        columns = [column.strip() for column in line.split("|")]
        if not 6 <= len(columns) <= 7:
            raise SystemExit(f"not 6 or 7 columns: {line}")
        self.id, self.what, self.source, self.verdict, answers, words = columns[:6]
        self.remark = columns[6] if len(columns) > 6 else ""
        self.answers = [answer.partition("=")[::2] for answer in answers.split()]
        self.words = [part for part in words.split(" & ") if part]
        self.options = []
        if self.source.startswith("["):
            options, self.source = self.source[1:].split("] ", 1)
            self.options = ["-o", options]
        if self.verdict not in VERDICTS:
            raise SystemExit(f"{self.id}: unknown verdict {self.verdict}")
        if self.verdict == "silent" and (self.words or not self.remark):
            raise SystemExit(f"{self.id}: a silent row has a remark and no words")
        if self.verdict != "silent" and not self.words or self.verdict != "none" and not self.answers:
            raise SystemExit(f"{self.id}: words or files are missing")


class Seen:
    """The results of a row."""

    def __init__(self):
        self.status, self.errors, self.nodes = 0, "", {}
        self.seconds, self.kib = 0.0, 0
        self.path, self.is_following = "", False
        self.was_traced, self.opened, self.tried = False, [], []  # (call, path)
        self.skipped = ""


def read_rows(only):
    rows = []
    for path in sorted((HERE / "bad-inputs").glob("*.rows")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                rows.append(Row(line))
    twice = [name for name, count in collections.Counter(row.id for row in rows).items() if count > 1]
    if twice:
        raise SystemExit(f"ids that occur twice: {' '.join(twice)}")
    return [row for row in rows if row.id.startswith(only)]


# Images


def make_image(build, directory, recipes):
    """recipes: `FORMAT [FILE] key=value ...`, joined by `and`."""
    for recipe in recipes.split(" and "):
        form, *rest = shlex.split(recipe)
        name = rest.pop(0) if rest and "=" not in rest[0] else "image"
        subprocess.run([f"{build}/make-image", form, f"{directory}/{name}", *rest], check=True)
    return f"{directory}/image"


def lay_out(build, row, directory):
    """Makes the image of a row. Returns its path and the options of instar-cat."""
    kind, _, rest = row.source.partition(" ")
    if kind == "make":
        return make_image(build, directory, rest), row.options
    if kind == "call":
        name, *arguments = shlex.split(rest)
        return getattr(torture.inputs, name)(directory, *arguments), row.options
    stem = HERE.parents[1] / "fixtures" / row.source
    packed = next(path for path in (pathlib.Path(f"{stem}.img.gz"), pathlib.Path(f"{stem}.tar.gz")) if path.exists())
    text = pathlib.Path(f"{stem}.expect").read_text(errors="replace")
    return oracle.fixtures.unpack(packed, directory), row.options or oracle.fixtures.read_expect(text)[1]


# Running


class Place:
    """The directory and command of a row."""

    def __init__(self, top, build, row):
        self.directory = f"{top}/{row.id}"
        os.mkdir(self.directory)
        self.path, self.options = lay_out(build, row, self.directory)
        self.command = [f"{top}/instar-cat", *self.options, "-a", self.path]
        if row.source.removeprefix("call ") in torture.inputs.AS_NOBODY:
            self.command[:0] = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"]


def run_once(place, seen, runner):
    """Runs the program for a row, and measures it."""
    out, errors = (pathlib.Path(f"{place.directory}.{name}") for name in ("out", "err"))
    print(KILL_SECONDS, place.directory, out, errors, *place.command, sep="\t", file=runner.stdin, flush=True)
    status, seconds, kib = runner.stdout.readline().split()
    seen.status, seen.seconds, seen.kib = int(status), float(seconds), int(kib)
    seen.errors = errors.read_text(errors="surrogateescape")
    seen.nodes, name = {}, None
    with open(out, errors="surrogateescape") as lines:
        for line in lines:
            if line.startswith("== "):
                name = None if MANY.match(line) else line[3:-1]
            elif name is not None:
                seen.nodes.setdefault(name, []).append(line.rstrip("\n"))


def without_own(calls):
    """Without the calls of the loader."""
    return [(call, os.fsdecode(path)) for call, path in calls if not OWN.fullmatch(os.fsdecode(path))]


def run_share(top, build, number, rows):
    """Runs some of the rows, then the same rows under one strace. Returns {id: Seen}."""
    found, by_path = {}, {}
    with subprocess.Popen([sys.executable, "-I", "-S", HERE.parent / "support" / "measure-run.py"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as runner, \
            open(f"{top}/script-{number}", "w", encoding="utf-8") as script:
        for row in rows:
            seen = found[row.id] = Seen()
            try:
                place = Place(top, build, row)
            except torture.inputs.Skip as e:
                seen.skipped = str(e)
                continue
            by_path[place.path] = seen
            seen.path, seen.is_following = place.path, any("follow=" in option for option in place.options)
            for _ in range(TRIES):
                run_once(place, seen, runner)
                if seen.seconds <= SECONDS:
                    break
            script.write(f"cd {place.directory} && timeout {KILL_SECONDS} {shlex.join(place.command)} "
                         f"</dev/null >/dev/null 2>&1\n")
    log = f"{top}/log-{number}"
    subprocess.run(strace(log, "sh", f"{top}/script-{number}"), check=False, stdin=subprocess.DEVNULL,
                   timeout=KILL_SECONDS + len(rows) * SECONDS, env={**os.environ, "LC_ALL": "C"})
    for process in processes_of(log):
        match = re.match(r'execve\("[^"]*instar-cat", \[.*"-a", "([^"]*)"\]', process.arguments)
        if match:
            seen = by_path[match[1]]
            seen.was_traced = True
            seen.opened, seen.tried = without_own(process.opened), without_own(process.tried)
    return found


# Checks


def value_of(seen, node):
    """A file's text as in the column of files."""
    lines = seen.nodes.get(node)
    if lines is None:
        return "absent"
    if len(lines) == 1 and node != "candidates":
        return lines[0].removeprefix("error: ").replace(" ", "_")
    return ",".join(line.split(" ")[0] for line in lines)


def is_error(seen, node):
    return any(line.startswith("error: ") for line in seen.nodes.get(node, [])[:1])


def problems_of(seen):
    return [line for line in seen.nodes.get("problems", []) if not OF_TARGETS.match(line)]


def verdict_faults(row, seen):
    """Violations of the verdict."""
    failing = [node for node in DISK if is_error(seen, node)]
    problems = problems_of(seen)
    if row.verdict == "none":
        return [] if seen.status == 1 and not seen.nodes else [f"status {seen.status}: the file was opened as an image"]
    if seen.status != 0:
        return [f"status {seen.status}: {seen.errors}"]
    if row.verdict == "refused":
        errors = {value_of(seen, node) for node in DISK}
        return [] if len(failing) == len(DISK) and len(errors) == 1 else [f"not refused: {errors}"]
    if is_error(seen, "virtual_size"):
        return [f"refused: {value_of(seen, 'virtual_size')}"]
    if row.verdict == "partly":
        return [] if failing else ["nothing fails"]
    faults = [f"{node} fails: {value_of(seen, node)}" for node in failing]
    if row.verdict == "silent" and problems:
        faults.append(f"problems: {problems}")
    return faults


def opened_faults(row, seen):
    """Files that were opened without being allowed. O_PATH descriptors, which cannot read, are allowed for the image's directory, and
    for files in it that may be followed."""
    if not seen.was_traced:
        return ["not in the log of strace"]
    directory = os.path.dirname(seen.path)
    granted = {os.path.join(directory, name) for node, value in row.answers if node == "opens"
               for name in value.split(",")}
    opened = {path for call, path in seen.opened if "O_PATH" not in call}
    faults = []
    for call, path in seen.opened:
        is_held = "O_PATH" in call and (path.rstrip("/") == directory or
                                        seen.is_following and os.path.dirname(path) == directory)
        if WRITES.search(call) or (path not in granted | {seen.path} and not is_held):
            faults.append(f"opened: {call} {path}")
    # Names that may be followed are tried below the directory, and the kernel resolves them beneath it.
    below = f"{directory}/" if seen.is_following else None
    for call, path in seen.tried:
        is_allowed = "O_PATH" in call and "RESOLVE_BENEATH" in call and below and path.startswith(below)
        if path not in granted | {seen.path} and not is_allowed:
            faults.append(f"tried to open: {call} {path}")
    return faults + [f"not opened: {path}" for path in granted - opened]


def faults_of(row, seen):
    """Messages about everything that is wrong with a row."""
    faults = verdict_faults(row, seen)
    for node, value in row.answers:
        if node != "opens" and value_of(seen, node) != value:
            faults.append(f"{node} is {value_of(seen, node)}, not {value}")
    text = "\n".join(seen.nodes.get("problems", [])) + seen.errors
    faults += [f"not in problems: {words}" for words in row.words if words not in text]
    if seen.seconds > SECONDS:
        faults.append(f"{seen.seconds:.2f} s are more than {SECONDS}")
    if seen.kib > KIB:
        faults.append(f"{seen.kib} KiB are more than {KIB}")
    return faults + opened_faults(row, seen)


def test(rows, top, build):
    """Runs all rows. Returns {id: Seen}."""
    shutil.copy(f"{build}/instar-cat", top)
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            shares = pool.map(run_share, (top, top), (build, build), (0, 1), (rows[::2], rows[1::2]))
            return {name: seen for share in shares for name, seen in share.items()}
    finally:
        for path in torture.inputs.ELSEWHERE:
            os.unlink(path)


# Self-test


OTHER = {"refused": "partly", "partly": "refused", "noted": "silent", "silent": "partly", "none": "refused"}


def wrong_rows(row):
    """The row, falsified in each way: (way, row)."""
    def changed(**fields):
        other = copy.copy(row)
        other.__dict__.update(fields)
        return other

    yield "verdict", changed(verdict=OTHER[row.verdict])
    yield "words", changed(words=[*row.words, "words of no message"])
    for i, (node, value) in enumerate(row.answers):
        yield node, changed(answers=[*row.answers[:i], (node, f"{value}0"), *row.answers[i + 1:]])


def wrong_runs(seen):
    """The results, falsified in each way: (way, results)."""
    def changed(**fields):
        other = copy.copy(seen)
        other.__dict__.update(fields)
        return other

    yield "killed", changed(status=128 + 9)
    yield "time", changed(seconds=SECONDS * 1.01)
    yield "memory", changed(kib=KIB + 1)
    yield "another file", changed(opened=[*seen.opened, ("O_RDONLY", "/etc/passwd")])
    yield "another attempt", changed(tried=[*seen.tried, ("O_RDONLY", "/no/such/file")])
    yield "writing", changed(opened=[*seen.opened, ("O_RDWR", seen.path)])
    yield "unseen", changed(was_traced=False)


def self_test(rows, found):
    """Checks that every falsification is found. Returns how many there were."""
    missed, count = [], 0
    for row in rows:
        seen = found[row.id]
        if seen.skipped:
            continue
        cases = [(way, faults_of(other, seen)) for way, other in wrong_rows(row)]
        cases += [(way, faults_of(row, other)) for way, other in wrong_runs(seen)]
        missed += [f"{row.id}: {way}" for way, faults in cases if not faults]
        count += len(cases)
    if missed:
        raise SystemExit("falsified, and not found:\n  " + "\n  ".join(missed))
    return count


def show(row, seen):
    print(f"{row.id} {row.what}: status {seen.status}, {seen.seconds:.2f} s, {seen.kib} KiB {seen.errors}")
    for node in ("format", "candidates", "references/0/state", *DISK):
        print(f"    {node}={value_of(seen, node)}")
    for words in (*seen.nodes.get("problems", []), *(f"{call} {path}" for call, path in seen.opened),
                  *(f"tried: {call} {path}" for call, path in seen.tried)):
        print(f"    {words}")


def report(rows, found, wrong):
    """Prints the last line."""
    seen = {name: s for name, s in found.items() if not s.skipped}
    slowest = max(seen, key=lambda name: seen[name].seconds)
    largest = max(seen, key=lambda name: seen[name].kib)
    opened = {(name, path) for name, s in seen.items() for call, path in s.opened if "O_PATH" not in call}
    others = sum(path != seen[name].path for name, path in opened)
    skipped = "".join(f"; {name} left out, {s.skipped}" for name, s in found.items() if s.skipped)
    print(f"{len(rows)} rows, the slowest {seen[slowest].seconds:.2f} s ({slowest}), "
          f"the largest {seen[largest].kib / 1024:.1f} MiB ({largest}), "
          f"opened: {len(opened) - others} images, {others} granted files, no others"
          + (f"; {wrong} falsifications were found" if wrong else "") + skipped)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    rows = read_rows(options.only)
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        found = test(rows, top, os.path.abspath(options.build))
    failed = 0
    for row in rows:
        seen = found[row.id]
        if options.show:
            show(row, seen)
        faults = [] if seen.skipped else faults_of(row, seen)
        failed += bool(faults)
        if faults:
            print(f"{row.id} ({row.what}): {row.source}", *faults, sep="\n    ")
    if failed:
        raise SystemExit(f"{failed} of {len(rows)} rows failed")
    report(rows, found, self_test(rows, found) if options.self_test else 0)


if __name__ == "__main__":
    main()
