#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Tests mount.instar as users use it. Needs root and /dev/fuse.

    tests/mount/run.py [--build DIR] [--only WORDS] [--module NAME] [--list]

Prints a line per test, and "N passed, M failed" at the end. A missing tool is a failure: nothing is skipped.
"""
import argparse
import os
import pathlib
import shutil
import signal
import sys
import time
import traceback

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])  # modules are named from tests/ on
import mount.harness as harness

NEEDED = ["qemu-img", "busybox", "rsync", "tar", "fusermount3", "umount", "mount", "setfattr", "mkfifo", "xxd", "find", "cpio", "7z",
          "bsdtar", "mksquashfs", "zip",
          "du", "grep", "sed", "awk", "dd", "od", "gzip", "sha256sum", "install"]


def missing(build):
    """The tools and programs that are missing."""
    found = [f"the program {tool} is missing" for tool in NEEDED if not shutil.which(tool)]
    found += [f"{build}/{name} is missing: build it first" for name in ("mount.instar", "instar-cat")
              if not os.access(os.path.join(build, name), os.X_OK)]
    if not os.path.exists("/dev/fuse"):
        found.append("/dev/fuse is missing: this machine or container has no FUSE")
    if os.geteuid() != 0:
        found.append("these tests must be run by root")
    return found


def load():
    """Makes all tests known, in the order in which they run."""
    # pylint: disable=import-outside-toplevel,unused-import
    import mount.tree  # noqa: F401
    import mount.header  # noqa: F401
    import mount.jobs  # noqa: F401
    import mount.start  # noqa: F401
    import mount.program  # noqa: F401
    import mount.users  # noqa: F401
    import mount.errors  # noqa: F401
    import mount.references  # noqa: F401
    import mount.targets  # noqa: F401
    import mount.status  # noqa: F401
    import mount.now  # noqa: F401
    import mount.sandbox  # noqa: F401
    import mount.soak  # noqa: F401
    import mount.changes  # noqa: F401


def run_test(name, function):
    """Runs one test. Returns whether it passed."""
    began = time.monotonic()
    before = len(harness.Place.reports())
    words = None
    with harness.Watchdog() as watchdog:
        try:
            function()
        except Exception as e:  # whatever it is, the other tests run
            at = traceback.extract_tb(e.__traceback__)
            where = [f for f in at if os.path.basename(f.filename) != "harness.py"][-1]
            kind = "" if isinstance(e, harness.Failure) else f"{type(e).__name__} "
            words = f"{os.path.basename(where.filename)}:{where.lineno}: {kind}{e}"
    if watchdog.fired:
        words = f"hangs; then {words}"
    reports = harness.Place.reports()[before:]
    if reports:
        words = f"{words or ''}\n" + "\n".join(reports)
    left = harness.left_running()
    if left or words:
        harness.kill_all_started()
    if left and not words:
        words = f"processes are left: {', '.join(left)}"
    took = f"({time.monotonic() - began:.2f} s)"
    print(f"FAIL  {name}  {took}: {words}" if words else f"ok  {name}  {took}", flush=True)
    return not words


def run_all(asked):
    passed = failed = 0
    for name, function, module in harness.TESTS:
        if asked.only in name and asked.module in module:
            good = run_test(name, function)
            passed, failed = passed + good, failed + (not good)
    return passed, failed


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", default="build/sanitize")
    arguments.add_argument("--only", default="", metavar="WORDS", help="only tests with these words in their names")
    arguments.add_argument("--module", default="", metavar="NAME", help="only tests of this file")
    arguments.add_argument("--list", action="store_true")
    asked = arguments.parse_args()
    load()
    if asked.list:
        print("\n".join(name for name, _, _ in harness.TESTS))
        return 0
    lacking = missing(asked.build)
    for words in lacking:
        print(f"FAIL  {words}")
    if lacking:
        print(f"0 passed, {len(lacking)} failed")
        return 1
    # A shell ignores these in what it runs in the background; programs that tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    harness.Place.begin(asked.build)
    try:
        passed, failed = run_all(asked)
    finally:
        harness.kill_all_started()
        shutil.rmtree(harness.Place.work, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
