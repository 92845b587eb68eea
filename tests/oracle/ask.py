# SPDX-License-Identifier: Apache-2.0
"""Compares the results of instar-cat and qemu-img for one image."""

import json
import os
import subprocess

import oracle.bochs
import oracle.dmg
import oracle.vhdx

TIMEOUT = 120

# The files that are compared. instar-cat prints them in one call, in this order.
NODES = ("format", "virtual_size", "file_size", "disk_size", "allocated_size", "measure/raw", "measure/raw.json",
         "measure/qcow2", "measure/qcow2.json")


ATTEMPTS = 4

TARGET_CLUSTER = 64 << 10

# Formats of which qemu-img reports everything as data: functions that find their data.
DATA_RUNS = {"bochs": oracle.bochs.data_runs, "dmg": oracle.dmg.data_runs, "vhdx": oracle.vhdx.data_runs}


# Formats of which qemu-img has no useful map.
OPAQUE = ("luks", *DATA_RUNS)


class ToolError(Exception):
    """A tool failed unexpectedly."""


def run(*args, directory=None):
    """Runs a program in that directory. Returns (exit code, stdout, stderr); the exit code of a hang is None."""
    try:
        done = subprocess.run(args, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, "", f"no answer in {TIMEOUT} s"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def run_for_bytes(*args):
    """Runs a program. Returns (stdout, message of an error or "")."""
    done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
    error = done.stderr.decode(errors="replace") or f"exit code {done.returncode}"
    return done.stdout, error if done.returncode else ""


def qemu(*args, directory=None):
    code, out, error = run("qemu-img", *args, directory=directory)
    if code != 0:
        raise ToolError(f"qemu-img {' '.join(args)}: exit code {code}: {error.strip()}")
    return out


def opened_as(path, form):
    """Arguments with which qemu-img opens the image as that format. LUKS needs a key, and has no -f then. The passphrase is x."""
    if form != "luks":
        return ["-f", form, path]
    # A comma in a name is doubled.
    return ["--object", "secret,id=key,data=x", "--image-opts",
            f"driver=luks,key-secret=key,file.filename={path.replace(',', ',,')}"]


def measure_text(required, fully_allocated):
    return f"required size: {required}\nfully allocated size: {fully_allocated}\n"


def measure_json(required, fully_allocated):
    return f'{{\n    "required": {required},\n    "fully-allocated": {fully_allocated}\n}}\n'


def expect_exactly(runs, answers):
    """Corrects the results of qemu-img for a disk whose data are only these runs (start, length)."""
    full = json.loads(answers["measure/qcow2.json"])["fully-allocated"]
    touched = set()
    for start, length in runs:
        touched.update(range(start // TARGET_CLUSTER, (start + length - 1) // TARGET_CLUSTER + 1))
    clusters = -(-int(answers["virtual_size"]) // TARGET_CLUSTER)
    required = full - (clusters - len(touched)) * TARGET_CLUSTER
    answers["measure/qcow2"] = measure_text(required, full)
    answers["measure/qcow2.json"] = measure_json(required, full)
    answers["allocated_size"] = f"{sum(length for _, length in runs)}\n"


def expected(path, form, options, through=None):
    """{node: text} of qemu-img, which reads the image through another file if one is given.

    Without options, formats of which it reports everything as data are corrected."""
    asked = opened_as(through or path, form)
    beside = os.path.dirname(path)  # qemu resolves the name of a data file from its working directory
    answers = {"format": form + "\n"}
    info = json.loads(qemu("info", "-f", form, "--output=json", through or path, directory=beside))
    answers["virtual_size"] = f"{info['virtual-size']}\n"
    ranges = json.loads(qemu("map", "--output=json", *asked, directory=beside))
    answers["allocated_size"] = f"{sum(r['length'] for r in ranges if r['data'] and not r['zero'])}\n"
    for target in "raw", "qcow2":
        answers[f"measure/{target}"] = qemu("measure", "-O", target, *asked, directory=beside)
        answers[f"measure/{target}.json"] = qemu("measure", "-O", target, "--output=json", *asked, directory=beside)
    if form in DATA_RUNS and not options:
        expect_exactly(DATA_RUNS[form](path), answers)
    st = os.stat(path)
    answers["file_size"] = f"{st.st_size}\n"
    answers["disk_size"] = f"{st.st_blocks * 512}\n"
    return answers


def ours(instar_cat, path, nodes, options=()):
    """The output of instar-cat for these nodes, with errors."""
    code, out, error = run(instar_cat, *options, path, *nodes)
    return out if code == 0 else f"{out}exit code {code}\n{error}"


def settle(path):
    """Writes the file to disk and drops it from the page cache: cached pages of an unwritten extent count as data."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def describe_maps(theirs, ours):
    """A message with the first range that differs, and the one before."""
    at = next((i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b), min(len(theirs), len(ours)))
    words = f"    map: {len(theirs)} ranges expected, {len(ours)} found; number {at} differs: expected\n"
    for n, ranges in enumerate((theirs, ours)):
        words += ("      found\n" if n else "") + indent("\n".join(str(r) for r in ranges[max(0, at - 1):at + 3]))
    return words


def join_parts(ranges):
    """Joins ranges that are contiguous in the guest and in their files. qemu joins them if the files have the same name; we do not, as
    two references of the same name may be granted different files."""
    joined = []
    for r in ranges:
        last = joined[-1] if joined else None
        if last and all(last[k] == r[k] for k in ("depth", "present", "zero", "data")) and \
                last.get("offset", 0) + last["length"] == r.get("offset", -1):
            last["length"] += r["length"]
        else:
            joined.append(dict(r))
    return joined


def compare_map(map_image, path, form, options=(), through=None):
    """Compares the extent stream with qemu-img map, range by range. Returns a message, or ""."""
    code, out, error = run(map_image, *options, path)
    theirs = qemu("map", "--output=json", *opened_as(through or path, form), directory=os.path.dirname(path))
    if code != 0:
        return f"    map: exit code {code}\n{indent(error)}"
    theirs, ours = join_parts(json.loads(theirs)), join_parts(json.loads(out))
    return "" if ours == theirs else describe_maps(theirs, ours)


def compare(tools, path, form, options=(), through=None):
    """Returns (message or "", number of attempts). Options are those of instar-cat.

    Reading turns unwritten extents of the host from holes into data. So both tools run from the same state, and if they differ, again,
    when each sees what the other has read.
    """
    for name in os.listdir(os.path.dirname(path)):  # an image may have several
        settle(os.path.join(os.path.dirname(path), name))
    for attempt in range(1, ATTEMPTS + 1):
        found = ours(tools.instar_cat, path, NODES, options)
        answers = expected(path, form, options, through)
        report = ""
        if form not in OPAQUE:
            report = compare_map(tools.map_image, path, form, options, through)
        if found != "".join(answers[node] for node in NODES):
            report += describe(tools.instar_cat, path, answers, found, options)
        if not report:
            break
    return report, attempt


def indent(text):
    return "".join(f"        {line}\n" for line in text.splitlines()) or "        (nothing)\n"


def describe(instar_cat, path, answers, found, options, nodes=NODES):
    """A message with the nodes that differ when they are read one by one."""
    report = f"    with {' '.join(options)}\n" if options else ""
    differ = False
    for node in nodes:
        text = ours(instar_cat, path, [node], options)
        if text != answers[node]:
            differ = True
            report += f"    {node}: expected\n{indent(answers[node])}      found\n{indent(text)}"
    return report if differ else f"{report}    nodes agree when read one by one, and differ together:\n{indent(found)}"
