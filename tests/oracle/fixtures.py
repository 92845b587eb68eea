# SPDX-License-Identifier: Apache-2.0
"""Checks the statements of fixtures about qemu-img: `# qemu-img: same|refuses|differs ...` in each .expect."""

import concurrent.futures
import gzip
import os
import pathlib
import re
import tarfile
import tempfile

import oracle.ask

BLOCK = 4096
TARGETS = ("qcow2", "raw")


def write_sparse(source, path):
    """Writes a file in which each aligned block of zeros is a hole."""
    with open(path, "wb") as image:
        while block := source.read(BLOCK):
            if block.count(0) == len(block):
                image.seek(len(block), os.SEEK_CUR)
            else:
                image.write(block)
        image.truncate()
    oracle.ask.settle(path)


def unpack(packed, directory):
    """Unpacks the image, or all files of a case with several. Returns the path of the image."""
    if packed.name.endswith(".img.gz"):
        path = os.path.join(directory, packed.name.removesuffix(".gz"))
        with gzip.open(packed) as source:
            write_sparse(source, path)
        return path
    with tarfile.open(packed) as archive:
        for member in archive:
            path = os.path.join(directory, member.name)
            write_sparse(archive.extractfile(member), path)
            os.utime(path, (member.mtime, member.mtime))
    return os.path.join(directory, "image")


def make_neighbours(text, directory):
    """Makes the files that qemu-img needs beside the image: `&& truncate -s SIZE NAME` in the recipe."""
    for size, unit, name in re.findall(r"&& truncate -s (\d+)([KMG]?) (\w+)(?= |$)", text, re.MULTILINE):
        with open(os.path.join(directory, name), "wb") as file:
            file.truncate(int(size) << {"": 0, "K": 10, "M": 20, "G": 30}[unit])


def read_expect(text):
    """Returns (verdict or None, options of instar-cat)."""
    verdict = re.search(r"^# qemu-img: (same|refuses|differs)\b", text, re.MULTILINE)
    options = re.findall(r"^# options: (\S+)", text, re.MULTILINE)
    return verdict and verdict[1], [word for option in options for word in ("-o", option)]


def our_format(instar_cat, path, options):
    code, out, error = oracle.ask.run(instar_cat, *options, path, "format")
    if code != 0:
        raise oracle.ask.ToolError(f"instar-cat format: exit code {code}: {error.strip()}")
    return out.strip()


def other_format(path, form):
    """A message if qemu-img detects another format than ours and raw, or "".

    It does not print the format of an image that it cannot open: then its message must be the same as with our format given."""
    found = re.search(r'"format": "(\w+)"', oracle.ask.run("qemu-img", "info", "--output=json", path)[1] or "")
    if found:
        return "" if found[1] in (form, "raw") else f"    qemu-img detects {found[1]}, ours is {form}\n"
    # measure needs a key for LUKS, and with it the format; info does not.
    command = ["info"] if form == "luks" else ["measure", "-O", "qcow2"]
    alone = oracle.ask.run("qemu-img", *command, path)
    given = oracle.ask.run("qemu-img", *command, "-f", form, path)
    if alone == given:
        return ""
    return f"    qemu-img without format:\n{oracle.ask.indent(alone[2])}    with {form}:\n{oracle.ask.indent(given[2])}"


def ask(instar_cat, path, options, form):
    """Measures with our format. Returns {target: (text of qemu-img or None, message)}, and the same of instar-cat."""
    theirs, ours = {}, {}
    for target in TARGETS:
        code, out, error = oracle.ask.run(instar_cat, *options, path, f"measure/{target}")
        if code not in (0, 1):
            raise oracle.ask.ToolError(f"instar-cat measure/{target}: exit code {code}: {error.strip()}")
        ours[target] = (out if code == 0 else None, error)
        code, out, error = oracle.ask.run("qemu-img", "measure", "-O", target, *oracle.ask.opened_as(path, form))
        if code is None:
            raise oracle.ask.ToolError(f"qemu-img measure -O {target}: {error}")
        # Some damaged images crash qemu-img: that counts as a refusal.
        theirs[target] = (out if code == 0 else None, error or f"exit code {code}")
    return theirs, ours


def is_true(verdict, theirs, ours):
    same = all(theirs[t][0] is not None and theirs[t][0] == ours[t][0] for t in TARGETS)
    refused = theirs["qcow2"][0] is None and ours["qcow2"][0] is None
    if verdict == "same":
        return same
    if verdict == "refuses":
        return refused
    return any(theirs[t][0] != ours[t][0] for t in TARGETS)


def check(instar_cat, packed, base):
    """Checks one fixture. Returns a message, or ""."""
    stem = packed.name.removesuffix(".gz").rsplit(".", 1)[0]
    expect = packed.with_name(stem + ".expect")
    if not expect.exists():
        return f"    {expect} is missing\n"
    text = expect.read_text(errors="replace")
    verdict, options = read_expect(text)
    if not verdict:
        return f"    {expect} has no line `# qemu-img: same|refuses|differs`\n"
    with tempfile.TemporaryDirectory(dir=base) as directory:
        try:
            make_neighbours(text, directory)
            path = unpack(packed, directory)
            options = [re.sub(r"\bref=(\d+):", rf"ref=\1:{directory}/", option) for option in options]
            form = our_format(instar_cat, path, options)
            report = "" if any(re.search(r"(^|,)format=", option) for option in options) else other_format(path, form)
            theirs, ours = ask(instar_cat, path, options, form)
        except (oracle.ask.ToolError, OSError, EOFError) as error:
            return f"    {error}\n"
    if is_true(verdict, theirs, ours):
        return report
    report += f"    the verdict is `{verdict}`, but\n"
    for target in TARGETS:
        for who, (answer, words) in ("qemu-img", theirs[target]), ("instar-cat", ours[target]):
            report += f"    {who} measure {target}:\n{oracle.ask.indent(words if answer is None else answer)}"
    return report


def check_all(instar_cat, fixtures, base, jobs):
    """Prints each failure. Returns (passed, failed)."""
    packed = sorted(pathlib.Path(fixtures).glob("*/*.gz"))
    if not packed:
        print(f"FAILED no fixtures below {fixtures}")
        return 0, 1
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for path, report in zip(packed, pool.map(lambda p: check(instar_cat, p, base), packed)):
            if report:
                failed += 1
                print(f"FAILED {path}\n{report}", flush=True)
    return len(packed) - failed, failed
