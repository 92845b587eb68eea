# SPDX-License-Identifier: Apache-2.0
"""Asking qemu-img and instar-cat about one image, and saying where they differ."""

import json
import os
import subprocess

import oracle.bochs
import oracle.dmg
import oracle.vhdx

TIMEOUT = 120

# What is compared. All of it is asked of instar-cat in one call, in this order.
NODES = ("format", "virtual_size", "file_size", "disk_size", "allocated_size", "measure/raw", "measure/raw.json",
         "measure/qcow2", "measure/qcow2.json")


ATTEMPTS = 4

TARGET_CLUSTER = 64 << 10

# Formats that qemu-img takes all for data: what of them is data.
DATA_RUNS = {"bochs": oracle.bochs.data_runs, "dmg": oracle.dmg.data_runs, "vhdx": oracle.vhdx.data_runs}


# Formats that qemu-img takes all for data: it has no map of them.
OPAQUE = ("luks", *DATA_RUNS)


class ToolError(Exception):
    """A tool failed where it should not."""


def run(*args, directory=None):
    """(exit code, stdout, stderr) of a program, run there; a hang is exit code None."""
    try:
        done = subprocess.run(args, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, "", f"no answer in {TIMEOUT} s"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def run_for_bytes(*args):
    """(stdout, "" or what went wrong)."""
    done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
    error = done.stderr.decode(errors="replace") or f"exit code {done.returncode}"
    return done.stdout, error if done.returncode else ""


def qemu(*args, directory=None):
    code, out, error = run("qemu-img", *args, directory=directory)
    if code != 0:
        raise ToolError(f"qemu-img {' '.join(args)}: exit code {code}: {error.strip()}")
    return out


def opened_as(path, form):
    """What makes qemu-img open the image as that format: LUKS wants a key, and then not -f. The passphrase is x."""
    if form != "luks":
        return ["-f", form, path]
    # A comma in a name is told from one between options by being doubled.
    return ["--object", "secret,id=key,data=x", "--image-opts",
            f"driver=luks,key-secret=key,file.filename={path.replace(',', ',,')}"]


def measure_text(required, fully_allocated):
    return f"required size: {required}\nfully allocated size: {fully_allocated}\n"


def measure_json(required, fully_allocated):
    return f'{{\n    "required": {required},\n    "fully-allocated": {fully_allocated}\n}}\n'


def expect_exactly(runs, answers):
    """What only some of the disk holds, although qemu-img takes all of it for data: runs are (start, length)."""
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
    """{node: text} as qemu-img has it, which reads the image through another file if one is given.

    Without options, of what it takes all for data, as it should have it."""
    asked = opened_as(through or path, form)
    beside = os.path.dirname(path)  # where qemu looks for a data file is where it runs
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
    """All that instar-cat prints for these nodes, errors too."""
    code, out, error = run(instar_cat, *options, path, *nodes)
    return out if code == 0 else f"{out}exit code {code}\n{error}"


def settle(path):
    """On disk and out of memory: what a read leaves in the page cache makes data of an unwritten extent."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def describe_maps(theirs, ours):
    """The first range that differs, and the one before."""
    at = next((i for i, (a, b) in enumerate(zip(theirs, ours)) if a != b), min(len(theirs), len(ours)))
    words = f"    map: {len(theirs)} ranges expected, {len(ours)} got; number {at} differs: expected\n"
    for n, ranges in enumerate((theirs, ours)):
        words += ("      got\n" if n else "") + indent("\n".join(str(r) for r in ranges[max(0, at - 1):at + 3]))
    return words


def join_parts(ranges):
    """Ranges one behind the other in the guest and in their file: qemu joins them if the files have the same name, we
    do not, as two references of the same name may have been granted two files."""
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
    """The stream of extents against qemu-img map, range by range; what differs in words."""
    code, out, error = run(map_image, *options, path)
    theirs = qemu("map", "--output=json", *opened_as(through or path, form), directory=os.path.dirname(path))
    if code != 0:
        return f"    map: exit code {code}\n{indent(error)}"
    theirs, ours = join_parts(json.loads(theirs)), join_parts(json.loads(out))
    return "" if ours == theirs else describe_maps(theirs, ours)


def compare(tools, path, form, options=(), through=None):
    """(what differs, in words, "" if nothing; how often both were asked). Options are those for instar-cat.

    Reading moves unwritten extents from hole to data. So ours is asked, and qemu at once, from the same state; and if
    they differ, both again, when each finds what the other has read. (Who reads more than before moves more: then once
    more.) The comparison itself is always the same.
    """
    for name in os.listdir(os.path.dirname(path)):  # it may be in several files
        settle(os.path.join(os.path.dirname(path), name))
    for attempt in range(1, ATTEMPTS + 1):
        got = ours(tools.instar_cat, path, NODES, options)
        answers = expected(path, form, options, through)
        report = ""
        if form not in OPAQUE:
            report = compare_map(tools.map_image, path, form, options, through)
        if got != "".join(answers[node] for node in NODES):
            report += describe(tools.instar_cat, path, answers, got, options)
        if not report:
            break
    return report, attempt


def indent(text):
    return "".join(f"        {line}\n" for line in text.splitlines()) or "        (nothing)\n"


def describe(instar_cat, path, answers, got, options, nodes=NODES):
    """Which nodes differ, asked one by one."""
    report = f"    with {' '.join(options)}\n" if options else ""
    differ = False
    for node in nodes:
        text = ours(instar_cat, path, [node], options)
        if text != answers[node]:
            differ = True
            report += f"    {node}: expected\n{indent(answers[node])}      got\n{indent(text)}"
    return report if differ else f"{report}    asked one by one the nodes agree, together they do not:\n{indent(got)}"
