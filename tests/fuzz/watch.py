#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a fuzzer and prints a line about the results: watch.py NAME BUILD PROGRAM ARGUMENT...

The line has executions, executions per second, seconds of CPU of this run and of all runs, covered edges of the program, and the
inputs that were found. The output of the fuzzer goes to BUILD/NAME.log. The exit status is 1 if something was found.
"""

import pathlib
import re
import resource
import subprocess
import sys


def last(pattern, text):
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def add_total(path, name, runs, cpu):
    """Adds a line to the totals. Returns the sums of that name: executions, seconds of CPU."""
    with open(path, "a", encoding="ascii") as totals:
        totals.write(f"{name} {runs} {cpu:.1f}\n")
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    mine = [line for line in lines if line[0] == name]
    return sum(int(line[1]) for line in mine), sum(float(line[2]) for line in mine)


def main():
    name, build, command = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    log = build / (name + ".log")
    with open(log, "wb") as out:
        ended = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    text = log.read_text(encoding="utf-8", errors="replace")
    runs = last(r"^#(\d+)\s", text)
    found = re.findall(r"Test unit written to (\S+)", text)
    all_runs, all_cpu = add_total(build / "totals", name, runs, cpu)
    result = "found " + " ".join(found) if found else "nothing found"
    if ended.returncode and not found:
        result = f"it ended early, see {log}"
    edges = last(r" cov: (\d+)", text)
    print(f"{name:10} {runs:9} executions, {runs / max(cpu, 0.1):6.0f} per second of CPU, {cpu:6.0f} s; "
          f"in all {all_runs}, {all_cpu:.0f} s; {edges} edges; {result}", flush=True)
    return ended.returncode != 0


sys.exit(main())
