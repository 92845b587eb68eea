#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Lets one call fail at a time: the first allocation, the second, and so on until the program makes no more of them; the same
for reads, writes, forks, pipes and opens. Whatever fails, each file says what it says otherwise or has an errno, or the
program says in a sentence why it ends; nothing crashes, leaks (as far as LeakSanitizer sees) or stays behind. Reads that
are short or interrupted change nothing at all.

    tests/faults/run.py [--every N] [--seed S] [--build DIR] [--only WORD]     of allocations every N-th only, of others more
"""
import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import oracle.fixtures
import oracle.vmdk

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 20  # seconds: what takes longer hangs
CALLS_MAX = 100000  # of a kind: a program that makes more has gone mad
WORKERS = 2

# Images of different ways to be read: tables, compressed data, a footer, text, an XML list, layers.
IMAGES = ("qcow2/by-qemu-compressed", "qcow2/compressed-mbr-zstd", "qcow2/bitmaps", "vpc/creator-qemu", "vhdx/by-qemu", "vmdk/by-qemu-stream", "dmg/zlib",
          "luks/luks2", "vdi/dynamic-by-qemu", "parallels/extended-by-qemu")
CHAIN = "chains/three-formats"
SAME = {"short", "interrupt"}  # kinds that must change nothing
SHARES = {"alloc": 1, "fork": 100, "pipe": 100, "open": 100, "descriptor": 100}  # of --every, by how many calls there are
MOUNTED = ("format", "virtual_size", "content", "measure/qcow2", "allocated_size", "convert_size/vmdk", "measure/qcow2,cluster_size=4k",
           "header/", ".now/measure/vdi")
# Of images that name others, their layers and references.
OF_CHAIN = ("virtual_size", "content", "measure/qcow2", "convert_size/vmdk", "references/0/state", "references/0/resolved",
            "layers/1/virtual_size", "layers/1/references/0/state", "layers/1/references/0/resolved", "layers/2/format")
PARTS = 40  # files of a disk, more than stay open
OF_PARTS = ("virtual_size", "content", "measure/qcow2", "convert_size/qcow2,cluster_size=4k",
            *(f"references/{n}/{name}" for n in (0, 31, 32, PARTS - 1) for name in ("path", "state", "resolved")))
VARIES = re.compile(r"problems$|status/|layers/\d+/problems$")  # files that tell of the fault itself
VIEW = re.compile(r"(layers/\d+/)?(.*)")
STATE = re.compile(r"(layers/\d+/)?references/\d+/state")
# States of references that are granted, but could not be opened, or not be told, then or now; and of those whose files could not be
# read.
UNOPENED = {"unreadable\n", "changed\n"}
NOT_GRANTED = UNOPENED | {"unfit\n"}


class Wrong(Exception):
    pass


def check(condition, words):
    if not condition:
        raise Wrong(words)


def wait_until(condition, what):
    end = time.monotonic() + LIMIT
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.005)


def fails(said, name):
    return said.get(name, "").startswith("error: ")


def layer_of(name):
    match = re.match(r"layers/(\d+)/", name)
    return int(match[1]) if match else 0


class Case:
    """A program, what it works on, and what it says without a fault."""

    def __init__(self, work, build, name, image, options=(), files=MOUNTED):
        self.work, self.build, self.name, self.image = work, build, name, image
        self.options, self.files = options, files
        self.good = None

    def environment(self, kind, number, seen, log):
        return {"PATH": os.environ["PATH"], "FAULT_KIND": kind, "FAULT_AT": str(number), "FAULT_SEEN": seen,
                "LD_PRELOAD": str(self.build / "tests" / "faults" / "faults.so"), "LC_ALL": "C",
                "ASAN_OPTIONS": f"verify_asan_link_order=0:allocator_may_return_null=1:log_path={log}",
                "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={log}"}

    def run(self, kind, number):
        """Whether there was such a call. Raises Wrong if the program took it badly."""
        with tempfile.TemporaryDirectory(dir=self.work) as place:
            seen, log = f"{place}/seen", f"{place}/log"
            said = self.attempt(place, self.environment(kind, number, seen, log))
            for name in os.listdir(place):
                text = pathlib.Path(place, name).read_text(errors="replace") if name.startswith("log") else ""
                # A leak check that is killed says something, too.
                check("ERROR: " not in text and "runtime error: " not in text, text[:4000])
            if self.good is None:
                check(isinstance(said, dict), f"without a fault: {said}")
                self.good = said
                check(not self.options or "granted\n" in said.values(), "no reference is granted")
            self.compare(said, kind)
            return os.path.exists(seen)

    def compare(self, said, kind):
        if isinstance(said, str):  # it ended, and said why
            check(kind not in SAME, f"ended: {said}")
            check(re.search(r"^(instar-cat|mount\.instar|fuse|fusermount3): .", said, re.M), f"ended, and said {said!r}")
            return
        lost = self.lost_references(said)
        for name, text in self.good.items():
            if VARIES.search(name) or (name not in said and kind not in SAME and self.may_be_missing(name, said, lost)):
                continue
            check(name in said, f"{name} is missing")
            # What is not known to be missing is listed.
            if name == "header/" and set(text.split()) <= set(said[name].split()):
                continue
            may_differ = kind not in SAME and (fails(said, name) or (text == "granted\n" and STATE.fullmatch(name) and
                                                                     said[name] in NOT_GRANTED))
            check(said[name] == text or may_differ, f"{name} says {said[name]!r} instead of {text!r}")

    def lost_references(self, said):
        """The states of references that are granted, but were not opened, as these say."""
        return {name for name, text in self.good.items() if text == "granted\n" and said.get(name) in UNOPENED}

    def may_be_missing(self, name, said, lost):
        """Whether a fault may keep what is missing from being there."""
        view, rest = VIEW.fullmatch(name).groups(default="")
        # Which fields and references there are is told by what the image is.
        if rest.startswith("header/") and (fails(said, f"{view}format") or fails(said, f"{view}content")):
            return True
        if rest.startswith("references/") and fails(said, f"{view}virtual_size"):
            return True
        if rest.endswith("/resolved") and name.replace("/resolved", "/state") in lost:
            return True
        # What is below is no layer then; and where there is but the image, it is none.
        layers = {layer_of(state) for state in lost}
        return view != "" and any(layer < layer_of(name) or layer == 0 for layer in layers)


class Cat(Case):
    """instar-cat, of all files."""

    kinds = ("alloc", "read", "open", "short", "interrupt")

    def attempt(self, place, environment):
        done = subprocess.run([self.build / "instar-cat", *self.options, "-a", self.image], env=environment, capture_output=True,
                              text=True, timeout=LIMIT, errors="replace")
        check(done.returncode in (0, 1), f"status {done.returncode}: {done.stderr}")
        if done.returncode:
            check(done.stderr, "status 1 without a word")
            return done.stderr
        files = re.split(r"^== (.*)\n", done.stdout, flags=re.M)[1:]
        return dict(zip(files[::2], files[1::2]))


def text_of(path):
    """What a file says, or the names in a directory, by another process: it may hang."""
    command = ["ls" if path.endswith("/") else "cat", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, errors="replace", env={"LC_ALL": "C"})
    return f"error: {done.stderr}" if done.returncode else done.stdout


class Mounted(Case):
    """mount.instar: it is mounted, a few files are read, it is unmounted."""

    kinds = ("fork", "pipe", "alloc", "read", "write", "descriptor", "open", "interrupt")

    def attempt(self, place, environment):
        directory = f"{place}/mnt"
        os.mkdir(directory)
        command = [self.build / "mount.instar", self.image, directory, "-o", "sandbox=off", *self.options, *self.more]
        with open(f"{place}/stderr", "w+") as errors:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
            try:
                wait_until(lambda: process.poll() is not None or (self.more and is_mounted(directory)), "the start hangs")
                said = self.read_files(directory) if is_mounted(directory) else None
            finally:
                self.end(directory, process)
            errors.seek(0)
            words = errors.read()
        check(process.returncode in (0, 1, 2, 32), f"status {process.returncode}: {words}")
        if said is not None and process.returncode == 0:
            return said
        check(said is None or self.more, "mounted, though it said that it is not")
        return words or "said nothing"

    def read_files(self, directory):
        """What the files say; those that are not there are left out."""
        texts = {name: text_of(f"{directory}/{name}") for name in self.files}
        return {name: text for name, text in texts.items() if not text.endswith(": No such file or directory\n")}

    def end(self, directory, process):
        """Unmounts, and waits until nothing is left."""
        marker = os.fsencode(directory)
        if is_mounted(directory):
            subprocess.run(["umount", directory], capture_output=True, timeout=LIMIT)
        try:
            wait_until(lambda: process.poll() is not None and not processes_of(marker), "it does not end")
        finally:
            for pid in processes_of(marker):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["umount", "-l", directory], capture_output=True)
            process.wait()


class Foreground(Mounted):
    more = ("-f",)


class Background(Mounted):
    more = ()


def is_mounted(directory):
    """As the kernel has it, without a question to the file system."""
    return f" {directory} " in pathlib.Path("/proc/self/mountinfo").read_text(errors="surrogateescape")


def processes_of(marker):
    """Processes that were started with this argument, and have not ended."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if marker in pathlib.Path("/proc", entry, "cmdline").read_bytes():
                    found.append(int(entry))
    return found


