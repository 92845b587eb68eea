#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Tests that no file is opened without a grant, whatever an image names. strace(1) records what is opened for every name of
support/names.py in every kind of reference under every policy; chains; and names that change between check and open. Needs root,
strace and /dev/fuse.

    tests/mount/granted-files.py [--build DIR] [--only WORDS]

Prints a line per group of cases, and "N passed, M failed" at the end.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import support.names as names
from support.strace import Failure, Process, check, processes_of, strace

NODES = ["references/0/state", "references/0/path", "references/0/reason", "format", "content", "virtual_size",
         "measure/qcow2", "layers/1/file_size", "problems"]
SECONDS = 5.0  # a run that takes longer hangs
RACE_RUNS = 300
PAUSE = 50e-6  # seconds between two swaps, so that the program makes progress

# Files that the loader, the sanitizers and libfuse open, before the image or independently of it.
OWN = re.compile(r"/(usr/)?lib(64)?/.*|/etc/ld\.so\.(cache|preload)|/proc/\d+/(maps|cmdline|status|environ|stat|"
                 r"mountinfo|mounts|oom_score_adj)|/sys/devices/system/cpu/.*|/proc/sys/(vm|fs/fuse)/.*|"
                 r"/proc/filesystems|/etc/mtab|/dev/null|/dev/fuse")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")


class Place:
    build = plain = top = None


def program_of(case):
    """One case in sixteen runs with sanitizers, which take longer to start than the case itself."""
    number, _, _, policy = case
    return Place.build if (number + len(policy)) % 16 == 0 else Place.plain


# The log of strace


def is_below(path, directory):
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def check_opened(process, image, policy, state, mounts=()):
    """Checks that only the image, directories that the policy covers and the granted file were opened."""
    directory = os.path.dirname(image)
    granted = names.granted_files(Place.top) if state in ("granted", "unfit") else ()
    places = [directory] if policy != "under" else [directory, os.fsencode(Place.top) + b"/under"]
    seen_image = False
    for call, path in process.opened:
        is_writing = WRITES.search(call)
        check(not is_writing or path in (b"/dev/null", b"/dev/fuse"), "opened for writing:", call, path)
        if path == image:
            seen_image = True
        elif "O_PATH" in call:
            covered = path in places or (policy == "beside" and is_below(path, directory)) or \
                (policy == "under" and is_below(path, places[-1])) or \
                (policy == "ref" and path in (names.named_file(Place.top), os.fsencode(Place.top)))
            check(covered or path in mounts, "a directory without grant:", call, path)
        elif path not in mounts and path not in granted:
            check(OWN.fullmatch(os.fsdecode(path)), "opened:", call, path)
            check(not seen_image or not re.search(rb"environ|maps|passwd", path) or mounts,
                  "opened after the image:", path)
    check(seen_image, "the image was not opened")


# The matrix


def expected_state(kind, row, policy):
    """The state that the table has for a name."""
    if policy == "ref":
        code = "G"
    else:
        codes = row.windows if kind.is_windows else row.posix
        code = codes[("none", "beside", "under").index(policy)]
    return {"N": "not-granted", "R": "refused", "M": "missing", "G": kind.granted}[code]


def options_of(policy):
    follow = {"none": "follow=none", "beside": "follow=beside", "under": f"follow=under:{Place.top}/under",
              "ref": f"ref=0:{os.fsdecode(names.named_file(Place.top))}"}[policy]
    return f"{follow},backing-format=raw"


def make_cases():
    """Writes all images. Returns [(number, kind, row, policy)]."""
    cases = []
    number = 0
    for k, kind in enumerate(names.KINDS):
        for i, row in enumerate(names.rows(Place.top)):
            number += 1
            if (i + k) % kind.every:
                continue
            self_name = b"%d.img" % number
            name = row.name.replace(b"{self}", self_name)
            data = kind.make(name)
            if data is None:
                continue
            with open(f"{Place.top}/images/{number}.img", "wb") as file:
                file.write(data)
            cases += [(number, kind, row, policy) for policy in ("none", "beside", "under", "ref")]
    return cases


