#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Makes one call fail per run: the first allocation, the second, and so on until the program makes no more of them; the same for
reads, writes, forks, pipes and opens. Each file must have its usual text or an errno, or the program must end with a message;
nothing may crash, leak (as LeakSanitizer sees it), hang or be left. Short and interrupted reads must change nothing.

    tests/faults/run.py [--every N] [--seed S] [--build DIR] [--only WORD]     of allocations every N-th only, of rarer calls more
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
LIMIT = 20  # seconds: a program that takes longer hangs
CALLS_MAX = 100000  # of a kind: more than any program makes
WORKERS = 2

# Images that are read in different ways: tables, compressed data, a footer, text, an XML list, layers.
IMAGES = ("qcow2/by-qemu-compressed", "qcow2/compressed-mbr-zstd", "qcow2/bitmaps", "vpc/creator-qemu", "vhdx/by-qemu", "vmdk/by-qemu-stream", "dmg/zlib",
          "luks/luks2", "vdi/dynamic-by-qemu", "parallels/extended-by-qemu")
CHAIN = "chains/three-formats"
SAME = {"short", "interrupt"}  # kinds that must change nothing
SHARES = {"alloc": 1, "fork": 100, "pipe": 100, "open": 100, "descriptor": 100}  # divisors of --every, by the number of calls
MOUNTED = ("format", "virtual_size", "content", "measure/qcow2", "allocated_size", "convert_size/vmdk", "measure/qcow2,cluster_size=4k",
           "header/", ".now/measure/vdi")
# Of images with references.
OF_CHAIN = ("virtual_size", "content", "measure/qcow2", "convert_size/vmdk", "references/0/state", "references/0/resolved",
            "layers/1/virtual_size", "layers/1/references/0/state", "layers/1/references/0/resolved", "layers/2/format")
EXTENT_FILES = 40  # more than stay open
OF_EXTENTS = ("virtual_size", "content", "measure/qcow2", "convert_size/qcow2,cluster_size=4k",
            *(f"references/{n}/{name}" for n in (0, 31, 32, EXTENT_FILES - 1) for name in ("path", "state", "resolved")))
VARIES = re.compile(r"problems$|status/|layers/\d+/problems$")  # files that depend on the fault
VIEW = re.compile(r"(layers/\d+/)?(.*)")
STATE = re.compile(r"(layers/\d+/)?references/\d+/state")
# States of granted references that could not be opened, at first or later; and of those whose file could not be read.
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


def fails(texts, name):
    return texts.get(name, "").startswith("error: ")


def layer_of(name):
    match = re.match(r"layers/(\d+)/", name)
    return int(match[1]) if match else 0


class Case:
    """A program, its image and files, and their texts without a fault."""

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
        """Whether there was such a call. Raises Wrong if the program violates a rule."""
        with tempfile.TemporaryDirectory(dir=self.work) as place:
            seen, log = f"{place}/seen", f"{place}/log"
            result = self.attempt(place, self.environment(kind, number, seen, log))
            for name in os.listdir(place):
                text = pathlib.Path(place, name).read_text(errors="replace") if name.startswith("log") else ""
                # A leak check that is killed writes other lines.
                check("ERROR: " not in text and "runtime error: " not in text, text[:4000])
            if self.good is None:
                check(isinstance(result, dict), f"without a fault: {result}")
                self.good = result
                check(not self.options or "granted\n" in result.values(), "no reference is granted")
            self.compare(result, kind)
            return os.path.exists(seen)

    def compare(self, texts, kind):
        """texts: by file, or a message of a program that ended."""
        if isinstance(texts, str):
            check(kind not in SAME, f"ended: {texts}")
            check(re.search(r"^(instar-cat|mount\.instar|fuse|fusermount3): .", texts, re.M), f"ended with the message {texts!r}")
            return
        lost = self.lost_references(texts)
        for name, text in self.good.items():
            if VARIES.search(name) or (name not in texts and kind not in SAME and self.may_be_missing(name, texts, lost)):
                continue
            check(name in texts, f"{name} is missing")
            # A listing may have more names: those that are not known not to apply.
            if name == "header/" and set(text.split()) <= set(texts[name].split()):
                continue
            may_differ = kind not in SAME and (fails(texts, name) or (text == "granted\n" and STATE.fullmatch(name) and
                                                                     texts[name] in NOT_GRANTED))
            check(texts[name] == text or may_differ, f"{name} is {texts[name]!r} instead of {text!r}")

    def lost_references(self, texts):
        """Names of the states of granted references that were not opened."""
        return {name for name, text in self.good.items() if text == "granted\n" and texts.get(name) in UNOPENED}

    def may_be_missing(self, name, texts, lost):
        """Whether a fault can be the reason why a file does not exist."""
        view, rest = VIEW.fullmatch(name).groups(default="")
        # The fields of the header and the references are known only if the image could be opened.
        if rest.startswith("header/") and (fails(texts, f"{view}format") or fails(texts, f"{view}content")):
            return True
        if rest.startswith("references/") and fails(texts, f"{view}virtual_size"):
            return True
        if rest.endswith("/resolved") and name.replace("/resolved", "/state") in lost:
            return True
        # The backing images of a lost one are no layers then; with a single layer there is no layers/.
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
            check(done.stderr, "status 1 without a message")
            return done.stderr
        files = re.split(r"^== (.*)\n", done.stdout, flags=re.M)[1:]
        return dict(zip(files[::2], files[1::2]))