def go_through(case, kind, every, start):
    """All calls of a kind, or every so many. How many were tried, and what went wrong."""
    tried, wrong, number = 0, [], start
    while number < CALLS_MAX:
        try:
            if not case.run(kind, number):
                break
        except Wrong as e:
            wrong.append(f"{case.name}: {kind} {number}: {e}")
        except subprocess.TimeoutExpired:
            wrong.append(f"{case.name}: {kind} {number}: hangs")
        tried += 1
        number += every
    return tried, wrong


def unpack(fixture, work):
    """Lays it out in a directory of its own."""
    packed, = (ROOT / "fixtures").glob(f"{fixture}.*.gz")
    return oracle.fixtures.unpack(packed, tempfile.mkdtemp(dir=work))


def make_parts(work):
    """A disk of more files than stay open; every third is zeros."""
    directory = pathlib.Path(work, "parts")
    directory.mkdir()
    lines = ""
    for i in range(PARTS):
        (directory / f"part-{i}").write_bytes(bytes([i % 3 and i]) * 4096)
        lines += f'RW 8 FLAT "part-{i}" 0\n'
    image = directory / "image"
    image.write_text(oracle.vmdk.DESCRIPTOR.format("twoGbMaxExtentFlat", lines))
    return image


def make_cases(work, build):
    for fixture in IMAGES:
        yield Cat(work, build, f"instar-cat {fixture}", unpack(fixture, work))
    image = unpack(IMAGES[0], work)
    yield Foreground(work, build, "mount.instar -f", image)
    yield Background(work, build, "mount.instar", image)
    follow = ("-o", "follow=beside")
    chain, parts = unpack(CHAIN, work), make_parts(work)
    yield Cat(work, build, f"instar-cat {CHAIN}", chain, follow)
    yield Foreground(work, build, f"mount.instar -f {CHAIN}", chain, follow, OF_CHAIN)
    yield Cat(work, build, "instar-cat parts", parts, follow)
    yield Foreground(work, build, "mount.instar -f parts", parts, follow, OF_PARTS)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "sanitize")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    choose = random.Random(args.seed)
    tried, wrong = 0, []
    with tempfile.TemporaryDirectory(prefix="faults-") as work, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        futures = []
        for case in make_cases(work, args.build.resolve()):
            if args.only not in case.name:
                continue
            case.run("none", 1)
            for kind in case.kinds:
                every = max(1, args.every // SHARES.get(kind, 10))
                futures.append((case.name, kind, pool.submit(go_through, case, kind, every, choose.randint(1, every))))
        for name, kind, future in futures:
            count, found = future.result()
            print(f"{name}: {kind}: {count} faults, {len(found)} wrong", flush=True)
            tried += count
            wrong += found
    print("\n".join(wrong))
    print(f"{tried} faults, {len(wrong)} wrong")
    return bool(wrong) or not tried


if __name__ == "__main__":
    sys.exit(main())