def run_cases(share, cases):
    """Runs instar-cat for some cases, all under one strace. Returns its processes by (number, options)."""
    script = f"{Place.top}/script-{share}"
    log = f"{Place.top}/log-{share}"
    with open(script, "w", encoding="ascii") as file:
        for case in cases:
            number, _, _, policy = case
            command = [f"{program_of(case)}/instar-cat", "-o", options_of(policy),
                       f"{Place.top}/images/{number}.img", *NODES]
            file.write(f"{shlex.join(command)} </dev/null "
                       f">{Place.top}/out/{number}-{policy} 2>{Place.top}/out/{number}-{policy}.err\n")
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C"}
    with subprocess.Popen(strace(log, "sh", script), start_new_session=True, env=environment) as runs:
        try:
            runs.wait(SECONDS * 30)
        except subprocess.TimeoutExpired:
            os.killpg(runs.pid, signal.SIGKILL)
            raise
    found = {}
    for process in processes_of(log):
        match = re.match(r'execve\("[^"]*instar-cat", \["[^"]*", "-o", "([^"]*)", "[^"]*/(\d+)\.img"', process.arguments)
        if match:
            found[int(match[2]), match[1]] = process
    return found


def check_output(kind, row, policy, out):
    """Checks the output of instar-cat. Returns the state."""
    wanted = expected_state(kind, row, policy)
    state = out.split(b"\n")[0].decode("ascii", "replace")
    check(state == wanted, f"state {state!r} instead of {wanted!r}")
    check(not re.search(rb"[\0-\x09\x0b-\x1f\x7f]", out), "control characters in", out)
    check(b"Sanitizer" not in out and b"runtime error" not in out, out)
    shows = b"\niso9660" in out
    if state == "granted" and kind.shows_content:
        check(shows, "the content of the granted file is not shown:", out)
    if state != "granted":
        check(not shows, "the content of a file that is not granted is shown:", out)
    for mark in names.SECRETS:
        check(mark not in out, "output has:", mark, out)
    return state


def check_case(found, case):
    number, kind, row, policy = case
    out = b""
    for name in (f"{number}-{policy}", f"{number}-{policy}.err"):
        with open(f"{Place.top}/out/{name}", "rb") as file:
            out += file.read()
    state = check_output(kind, row, policy, out)
    process = found.get((number, options_of(policy)))
    check(process, "not in the log of strace")
    check(process.ended - process.began < SECONDS, f"took {process.ended - process.began:.1f} s")
    check_opened(process, os.fsencode(f"{Place.top}/images/{number}.img"), policy, state)


def test_matrix():
    cases = make_cases()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(run_cases, (0, 1), (cases[::2], cases[1::2])))
    found = {**shares[0], **shares[1]}
    failed = []
    for case in cases:
        try:
            check_case(found, case)
        except Failure as e:
            failed.append(f"{case[1].name} {case[2].name!r} {case[3]}: {e}")
    strings = {case[2].name for case in cases}
    check(len(strings) >= 60, "too few names")
    check(not failed, f"{len(failed)} of {len(cases)} cases:\n  " + "\n  ".join(failed[:40]))
    return f"{len(cases)} cases, {len(strings)} names"


# The mount


def mount_case(number, row, policy):
    kind = names.KINDS[0]
    image = f"{Place.top}/images/mounted-{number}-{policy}.img"
    directory = f"{Place.top}/mnt/{number}-{policy}"
    log = f"{Place.top}/log-mount-{number}-{policy}"
    with open(image, "wb") as file:
        file.write(kind.make(row.name.replace(b"{self}", os.fsencode(os.path.basename(image)))))
    os.mkdir(directory)
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C"}
    with subprocess.Popen(strace(log, f"{Place.build}/mount.instar", "-f", "-o", options_of(policy), image, directory),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          env=environment) as mount:
        try:
            end = time.monotonic() + SECONDS
            while not os.path.ismount(directory) and mount.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            out = b""
            for node in NODES:
                done = subprocess.run(["cat", f"{directory}/{node}"], capture_output=True, timeout=SECONDS, check=False)
                out += done.stdout
        finally:
            subprocess.run(["umount", directory], check=False, stderr=subprocess.DEVNULL)
            words = mount.communicate(timeout=SECONDS)[1]
    state = check_output(kind, row, policy, out)
    check(words.count(b"\n") == (state != "granted"), "messages:", words)
    every = Process()
    for process in processes_of(log):
        if "mount.instar" in process.arguments or not process.arguments:
            every.opened += process.opened
    check_opened(every, os.fsencode(image), policy, state,
                 (os.fsencode(directory), os.fsencode(Place.top) + b"/mnt", b"/"))