def text_of(path):
    """The text of a file, or the names in a directory. Read by another process, as it may hang."""
    command = ["ls" if path.endswith("/") else "cat", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, errors="replace", env={"LC_ALL": "C"})
    return f"error: {done.stderr}" if done.returncode else done.stdout


class Mounted(Case):
    """mount.instar: mounts, reads a few files, unmounts."""

    kinds = ("fork", "pipe", "alloc", "read", "write", "descriptor", "open", "interrupt")

    def attempt(self, place, environment):
        directory = f"{place}/mnt"
        os.mkdir(directory)
        command = [self.build / "mount.instar", self.image, directory, "-o", "sandbox=off", *self.options, *self.more]
        with open(f"{place}/stderr", "w+") as errors:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
            try:
                wait_until(lambda: process.poll() is not None or (self.more and is_mounted(directory)), "the start hangs")
                texts = self.read_files(directory) if is_mounted(directory) else None
            finally:
                self.end(directory, process)
            errors.seek(0)
            words = errors.read()
        check(process.returncode in (0, 1, 2, 32), f"status {process.returncode}: {words}")
        if texts is not None and process.returncode == 0:
            return texts
        check(texts is None or self.more, "mounted, although the program failed")
        return words or "no message"

    def read_files(self, directory):
        """The texts of the files that exist."""
        texts = {name: text_of(f"{directory}/{name}") for name in self.files}
        return {name: text for name, text in texts.items() if not text.endswith(": No such file or directory\n")}

    def end(self, directory, process):
        """Unmounts, and waits until all processes have ended."""
        marker = os.fsencode(directory)
        if is_mounted(directory):
            subprocess.run(["umount", directory], capture_output=True, timeout=LIMIT)
        try:
            wait_until(lambda: process.poll() is not None and not processes_of(marker), "processes do not end")
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
    """Reads the kernel's table: the file system is not asked, as it may hang."""
    return f" {directory} " in pathlib.Path("/proc/self/mountinfo").read_text(errors="surrogateescape")


def processes_of(marker):
    """Processes with this argument."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if marker in pathlib.Path("/proc", entry, "cmdline").read_bytes():
                    found.append(int(entry))
    return found


def go_through(case, kind, every, start):
    """Runs the case with every so manieth call failing. Returns (number of runs, messages about violations)."""
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
    """Unpacks a fixture to a directory of its own."""
    packed, = (ROOT / "fixtures").glob(f"{fixture}.*.gz")
    return oracle.fixtures.unpack(packed, tempfile.mkdtemp(dir=work))


def make_extents(work):
    """A disk with more extent files than stay open; every third one is zeros."""
    directory = pathlib.Path(work, "extents")
    directory.mkdir()
    lines = ""
    for i in range(EXTENT_FILES):
        (directory / f"extent-{i}").write_bytes(bytes([i % 3 and i]) * 4096)
        lines += f'RW 8 FLAT "extent-{i}" 0\n'
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
    chain, extents = unpack(CHAIN, work), make_extents(work)
    yield Cat(work, build, f"instar-cat {CHAIN}", chain, follow)
    yield Foreground(work, build, f"mount.instar -f {CHAIN}", chain, follow, OF_CHAIN)
    yield Cat(work, build, "instar-cat extents", extents, follow)
    yield Foreground(work, build, "mount.instar -f extents", extents, follow, OF_EXTENTS)


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
