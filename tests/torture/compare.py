# SPDX-License-Identifier: Apache-2.0
"""A damaged image as qemu-img sees it: the same numbers, a refusal by both, or a difference that a fixture documents.

A difference is documented if the manual tells it, or if a fixture shows it whose verdict is `differs`, or another with a
remark: the words that we say of the image, or qemu-img, are those of the fixture but for numbers and names. Where
qemu-img crashes, or takes too much of the machine, it has not answered.
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

# qemu-img may take as long, and as much of the machine, as a damaged image makes it.
LIMITS = ("prlimit", f"--as={3 << 30}", "--cpu=10", f"--fsize={64 << 20}", "--core=0")
NO_ANSWER = "no answer"
CONVERT_LARGEST = 48 << 20
CONVERT_TARGETS = ("qcow2", "vmdk", "vdi")

DRIVERS = "bochs|cloop|dmg|luks|parallels|qcow2|qcow|qed|raw|vdi|vhdx|vmdk|vpc"

# Answers to one question: text, or None and why not.
Answer = collections.namedtuple("Answer", "text words")


def shape(words):
    """Words without what is of one image: numbers, names in quotes, names of layers."""
    words = re.sub(rf"^.*?\b(?=({DRIVERS}): )", "", words)
    words = re.sub(r"'[^']*'|\"[^\"]*\"", "'#'", words)
    return re.sub(r"0x[0-9a-fA-F]+|-?\b\d+\b", "#", words).strip()


def section(text, node):
    found = re.search(rf"^== {node}\n(.*?)(?=^== |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


# A question as it was answered: node, ours, theirs; of a tree with its problems.
Case = collections.namedtuple("Case", "form tree problems node ours theirs")


def is_differencing(case):
    return case.form == "vpc" and case.tree["subformat"].text == "differencing\n"


def has_small_blocks(case):
    size = case.tree.get("header/dynamic/block_size", case.theirs).text
    return case.form == "vpc" and case.node == "map" and size is not None and int(size) < 4096


def has_bad_entry(case):
    """What does not need the entry is told, where qemu-img looks at all of the tables first; what does is an error."""
    needs = case.tree["allocated_size"], case.tree["convert_size/qcow2"]
    return case.node != "map" and case.theirs.text is None and any(answer.text is None for answer in needs)


def has_strange_list(case):
    return case.form == "dmg" and case.ours.text is None and any("property list: " in line for line in case.problems)


def reads_past_end(case):
    return case.node.startswith("convert_size/") and case.ours.text is None and \
        any(" past the end of the file" in line for line in case.problems)


def lacks_key(case):
    return case.ours.text is not None and "key-secret' is required" in case.theirs.words


# Differences that the manual documents: words of the manual, and whether a case is one of these.
MANUAL = (
    ("A differencing VHD is read sector by sector", is_differencing),
    ("an image with a bad table entry still has its format and its size", has_bad_entry),
    ("VHD blocks smaller than 4096 bytes have a sector bitmap", has_small_blocks),
    ("The property list of a DMG must be well-formed", has_strange_list),
    ("images are measured without their key", lacks_key),
    ("Guest data past the end of the image file is an error", reads_past_end),
)


class Documented:
    """What fixtures say of differences: shapes of words, by format, with the fixture that has them; and the manual."""

    def __init__(self, fixtures, manual):
        self.we_refuse, self.we_differ, self.qemu_says = {}, {}, {}
        self.no_sizes = {}  # where both refuse in the end, but qemu-img tells the disk's size
        lines = pathlib.Path(manual).read_text().splitlines()
        said = " ".join(re.sub(r"^\.[A-Z]+\b", "", line).strip() for line in lines)
        missing = [words for words, _ in MANUAL if words not in said]
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
                self.qemu_says.setdefault((section(text, "format").strip(), shape(words)), name)

    def find(self, case):
        """What documents that one answers what the other does not, or otherwise; None: nothing."""
        for words, is_one in MANUAL:
            if is_one(case):
                return words
        if case.ours.text is not None and case.theirs.text is None:
            return self.qemu_says.get((case.form, shape(case.theirs.words)))
        said = self.we_refuse if case.ours.text is None else self.we_differ
        if case.ours.text is None and case.node in ("virtual_size", "measure/raw"):
            said = self.no_sizes | said
        return next((said[s] for s in map(shape, case.problems) if s in said), None)


def run_qemu(directory, args, out):
    """(exit code, words on stderr) of a qemu-img that writes to a file."""
    done = subprocess.run([*LIMITS, "qemu-img", *args], cwd=directory, stdin=subprocess.DEVNULL, stdout=out,
                          stderr=subprocess.PIPE, timeout=120)
    lines = done.stderr.decode(errors="replace").replace("qemu-img: ", "").splitlines()
    words = "; ".join(line for line in lines if not line.startswith("qemu: module "))  # of DMG, that it does without
    if done.returncode < 0 or "Cannot allocate memory" in words:
        words = f"{NO_ANSWER} ({done.returncode}) {words}"
    return done.returncode, words


def qemu(directory, *args):
    """What qemu-img prints, which may be of any length."""
    with tempfile.TemporaryFile(dir=directory) as out:
        code, words = run_qemu(directory, args, out)
        out.seek(0)
        return Answer(out.read().decode(errors="replace"), "") if code == 0 else Answer(None, words)


def our_tree(programs, path, options):
    """{node: Answer}, and the problems."""
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


def look(place, form):
    """What qemu-img says of the image taken as that format, and which one it finds itself, None: it does not say."""
    alone = qemu(place.directory, "info", "--output=json", place.image)
    found = json.loads(alone.text)["format"] if alone.text else None
    if found == form:
        return alone, found
    return qemu(place.directory, "info", "-f", form, "--output=json", place.image), found


def questions(programs, place, form, info, tree, options):
    """Yields (name, ours, theirs)."""
    path, beside = place.image, place.directory
    asked = oracle.ask.opened_as(path, form)
    size = Answer(f"{json.loads(info.text)['virtual-size']}\n", "") if info.text else info
    yield "virtual_size", tree["virtual_size"], size
    if info.text is None:
        # What does not open has nothing else: ours must not either.
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
    """As questions(), of what a conversion writes."""
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
    """How two answers differ: where they are long, from the first line that does."""
    lines = list(zip((ours + "\n(end)").splitlines(), (theirs + "\n(end)").splitlines()))
    at = next((i for i, (a, b) in enumerate(lines) if a != b), 0)
    return f"{node}: ours {lines[at][0]!r}, qemu-img's {lines[at][1]!r}" + (f", line {at}" if at else "")


def judge(documented, case):
    """(verdict, words) of one question: equal, refused, documented or different."""
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
    """(verdict, words) of the image as it lies in its place: the worst of those of all questions."""
    options = [*place.options, "-o", "qemu=7.2"]
    if place.seed.file and any("backing-format=" in option for option in options):
        return "unanswered", "qemu-img cannot be told what a backing file is"
    tree, problems = our_tree(programs, place.image, options)
    form = tree["format"].text.strip()
    info, found = look(place, form)
    asked = list(questions(programs, place, form, info, tree, options))
    if converts and all(theirs.text is not None for _, _, theirs in asked):
        asked += conversions(place, form, tree)
    verdicts = [judge(documented, Case(form, tree, problems + ours.words.splitlines(), node, ours, theirs))
                for node, ours, theirs in asked]
    different = [said for verdict, said in verdicts if verdict == "different"]
    if found not in (form, "raw", None) and not any("format=" in option for option in options):
        different.append(f"format: qemu-img finds {found}, we {form}")
    if different:
        return "different", "\n".join(different + [f"problems: {line}" for line in problems])
    for worst in "unanswered", "documented", "refused":
        said = [words for verdict, words in verdicts if verdict == worst]
        if said:
            return worst, said[0]
    return "equal", ""
