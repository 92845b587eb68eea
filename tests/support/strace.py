# SPDX-License-Identifier: Apache-2.0
"""Runs a command under strace(1), and finds in its log what the processes opened and tried to open."""
import collections
import os
import re

CALLS = "open,openat,openat2,creat,execve"
LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
OPENED = re.compile(r"^(?:<\.\.\. )?(open|openat|openat2|creat)\b(.*?) = (?:(\d+)<(.*)>|-1 (\w+).*)$")
# The path of the directory, if the call has one, and the path.
ARGUMENTS = re.compile(r'^\w*\((?:\w+<(.*?)>, )?"((?:[^"\\]|\\.)*)"')
DESCRIPTOR = re.compile(rb"/proc/self/fd/(\d+)")


class Failure(Exception):
    pass


def check(condition, *words):
    if not condition:
        raise Failure(" ".join(str(w) for w in words))


class Process:
    """What a process opened after its last execve(), and when it began and ended."""

    def __init__(self):
        self.begin("", 0.0)
        self.ended = 0.0

    def begin(self, arguments, moment):
        self.arguments, self.began = arguments, moment
        self.opened = []  # (arguments, path)
        self.tried = []   # the same, of calls that failed
        self.paths = {}   # of descriptors


def unescape(text):
    """The bytes of a path that strace has escaped."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def path_tried(process, call):
    """The path of a call; a relative one is below the directory of the call, if it has one."""
    match = ARGUMENTS.match(call)
    check(match, "line of strace:", call)
    path = os.path.join(unescape(match[1] or ""), unescape(match[2]))
    descriptor = DESCRIPTOR.fullmatch(path)
    return process.paths.get(int(descriptor[1]), path) if descriptor else path


def take_line(process, moment, rest, begun):
    """Parses a line of the log. begun: the first halves of unfinished calls."""
    if rest.startswith("execve("):
        if not rest.endswith("= 0") and "<unfinished" not in rest:
            return
        process.begin(rest, moment)
    elif rest.startswith("+++") or rest.startswith("---"):
        process.ended = moment
    elif rest.endswith("<unfinished ...>"):
        begun.append(rest)
    else:
        match = OPENED.match(rest)
        check(match or "resumed" in rest or "execve" in rest or "= ?" in rest, "line of strace:", rest)
        if not match:
            return
        call = (begun.pop() if begun and rest.startswith("<...") else "") + match[2]
        if match[3] is None:
            process.tried.append((call, path_tried(process, call)))
        else:
            path = process.paths[int(match[3])] = unescape(match[4])
            process.opened.append((call, path))


def processes_of(path):
    """The processes in a log of strace()."""
    found = collections.defaultdict(Process)
    begun = collections.defaultdict(list)
    done = []
    with open(path, encoding="latin-1") as file:
        for line in file:
            match = LINE.match(line.rstrip("\n"))
            check(match, "line of strace:", line)
            pid = match[1]
            take_line(found[pid], float(match[2]), match[3], begun[pid])
            if match[3].startswith("+++"):
                done.append(found.pop(pid))
    return done + list(found.values())


def strace(log, *command):
    return ["strace", "-f", "--seccomp-bpf", "-q", "-y", "-ttt", "-s", "8192", "-e", f"trace={CALLS}",
            "-e", "signal=none", "-o", log, *command]
