#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs instar-cat over fixtures, and a mount, under valgrind: no uninitialised byte, no access out of bounds, no leak. The mount has
no sandbox, as valgrind needs system calls of its own.

    tests/faults/valgrind.py [--every N] [--seed S] [--build DIR]      every N-th fixture of one file, and every N-th of several files
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import oracle.fixtures

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 300  # seconds: valgrind is slow
WORKERS = 2
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]
FILES = ("format", "measure/qcow2", "allocated_size", "content", "convert_size/vmdk", "measure/qcow2,cluster_size=4k", "status/jobs",
         "problems", "header/version")


def files_of(text):
    """The texts of files, by name, in the output of instar-cat -a or an expectation."""
    found = re.split(r"^== (.*)\n", text, flags=re.M)
    return dict(zip(found[1::2], found[2::2]))


def granted_in(files):
    """The references that are granted, as (layer, number)."""
    states = [(re.fullmatch(r"(?:layers/(\d+)/)?references/(\d+)/state", name), text) for name, text in files.items()]
    return {(int(match[1] or 0), int(match[2])) for match, text in states if match and text == "granted\n"}


def references_of(files, directory):
    """Options ref= for the references that the fixture's options grant. Valgrind 3.19 lacks openat2(2), which follow= needs."""
    found = []
    for layer, number in sorted(granted_in(files)):
        name = f"references/{number}/path"
        text = files[f"layers/{layer}/{name}" if layer else name].rstrip("\n")
        path = text.encode("ascii").decode("unicode_escape").replace("\\", "/")
        found += ["-o", f"ref={layer}/{number}:{directory}/{path}"]
    return found


def options_of(text, directory):
    given = [re.sub(r"\bref=(\d+):", rf"ref=\1:{directory}/", option) for option in oracle.fixtures.read_expect(text)[1]]
    return given if any("ref=" in option for option in given) else given + references_of(files_of(text), directory)


def check_image(packed, work, build):
    """A message about what is wrong, or ""."""
    text = packed.with_name(packed.name.rsplit(".", 2)[0] + ".expect").read_text(errors="replace")
    with tempfile.TemporaryDirectory(dir=work) as directory:
        image = oracle.fixtures.unpack(packed, directory)
        done = subprocess.run([*VALGRIND, build / "instar-cat", *options_of(text, directory), "-a", image], capture_output=True,
                              text=True, errors="replace", timeout=LIMIT)
    lacking = granted_in(files_of(text)) - granted_in(files_of(done.stdout))
    if lacking:
        return f"{packed}: references that are not granted: {sorted(lacking)}"
    return "" if done.returncode == 0 else f"{packed}: status {done.returncode}: {done.stderr[:3000]}"


def read(path):
    """An error of the file is no error here."""
    return subprocess.run(["cat", path], capture_output=True, timeout=LIMIT).stdout


def is_mounted(directory):
    return f" {directory} " in pathlib.Path("/proc/self/mountinfo").read_text(errors="surrogateescape")


def check_mount(packed, work, build):
    image, directory, logs = oracle.fixtures.unpack(packed, work), pathlib.Path(work, "mnt"), pathlib.Path(work, "logs")
    directory.mkdir()
    logs.mkdir()
    process = subprocess.Popen([*VALGRIND, f"--log-file={logs}/%p", build / "mount.instar", image, directory, "-f", "-o", "sandbox=off"],
                               stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + LIMIT
        while not is_mounted(directory) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        texts = [read(directory / name) for name in FILES]
        os.utime(image)
        texts += [read(directory / name) for name in FILES]
    finally:
        subprocess.run(["umount", directory], check=False)
    words = process.communicate(timeout=LIMIT)[1]
    # Lines with "--" are about system calls that valgrind does not know, such as openat2().
    errors = "".join(line for log in logs.iterdir() for line in log.read_text().splitlines(True) if line.startswith("=="))
    if process.returncode or errors or texts[0] != b"qcow2\n" or b"required size" not in texts[1]:
        return f"mount.instar: status {process.returncode}: {words}{errors[:5000]}"
    return ""


def choose(pattern, args):
    """Every N-th of the fixtures, but at least one."""
    packed = sorted((ROOT / "fixtures").glob(pattern))
    return packed[random.Random(args.seed).randrange(min(args.every, len(packed)))::args.every]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    args = parser.parse_args()
    build = args.build.resolve()
    packed = choose("*/*.img.gz", args) + choose("*/*.tar.gz", args)
    with tempfile.TemporaryDirectory(prefix="valgrind-") as work, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        found = [check_mount(ROOT / "fixtures/qcow2/by-qemu-compressed.img.gz", work, build)]
        found += pool.map(lambda p: check_image(p, work, build), packed)
    wrong = [words for words in found if words]
    print("\n".join(wrong))
    print(f"{len(found)} runs under valgrind, {len(wrong)} with errors")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
