#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Runs instar-cat over fixtures, and a mount, under valgrind: no byte is used before it was set, none outside its block,
nothing is lost. (Valgrind needs system calls of its own: the mount's sandbox is off.)

    tests/valgrind.py [--every N] [--seed S] [--build DIR]      every N-th fixture only, from a random one on
"""
import argparse
import concurrent.futures
import gzip
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 300  # seconds: valgrind takes its time
WORKERS = 2
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]
FILES = ("format", "measure/qcow2", "allocated_size", "content", "convert_size/vmdk", "measure/qcow2,cluster_size=4k", "status/jobs",
         "problems", "header/version")


def unpack(packed, work):
    image = pathlib.Path(work, packed.parent.name + "-" + packed.name.removesuffix(".gz"))
    with gzip.open(packed) as source, open(image, "wb") as out:
        shutil.copyfileobj(source, out)
    return image


def options_of(packed):
    for line in packed.with_name(packed.name.replace(".img.gz", ".expect")).read_text(errors="replace").splitlines():
        if line.startswith("# options: "):
            return ["-o", line.removeprefix("# options: ")]
    return []


def check_image(packed, work, build):
    """What is wrong, in words; "": nothing."""
    image = unpack(packed, work)
    done = subprocess.run([*VALGRIND, build / "instar-cat", *options_of(packed), "-a", image], capture_output=True, text=True,
                          errors="replace", timeout=LIMIT)
    image.unlink()
    return "" if done.returncode == 0 else f"{packed}: status {done.returncode}: {done.stderr[:3000]}"


def read(path):
    """As any reader: an error of the file is none of ours."""
    return subprocess.run(["cat", path], capture_output=True, timeout=LIMIT).stdout


def is_mounted(directory):
    return f" {directory} " in pathlib.Path("/proc/self/mountinfo").read_text(errors="surrogateescape")


def check_mount(packed, work, build):
    image, directory, logs = unpack(packed, work), pathlib.Path(work, "mnt"), pathlib.Path(work, "logs")
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
    # Lines with -- are about system calls that valgrind does not know: openat2().
    said = "".join(line for log in logs.iterdir() for line in log.read_text().splitlines(True) if line.startswith("=="))
    if process.returncode or said or texts[0] != b"qcow2\n" or b"required size" not in texts[1]:
        return f"mount.instar: status {process.returncode}: {words}{said[:5000]}"
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    args = parser.parse_args()
    build = args.build.resolve()
    packed = sorted((ROOT / "fixtures").glob("*/*.img.gz"))
    packed = packed[random.Random(args.seed).randrange(args.every)::args.every]
    with tempfile.TemporaryDirectory(prefix="valgrind-") as work, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        found = [check_mount(ROOT / "fixtures/qcow2/by-qemu-compressed.img.gz", work, build)]
        found += pool.map(lambda p: check_image(p, work, build), packed)
    wrong = [words for words in found if words]
    print("\n".join(wrong))
    print(f"{len(found)} runs under valgrind, {len(wrong)} with errors")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
