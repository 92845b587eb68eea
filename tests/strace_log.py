# SPDX-License-Identifier: Apache-2.0
"""What strace(1) saw processes open."""
import collections
import re

CALLS = "open,openat,openat2,creat,execve"
LINE = re.compile(r"^(\d+) +(\d+\.\d+) (.*)$")
OPENED = re.compile(r"^(?:<\.\.\. )?(open|openat|openat2|creat)\b(.*?) = (?:\d+<(.*)>|-1 (\w+).*)$")


class Failure(Exception):
    pass


def check(condition, *words):
    if not condition:
        raise Failure(" ".join(str(w) for w in words))


class Process:
    """What one process opened after its last execve(), and how long it lived."""

    def __init__(self):
        self.arguments = ""
        self.opened = []  # (flags, path, before the first open of the image)
        self.began = self.ended = 0.0


def unescape(text):
    """A path as strace writes it, as bytes."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def take_line(process, moment, rest, begun):
    """Takes one line of strace into account."""
    if rest.startswith("execve("):
        if not rest.endswith("= 0") and "<unfinished" not in rest:
            return
        process.arguments, process.opened, process.began = rest, [], moment
    elif rest.startswith("+++") or rest.startswith("---"):
        process.ended = moment
    elif rest.endswith("<unfinished ...>"):
        begun.append(rest)
    else:
        match = OPENED.match(rest)
        check(match or "resumed" in rest or "execve" in rest or "= ?" in rest, "strace says", rest)
        if match and match[3] is not None:
            call = (begun.pop() if begun and rest.startswith("<...") else "") + match[2]
            process.opened.append((call, unescape(match[3])))


def processes_of(path):
    """The processes of a log of strace."""
    found = collections.defaultdict(Process)
    begun = collections.defaultdict(list)
    done = []
    with open(path, encoding="latin-1") as file:
        for line in file:
            match = LINE.match(line.rstrip("\n"))
            check(match, "strace says", line)
            pid = match[1]
            take_line(found[pid], float(match[2]), match[3], begun[pid])
            if match[3].startswith("+++"):
                done.append(found.pop(pid))
    return done + list(found.values())


def strace(log, *command):
    return ["strace", "-f", "--seccomp-bpf", "-q", "-y", "-ttt", "-s", "8192", "-e", f"trace={CALLS}",
            "-e", "signal=none", "-o", log, *command]
