# SPDX-License-Identifier: Apache-2.0
"""Whether what the fixtures say of qemu-img is true: `# qemu-img: same|refuses|differs ...` in each .expect."""

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
    """Writes a file with a hole for each aligned block of zeros."""
    with open(path, "wb") as image:
        while block := source.read(BLOCK):
            if block.count(0) == len(block):
                image.seek(len(block), os.SEEK_CUR)
            else:
                image.write(block)
        image.truncate()
    oracle.ask.settle(path)


def unpack(packed, directory):
    """Lays out the image, or all files of a case that has several. Where the image is."""
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
    """Files that the recipe lays beside the image, because qemu-img wants to see them: `&& truncate -s SIZE NAME`."""
    for size, unit, name in re.findall(r"&& truncate -s (\d+)([KMG]?) (\w+)(?= |$)", text, re.MULTILINE):
        with open(os.path.join(directory, name), "wb") as file:
            file.truncate(int(size) << {"": 0, "K": 10, "M": 20, "G": 30}[unit])


def read_expect(text):
    """(verdict or None, options for instar-cat)."""
    verdict = re.search(r"^# qemu-img: (same|refuses|differs)\b", text, re.MULTILINE)
    options = re.findall(r"^# options: (\S+)", text, re.MULTILINE)
    return verdict and verdict[1], [word for option in options for word in ("-o", option)]


def our_format(instar_cat, path, options):
    code, out, error = oracle.ask.run(instar_cat, *options, path, "format")
    if code != 0:
        raise oracle.ask.ToolError(f"instar-cat format: exit code {code}: {error.strip()}")
    return out.strip()


def other_format(path, form):
    """What is wrong if qemu-img, left alone, takes the image for another format than ours and raw; "" if nothing.

    Of an image that it cannot open it does not say the format: then the same words must come as with ours given."""
    found = re.search(r'"format": "(\w+)"', oracle.ask.run("qemu-img", "info", "--output=json", path)[1] or "")
    if found:
        return "" if found[1] in (form, "raw") else f"    qemu-img finds {found[1]}, we {form}\n"
    # To be measured, LUKS wants a key, for which the format must be given. It is looked at without.
    command = ["info"] if form == "luks" else ["measure", "-O", "qcow2"]
    alone = oracle.ask.run("qemu-img", *command, path)
    told = oracle.ask.run("qemu-img", *command, "-f", form, path)
    if alone == told:
        return ""
    return f"    qemu-img says, left alone:\n{oracle.ask.indent(alone[2])}    told {form}:\n{oracle.ask.indent(told[2])}"


def ask(instar_cat, path, options, form):
    """{target: (qemu's text or None, words)}, {target: (ours or None, words)} with the format that we say."""
    theirs, ours = {}, {}
    for target in TARGETS:
        code, out, error = oracle.ask.run(instar_cat, *options, path, f"measure/{target}")
        if code not in (0, 1):
            raise oracle.ask.ToolError(f"instar-cat measure/{target}: exit code {code}: {error.strip()}")
        ours[target] = (out if code == 0 else None, error)
        code, out, error = oracle.ask.run("qemu-img", "measure", "-O", target, *oracle.ask.opened_as(path, form))
        if code is None:
            raise oracle.ask.ToolError(f"qemu-img measure -O {target}: {error}")
        # Some damaged images crash qemu-img. That is a refusal too.
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
    """What is wrong with one fixture, in words; "" if nothing."""
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
    """Prints each failure; (passed, failed)."""
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
