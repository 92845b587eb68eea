# SPDX-License-Identifier: Apache-2.0
"""Compares a damaged image with qemu-img: equal results, an error of both, or a documented difference.

A difference is documented by the manual (MANUAL), or by a fixture with the verdict `differs` or a remark, if our message or that of
qemu-img is the fixture's, apart from numbers and names. If qemu-img crashes or exceeds its limits there is no result to compare.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile

import oracle.ask
import oracle.fixtures

# A damaged image can make qemu-img take any time and memory.
LIMITS = ("prlimit", f"--as={3 << 30}", "--cpu=10", f"--fsize={64 << 20}", "--core=0")
NO_ANSWER = "no answer"
CONVERT_LARGEST = 48 << 20
CONVERT_TARGETS = ("qcow2", "vmdk", "vdi")

DRIVERS = "bochs|cloop|dmg|luks|parallels|qcow2|qcow|qed|raw|vdi|vhdx|vmdk|vpc"

# A result: text, or None and the message of the error.
Answer = collections.namedtuple("Answer", "text words")


def shape(words):
    """A message without what belongs to one image: numbers, names in quotes, names of layers."""
    words = re.sub(rf"^.*?\b(?=({DRIVERS}): )", "", words)
    words = re.sub(r"'[^']*'|\"[^\"]*\"", "'#'", words)
    return re.sub(r"0x[0-9a-fA-F]+|-?\b\d+\b", "#", words).strip()


def section(text, node):
    found = re.search(rf"^== {node}\n(.*?)(?=^== |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


# A comparison: our result and that of qemu-img, with our whole tree and its problems.
Case = collections.namedtuple("Case", "form tree problems node ours theirs")


def is_differencing(case):
    return case.form == "vpc" and case.tree["subformat"].text == "differencing\n"


def has_small_blocks(case):
    size = case.tree.get("header/dynamic/block_size", case.theirs).text
    return case.form == "vpc" and case.node == "map" and size is not None and int(size) < 4096


def has_bad_entry(case):
    """Only files that need the entry are errors, whereas qemu-img checks all of the tables first."""
    needs = case.tree["allocated_size"], case.tree["convert_size/qcow2"]
    return case.node != "map" and case.theirs.text is None and any(answer.text is None for answer in needs)


def has_bad_plist(case):
    return case.form == "dmg" and case.ours.text is None and any("property list: " in line for line in case.problems)


def reads_past_end(case):
    return case.node.startswith("convert_size/") and case.ours.text is None and \
        any(" past the end of the file" in line for line in case.problems)


def lacks_key(case):
    return case.ours.text is not None and "key-secret' is required" in case.theirs.words


# Differences that the manual documents: words of the manual, and whether a case is such a difference.
MANUAL = (
    ("A differencing VHD is read sector by sector", is_differencing),
    ("an image with a bad table entry still has its format and its size", has_bad_entry),
    ("VHD blocks smaller than 4096 bytes have a sector bitmap", has_small_blocks),
    ("The property list of a DMG must be well-formed", has_bad_plist),
    ("images are measured without their key", lacks_key),
    ("Guest data past the end of the image file is an error", reads_past_end),
)


class Documented:
    """Differences that fixtures document: shapes of messages, with the fixture that has them. And those of the manual."""

    def __init__(self, fixtures, manual):
        self.we_refuse, self.we_differ, self.qemu_refuses = {}, {}, {}
        self.no_sizes = {}  # both fail in the end, but qemu-img has the virtual size
        lines = pathlib.Path(manual).read_text().splitlines()
        text = " ".join(re.sub(r"^\.[A-Z]+\b", "", line).strip() for line in lines)
        missing = [words for words, _ in MANUAL if words not in text]
        if missing:
            raise SystemExit(f"the manual does not have: {missing}")
        for path in sorted(pathlib.Path(fixtures).glob("*/*.expect")):
            text = path.read_text(errors="replace")
            remark = re.search("^# qemu-img: (differs|same: |refuses: )", text, re.MULTILINE)
            if not remark:
                continue
            name = f"{path.parent.name}/{path.stem}"
            both = section(text, "measure/qcow2").startswith("required") and "# qemu-img: differs" in text
            known = self.we_differ if both else self.no_sizes if remark[1] == "refuses: " else self.we_refuse
            for line in section(text, "problems").splitlines():
                known.setdefault(shape(line), name)
            for words in re.findall(r"^# qemu-img measure -f \w+ -O qcow2: refused: (.*)$", text, re.MULTILINE):
                self.qemu_refuses.setdefault((section(text, "format").strip(), shape(words)), name)

    def find(self, case):
        """What documents the difference, or None."""
        for words, is_one in MANUAL:
            if is_one(case):
                return words
        if case.ours.text is not None and case.theirs.text is None:
            return self.qemu_refuses.get((case.form, shape(case.theirs.words)))
        known = self.we_refuse if case.ours.text is None else self.we_differ
        if case.ours.text is None and case.node in ("virtual_size", "measure/raw"):
            known = self.no_sizes | known
        return next((known[s] for s in map(shape, case.problems) if s in known), None)


def run_qemu(directory, args, out):
    """Runs qemu-img with its output in a file. Returns (exit code, message)."""
    done = subprocess.run([*LIMITS, "qemu-img", *args], cwd=directory, stdin=subprocess.DEVNULL, stdout=out,
                          stderr=subprocess.PIPE, timeout=120)
    lines = done.stderr.decode(errors="replace").replace("qemu-img: ", "").splitlines()
    words = "; ".join(line for line in lines if not line.startswith("qemu: module "))  # a module for DMG, which is optional
    if done.returncode < 0 or "Cannot allocate memory" in words:
        words = f"{NO_ANSWER} ({done.returncode}) {words}"
    return done.returncode, words


def qemu(directory, *args):
    """Runs qemu-img, whose output may be of any length. Returns an Answer."""
    with tempfile.TemporaryFile(dir=directory) as out:
        code, words = run_qemu(directory, args, out)
        out.seek(0)
        return Answer(out.read().decode(errors="replace"), "") if code == 0 else Answer(None, words)


def our_tree(programs, path, options):
    """Returns {node: Answer}, and the problems."""
    code, out, error = oracle.ask.run(programs.instar_cat, *options, "-a", path)
    if code != 0:
        raise oracle.ask.ToolError(f"instar-cat -a: exit code {code}: {error}")
    tree = {}
    for part in re.split(r"^== ", out, flags=re.MULTILINE)[1:]:
        name, text = part.split("\n", 1)
        refused = re.fullmatch(r"error: (\w+)\n", text)
        tree[name] = Answer(None, refused[1]) if refused else Answer(text, "")
    return tree, (tree["problems"].text or "").splitlines()


def map_answer(answer):
    if answer.text is None:
        return answer
    return Answer("\n".join(map(str, oracle.ask.join_parts(json.loads(answer.text)))), "")


def info_of(place, form):
    """qemu-img info with that format, and the format that qemu-img detects, or None if it fails."""
    alone = qemu(place.directory, "info", "--output=json", place.image)
    found = json.loads(alone.text)["format"] if alone.text else None
    if found == form:
        return alone, found
    return qemu(place.directory, "info", "-f", form, "--output=json", place.image), found


def questions(programs, place, form, info, tree, options):
    """Yields (node, ours, theirs)."""
    path, beside = place.image, place.directory
    asked = oracle.ask.opened_as(path, form)
    size = Answer(f"{json.loads(info.text)['virtual-size']}\n", "") if info.text else info
    yield "virtual_size", tree["virtual_size"], size
    if info.text is None:
        # An image that cannot be opened must have no other values, either.
        yield "measure/qcow2", tree["measure/qcow2"], info
        return
    for target in "raw", "qcow2":
        node = f"measure/{target}"
        yield node, tree[node], qemu(beside, "measure", "-O", target, *asked)
    if form in oracle.ask.OPAQUE:
        return
    code, out, error = oracle.ask.run(programs.map_image, *options, path)
    ours = Answer(out if code == 0 else None, error.strip())
    yield "map", map_answer(ours), map_answer(qemu(beside, "map", "--output=json", *asked))


def conversions(place, form, tree):
    """As questions(), of the sizes of files that conversions write."""
    size = tree["virtual_size"].text
    if size is None or int(size) > CONVERT_LARGEST or form == "luks":
        return
    written = os.path.join(place.directory, "written")
    for target in CONVERT_TARGETS:
        done = qemu(place.directory, "convert", "-f", form, "-O", target, place.image, written)
        theirs = Answer(f"{os.path.getsize(written)}\n", "") if done.text is not None else done
        if os.path.exists(written):
            os.unlink(written)
        yield f"convert_size/{target}", tree[f"convert_size/{target}"], theirs


def describe(node, ours, theirs):
    """The first line in which two results differ."""
    lines = list(zip((ours + "\n(end)").splitlines(), (theirs + "\n(end)").splitlines()))
    at = next((i for i, (a, b) in enumerate(lines) if a != b), 0)
    return f"{node}: ours {lines[at][0]!r}, qemu-img's {lines[at][1]!r}" + (f", line {at}" if at else "")


def judge(documented, case):
    """The (verdict, message) of a comparison: equal, refused, documented, unanswered or different."""
    if case.ours.text is not None and case.ours.text == case.theirs.text:
        return "equal", ""
    if case.ours.text is None and case.theirs.text is None:
        return "refused", ""
    if case.theirs.words.startswith(NO_ANSWER):
        return "unanswered", case.theirs.words
    found = documented.find(case)
    if found:
        return "documented", found
    return "different", describe(case.node, case.ours.text or case.ours.words, case.theirs.text or case.theirs.words)


def compare(programs, documented, place, converts):
    """The worst (verdict, message) of all comparisons of the image in that place."""
    options = [*place.options, "-o", "qemu=7.2"]
    if place.seed.file and any("backing-format=" in option for option in options):
        return "unanswered", "qemu-img has no option for the format of a backing file"
    tree, problems = our_tree(programs, place.image, options)
    form = tree["format"].text.strip()
    info, found = info_of(place, form)
    asked = list(questions(programs, place, form, info, tree, options))
    if converts and all(theirs.text is not None for _, _, theirs in asked):
        asked += conversions(place, form, tree)
    verdicts = [judge(documented, Case(form, tree, problems + ours.words.splitlines(), node, ours, theirs))
                for node, ours, theirs in asked]
    different = [words for verdict, words in verdicts if verdict == "different"]
    if found not in (form, "raw", None) and not any("format=" in option for option in options):
        different.append(f"format: ours {form}, qemu-img's {found}")
    if different:
        return "different", "\n".join(different + [f"problems: {line}" for line in problems])
    for worst in "unanswered", "documented", "refused":
        found = [words for verdict, words in verdicts if verdict == worst]
        if found:
            return worst, found[0]
    return "equal", ""