def test_mounts():
    os.mkdir(f"{Place.top}/mnt")
    rows = [row for row in names.rows(Place.top) if row.mounted]
    check(len(rows) >= 10, "too few names")
    cases = [(i, row, policy) for i, row in enumerate(rows) for policy in ("none", "beside", "under", "ref")]
    failed = []

    def run(case):
        try:
            mount_case(*case)
        except (Failure, subprocess.TimeoutExpired) as e:
            failed.append(f"{case[1].name!r} {case[2]}: {e}")

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(run, cases))
    check(not failed, f"{len(failed)} of {len(cases)} mounts:\n  " + "\n  ".join(failed[:20]))
    return f"{len(cases)} mounts"


# Chains


def cat(image, options, *nodes, build=None):
    done = subprocess.run([f"{build or Place.build}/instar-cat", "-o", options, image, *nodes], capture_output=True,
                          timeout=SECONDS, check=False, env={**os.environ, "LC_ALL": "C"})
    out = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
    check("Sanitizer" not in out, out)
    return out


def make_chain(count, back_to):
    """Makes images 0 to count - 1. Each has the next as its backing image; the last has number back_to, or none. Returns the first."""
    directory = tempfile.mkdtemp(dir=Place.top)
    for i in range(count):
        backing = i + 1 if i + 1 < count else back_to
        name = b"" if backing is None else b"%d.qcow2" % backing
        with open(f"{directory}/{i}.qcow2", "wb") as file:
            file.write(names.qcow2_image(name, b"qcow2") if name else names.qcow2_image(None, None))
    return f"{directory}/0.qcow2"


def test_cycles():
    for length in (1, 2, 3):
        image = make_chain(length, 0)
        view = "" if length == 1 else f"layers/{length - 1}/"
        out = cat(image, "follow=beside", f"{view}references/0/state", f"{view}references/0/reason", "content")
        check(out.startswith("refused\n") and "the image itself" in out, f"cycle of {length}:", out)
        check("content: Permission denied" in out, f"cycle of {length}:", out)
    return "of 1, 2 and 3 images"


def test_depth():
    out = cat(make_chain(16, None), "follow=beside", "layers/15/format", "layers/14/references/0/state", "content")
    check(out == "qcow2\ngranted\nempty\n", "16 images:", out)
    image = make_chain(17, None)
    out = cat(image, "follow=beside", "layers/15/references/0/state", "layers/15/references/0/reason", "content")
    check(out.startswith("refused\n") and "-o depth=N" in out, "17 images:", out)
    check("content: Permission denied" in out, "17 images:", out)
    check("layers/16" in cat(image, "follow=beside", "layers/16/format"), "17 images")
    check(cat(image, "follow=beside,depth=17", "content") == "empty\n", "17 images with depth=17")
    out = cat(make_chain(80, None), "follow=beside,depth=64", "layers/63/references/0/state")
    check(out == "refused\n", "80 images:", out)
    return "16, 17 and 80 images"


# Races


class Swapper(threading.Thread):
    """Makes a name alternately a good file and a link to a secret one."""

    def __init__(self, swaps):
        super().__init__(daemon=True)
        self.swaps = swaps
        self.ending = False
        self.count = 0

    def run(self):
        while not self.ending:
            for swap in self.swaps:
                swap()
                time.sleep(PAUSE)
            self.count += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.join()


def place_link(target, path):
    os.symlink(target, path + ".new")
    os.rename(path + ".new", path)


def place_file(source, path):
    os.link(source, path + ".new")
    os.rename(path + ".new", path)


def race_directory():
    """Files and directories for a race. Returns the directory, and the swaps."""
    top = tempfile.mkdtemp(dir=Place.top)
    for name in ("images", "images/real", "outside"):
        os.mkdir(f"{top}/{name}")
    names.write_disk(f"{top}/images/good", names.GOOD_BYTES)
    names.write_disk(f"{top}/images/real/base", names.GOOD_BYTES)
    names.write_disk(f"{top}/outside/base", names.SECRET_BYTES)
    for image, backing in (("file", b"base"), ("directory", b"sub/base"), ("both", b"sub/../base")):
        with open(f"{top}/images/{image}.qcow2", "wb") as file:
            file.write(names.qcow2_image(backing, b"raw"))
    os.rename(f"{top}/images/real", f"{top}/images/sub")

    def swap_directory():
        os.rename(f"{top}/images/sub", f"{top}/images/away")
        os.symlink("../outside", f"{top}/images/sub")
        os.unlink(f"{top}/images/sub")
        os.rename(f"{top}/images/away", f"{top}/outside/away")
        os.rename(f"{top}/outside/away", f"{top}/images/sub")

    return top, [lambda: place_link("../outside/base", f"{top}/images/base"),
                 lambda: place_file(f"{top}/images/good", f"{top}/images/base"),
                 lambda: place_link(f"{top}/outside/base", f"{top}/images/base"),
                 lambda: place_file(f"{top}/images/good", f"{top}/images/base"), swap_directory]


