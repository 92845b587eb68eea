# SPDX-License-Identifier: Apache-2.0
"""
Runs programs and measures their time and memory, for torture/bad-inputs.py. A process of its own, and a small one: wait4(2)
reports at least the memory of the process that forked.

A line of input is a program to run: seconds after which it is killed, its directory, files for its two outputs, its arguments, with
tabs between them. A line of output is its status, as of a shell, seconds, and KiB of memory. Seconds in which it was ready to run
but had no processor do not count.
"""
import os
import signal
import sys
import time


def waited(pid):
    """Seconds in which a process, which has ended, was ready to run but had no processor."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except FileNotFoundError:
        return 0


def run(limit, directory, out, errors, *words):
    """Status, seconds, KiB."""
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.chdir(directory)
        for number, path, flags in ((0, "/dev/null", os.O_RDONLY), (1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                                    (2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
            os.dup2(os.open(path, flags, 0o600), number)
        signal.alarm(int(limit))
        os.execvp(words[0], words)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    took = time.monotonic() - began - waited(pid)
    _, status, usage = os.wait4(pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status), took, usage.ru_maxrss


for line in sys.stdin:
    print(*run(*line.rstrip("\n").split("\t")), flush=True)
