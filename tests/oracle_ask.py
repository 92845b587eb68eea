# SPDX-License-Identifier: Apache-2.0
"""Asking qemu-img and instar-cat about one image, and saying where they differ."""

import json
import os
import subprocess

import oracle_vhdx

TIMEOUT = 120

# What is compared. All of it is asked of instar-cat in one call, in this order.
NODES = ("format", "virtual_size", "file_size", "disk_size", "allocated_size", "measure/raw", "measure/raw.json",
         "measure/qcow2", "measure/qcow2.json")


class ToolError(Exception):
    """A tool failed where it should not."""


def run(*args):
    """(exit code, stdout, stderr) of a program; a hang is exit code None."""
    try:
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, "", f"no answer in {TIMEOUT} s"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def qemu(*args):
    code, out, error = run("qemu-img", *args)
    if code != 0:
        raise ToolError(f"qemu-img {' '.join(args)}: exit code {code}: {error.strip()}")
    return out


def measure_text(required, fully_allocated):
    return f"required size: {required}\nfully allocated size: {fully_allocated}\n"


def measure_json(required, fully_allocated):
    return f'{{\n    "required": {required},\n    "fully-allocated": {fully_allocated}\n}}\n'


def expected_vhdx(path, answers):
    """qemu-img takes all of a VHDX for data: what its BAT says instead."""
    full = json.loads(answers["measure/qcow2.json"])["fully-allocated"]
    required = oracle_vhdx.required(path, full)
    answers["measure/qcow2"] = measure_text(required, full)
    answers["measure/qcow2.json"] = measure_json(required, full)
    answers["allocated_size"] = f"{oracle_vhdx.allocated(path)}\n"


def expected(path, form):
    """{node: text} as qemu-img has it."""
    answers = {"format": form + "\n"}
    info = json.loads(qemu("info", "-f", form, "--output=json", path))
    answers["virtual_size"] = f"{info['virtual-size']}\n"
    ranges = json.loads(qemu("map", "-f", form, "--output=json", path))
    answers["allocated_size"] = f"{sum(r['length'] for r in ranges if r['data'] and not r['zero'])}\n"
    for target in "raw", "qcow2":
        answers[f"measure/{target}"] = qemu("measure", "-f", form, "-O", target, path)
        answers[f"measure/{target}.json"] = qemu("measure", "-f", form, "-O", target, "--output=json", path)
    if form == "vhdx":
        expected_vhdx(path, answers)
    st = os.stat(path)
    answers["file_size"] = f"{st.st_size}\n"
    answers["disk_size"] = f"{st.st_blocks * 512}\n"
    return answers


def ours(instar_cat, path, nodes, options=()):
    """All that instar-cat prints for these nodes, errors too."""
    code, out, error = run(instar_cat, *options, path, *nodes)
    return out if code == 0 else f"{out}exit code {code}\n{error}"


def settle(path):
    """On disk and out of memory: what a read leaves in the page cache makes data of an unwritten extent."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def compare(instar_cat, path, form):
    """(what differs, in words, "" if nothing; how often both were asked).

    Reading moves unwritten extents from hole to data. So ours is asked, and qemu at once, from the same state; and if
    they differ, both again, when each finds what the other has read. The comparison itself is always the same.
    """
    settle(path)
    for attempt in 1, 2:
        got = ours(instar_cat, path, NODES)
        answers = expected(path, form)
        if got == "".join(answers[node] for node in NODES):
            return "", attempt
    return describe(instar_cat, path, answers, got), attempt


def indent(text):
    return "".join(f"        {line}\n" for line in text.splitlines()) or "        (nothing)\n"


def describe(instar_cat, path, answers, got):
    """Which nodes differ, asked one by one."""
    report = ""
    for node in NODES:
        text = ours(instar_cat, path, [node])
        if text != answers[node]:
            report += f"    {node}: expected\n{indent(answers[node])}      got\n{indent(text)}"
    return report or f"    asked one by one the nodes agree, together they do not:\n{indent(got)}"