def check_race(out, seen):
    for mark in names.SECRETS:
        check(os.fsdecode(mark) not in out, "output has:", out)
    state = out.split("\n")[0]
    check(state in ("granted", "refused", "missing", "unreadable"), "state:", out)
    seen[state] += 1


def test_races():
    top, swaps = race_directory()
    seen = collections.Counter()
    begin = time.monotonic()
    options = ["follow=beside", f"follow=under:{top}/images", "follow=beside,follow-symlinks",
               f"follow=under:{top}/images,follow-symlinks"]
    jobs = [(f"{top}/images/{('file', 'directory', 'both')[i % 3]}.qcow2", options[i % 4],
             Place.plain if i % 10 else Place.build) for i in range(RACE_RUNS)]
    nodes = ("references/0/state", "layers/1/file_size", "content", "virtual_size", "measure/qcow2", "problems")
    with Swapper(swaps) as swapper, concurrent.futures.ThreadPoolExecutor(2) as pool:
        for out in pool.map(lambda job: cat(*job[:2], *nodes, build=job[2]), jobs):
            check_race(out, seen)
    check(seen["granted"] and seen["refused"], "no race happened:", seen)
    return f"{RACE_RUNS} runs, {swapper.count} swaps, {dict(seen)}, {time.monotonic() - begin:.0f} s"


def race_mount(top, number):
    directory = f"{top}/mnt-{number}"
    os.mkdir(directory)
    image = f"{top}/images/{('file', 'directory')[number % 2]}.qcow2"
    option = ("follow=beside", f"follow=under:{top}/images")[number // 2 % 2]
    done = subprocess.run([f"{Place.build}/mount.instar", "-o", option, image, directory], capture_output=True,
                          timeout=SECONDS, check=False)
    check(done.returncode == 0, "mounting:", done.stderr)
    try:
        out = subprocess.run(["cat", *(f"{directory}/{node}" for node in (
            "references/0/state", "content", "measure/qcow2", "problems"))], capture_output=True, timeout=SECONDS,
                             check=False)
        sizes = subprocess.run(["cat", f"{directory}/layers/1/file_size"], capture_output=True, timeout=SECONDS,
                               check=False)
    finally:
        subprocess.run(["umount", directory], check=False)
    return os.fsdecode(out.stdout + sizes.stdout + done.stderr)


def test_mount_races():
    top, swaps = race_directory()
    seen = collections.Counter()
    with Swapper(swaps) as swapper:
        for i in range(16):
            check_race(race_mount(top, i), seen)
    return f"16 mounts, {swapper.count} swaps, {dict(seen)}"


TESTS = [test_matrix, test_mounts, test_cycles, test_depth, test_races, test_mount_races]


def run_test(function):
    began = time.monotonic()
    name = function.__name__.removeprefix("test_").replace("_", " ")
    try:
        words = function()
    except (Failure, subprocess.TimeoutExpired) as e:
        print(f"FAIL  {name}  ({time.monotonic() - began:.1f} s): {e}", flush=True)
        return False
    print(f"ok  {name}  ({time.monotonic() - began:.1f} s): {words}", flush=True)
    return True


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default="build/sanitize")
    arguments.add_argument("--plain", default="build", metavar="DIR", help="programs without sanitizers")
    arguments.add_argument("--only", default="", metavar="WORDS")
    asked = arguments.parse_args()
    lacking = [tool for tool in ("strace", "umount") if not shutil.which(tool)]
    if lacking or os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print(f"FAIL  needs root, /dev/fuse and {lacking}\n0 passed, 1 failed")
        return 1
    Place.build = os.path.realpath(asked.build)
    Place.plain = os.path.realpath(asked.plain)
    Place.top = os.path.realpath(tempfile.mkdtemp(prefix="instar-references-"))
    try:
        names.make_tree(Place.top, Place.build)
        results = [run_test(t) for t in TESTS if asked.only in t.__name__]
    finally:
        shutil.rmtree(Place.top, ignore_errors=True)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
