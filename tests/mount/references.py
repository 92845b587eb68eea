# SPDX-License-Identifier: Apache-2.0
"""References: references/ and layers/, grants and their messages, and referenced files that change while mounted."""
import errno
import os
import shutil
import signal
import time

import support.names as names
from mount.harness import (Mount, Place, check, equal, expected, fails, finish, good, left_running, run, start, test,
                           test_each)

MIB = 1 << 20
LINES = 20000
COLD = "measure/qcow2"
OTHERS = ["00", "01", "+1", "-1", "-0", " 0", "0 ", "0x0", "1e0", "²", "٠", "4294967296", "18446744073709551616", "#",
          "0\n", "99", "1000000000000"]


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
    return path


def overlay(backing="base.raw", backing_format=b"raw"):
    """A qcow2 image of 1 MiB of holes with a backing file of that name, in a directory of its own."""
    directory = Place.new_directory("images")
    return write(f"{directory}/image.qcow2", names.qcow2_image(backing.encode(), backing_format))


def base_of(image, size=MIB, name="base.raw"):
    path = os.path.join(os.path.dirname(image), name)
    names.write_disk(path, size)
    return path


def mount_messages(image, *arguments):
    """Mounts, and returns what was printed on standard error."""
    directory = Place.new_directory()
    done = run(Place.program, image, directory, *arguments)
    equal(done.returncode, 0, f"status of mounting ({done.stderr.strip()})")
    good("umount", directory)
    equal(left_running(), [], "processes that are left")
    return done.stderr


@test
def grants_for_missing_references_are_reported():
    image = overlay()
    base = base_of(image)
    words = mount_messages(image, "-o", f"ref=0:{base},ref=5:{base},ref=2/1:{base}")
    equal([line.split()[1] for line in words.splitlines()], ["ref=0/5", "ref=2/1"], "options, a line each")
    equal(mount_messages(image, "-o", f"ref=0:{base}"), "", "messages where all references exist")


@test
def a_reference_without_grant_is_reported_in_one_line():
    image = overlay()
    base_of(image)
    words = mount_messages(image)
    equal(words.count("\n"), 1, f"lines of {words!r}")
    for part in ('the backing file "base.raw" is not opened', "-o follow=beside", "-o ref=0:PATH"):
        check(part in words, part, "is not in", words)
    image = overlay("/no/such/directory/base.raw")
    words = mount_messages(image)
    equal(words.count("\n"), 1, f"lines of {words!r}")
    check("-o follow=under:/no/such/directory" in words, words)


@test
def a_granted_reference_is_not_reported():
    image = overlay()
    base = base_of(image)
    for option in ("follow=beside", f"follow=under:{os.path.dirname(image)}", f"ref=0:{base}"):
        equal(mount_messages(image, "-o", option), "", f"messages with {option}")
    equal(mount_messages(image, "-o", "follow=beside,follow=none").count("\n"), 1, "messages with follow=none at the end")


@test
def names_are_escaped_in_messages():
    words = mount_messages(overlay("x\x1b[2Jy\nz"))
    equal(words.count("\n"), 1, f"lines of {words!r}")
    check("\x1b" not in words and "x\\x1b[2Jy\\x0az" in words, words)


@test_each("references as files", [("granted", "follow=beside"), ("not granted", "follow=none")])
def _(option):
    image = overlay()
    base = base_of(image)
    texts = expected(image, "-o", option)
    is_granted = option == "follow=beside"
    with Mount(image, "-o", option) as m:
        state = "granted" if is_granted else "not-granted"
        shown = ["format", "kind", "path", "resolved" if is_granted else "reason", "source", "state"]
        equal(sorted(os.listdir(m.path("references"))), ["0"], "references")
        equal(sorted(os.listdir(m.path("references/0"))), shown, "references/0")
        for name in shown:
            equal(m.read(f"references/0/{name}"), texts[f"references/0/{name}"], name)
            equal(m.size(f"references/0/{name}"), len(texts[f"references/0/{name}"]), f"size of {name}")
        equal(m.read("references/0/state"), f"{state}\n", "state")
        equal(m.read("references/0/path"), "base.raw\n", "path")
        if is_granted:
            equal(m.read("references/0/resolved"), f"{base}\n", "resolved")
            equal(m.read("content"), "iso9660\n", "content")
        else:
            fails(errno.EACCES, lambda: m.read("content"), "content")
        equal(os.path.exists(m.path("layers")), is_granted, "layers exists")
        found = good("find", m.path("references"), "-type", "f").split()
        equal(len(found), len(shown), "files that find finds")
        good("cat", *found)


@test
def layers_as_files():
    image = overlay("middle.qcow2", b"qcow2")
    base = base_of(image)
    write(os.path.join(os.path.dirname(image), "middle.qcow2"), names.qcow2_image(b"base.raw", b"raw"))
    texts = expected(image, "-o", "follow=beside")
    with Mount(image, "-o", "follow=beside") as m:
        equal(sorted(os.listdir(m.path("layers"))), ["0", "1", "2"], "layers")
        equal([m.read(f"layers/{i}/format") for i in range(3)], ["qcow2\n", "qcow2\n", "raw\n"], "formats")
        equal(m.read("layers/2/file_size"), f"{os.stat(base).st_size}\n", "file_size of the base")
        layers = {n: t for n, t in texts.items() if n.startswith("layers/")}
        check(len(layers) > 60, "few files of layers:", len(layers))
        for name, text in layers.items():
            if text.startswith("error: "):
                fails(getattr(errno, text[7:].strip()), lambda name=name: m.read(name), name)
            else:
                equal(m.read(name), text, name)
        found = {os.path.relpath(p, m.path()) for p in good("find", m.path("layers"), "-type", "f").split("\n") if p}
        equal(found, set(layers), "files that find finds")


@test
def numbers_that_do_not_exist():
    image = overlay()
    base_of(image)
    with Mount(image, "-o", "follow=beside") as m:
        for directory in ("references", "layers"):
            check(os.path.isdir(m.path(f"{directory}/0")), f"{directory}/0")
            for name in OTHERS + (["1"] if directory == "references" else ["2", "63", "64", "65"]):
                fails(errno.ENOENT, lambda name=name, d=directory: os.stat(m.path(f"{d}/{name}")), f"{directory}/{name}")
                fails(errno.ENOENT, lambda name=name, d=directory: m.read(f"{d}/{name}/format"), f"{directory}/{name}/..")
        fails(errno.ENOENT, lambda: m.read("layers/0/layers/0/format"), "layers below layers")
        fails(errno.ENOENT, lambda: m.read("layers/0/status/version"), "status below layers")
        equal(m.read("layers/0/references/0/state"), "granted\n", "references below layers")


def many_extents(line="RW 8 FLAT \"extent-%d.raw\" 0", files=0):
    directory = Place.new_directory("images")
    text = "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n"
    lines = [line % i if "%" in line else line for i in range(LINES)]
    for i in range(files):
        write(f"{directory}/extent-{i}.raw", b"\x5a" * 4096)
    return write(f"{directory}/image.vmdk", (text + "\n".join(lines) + "\n").encode())


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return 0


def peak_memory(pid):
    """Peak memory of a process, MiB."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith("VmHWM:")]
    except (FileNotFoundError, ProcessLookupError):
        lines = []
    return int(lines[0][1]) / 1024 if lines else 0


def check_job(m, image):
    """Stops a job, and checks its descriptors and memory. A job may end before it is stopped: then tries another one."""
    for _ in range(50):
        os.utime(image)
        reader = start("cat", m.path("references/7/state"), m.path(COLD))
        while reader.poll() is None and not m.jobs():
            pass
        for job in m.jobs():
            try:
                os.kill(job, signal.SIGSTOP)
                held, memory = descriptors(job), peak_memory(job)
                os.kill(job, signal.SIGCONT)
            except ProcessLookupError:
                continue
            check(held <= 100, f"job: {held} descriptors")
            check(memory < 32, f"job: {memory:.1f} MiB")
            if held and memory:
                finish(reader)
                return
        finish(reader)
    check(False, "no job was seen")


class PlainProgram:
    """The program without sanitizers, which need memory and time of their own; for a with statement."""

    def __enter__(self):
        self.usual = Place.program
        Place.program = shutil.copy("build/mount.instar", Place.new_directory("plain"))

    def __exit__(self, *_):
        Place.program = self.usual


@test_each("20000 extents", [("of files without grant", ("follow=none", 0)),
                             ("of 40 granted files", ("follow=beside", 40))])
def _(argument):
    option, files = argument
    image = many_extents(files=files)
    with PlainProgram(), Mount(image, "-o", option) as m:
        began = time.monotonic()
        equal(m.read("format"), "vmdk\n", "format")
        check(m.read("virtual_size") == f"{LINES * 4096}\n", "virtual_size")
        took = time.monotonic() - began
        check(took < 1, f"header files took {took:.2f} s")
        equal(len(os.listdir(m.path("references"))), LINES, "entries of references")
        for i in (0, 1, 39, 9999, LINES - 1):
            equal(m.read(f"references/{i}/path"), f"extent-{i}.raw\n", f"path {i}")
            state = "not-granted" if not files else "granted" if i < files else "missing"
            equal(m.read(f"references/{i}/state"), f"{state}\n", f"state {i}")
        fails(errno.ENOENT, lambda: m.read(f"references/{LINES}/path"), "one past the end")
        try:
            m.read(COLD)
        except OSError as e:
            check(e.errno in (errno.EACCES, errno.EIO, errno.ENOTSUP), f"{COLD}: {e}")
        check_job(m, image)
        for name, pid in (("monitor", m.monitor), ("front", m.front)):
            check(descriptors(pid) <= 100, f"{name}: {descriptors(pid)} descriptors")
            check(peak_memory(pid) < 32, f"{name}: {peak_memory(pid):.1f} MiB")


@test
def a_changed_layer_is_computed_again():
    image = overlay()
    base = base_of(image)
    with Mount(image, "-o", "follow=beside") as m:
        equal(m.read("content"), "iso9660\n", "content")
        text = m.read(COLD)
        with open(base, "r+b") as file:
            file.write(bytes(40000))
        equal(m.read("content"), expected(image, "-o", "follow=beside")["content"], "content after the change")
        check(m.read("content") != "iso9660\n", "content is that of the old layer")
        with open(base, "r+b") as file:
            file.write(os.urandom(MIB))
        now = m.read(COLD)
        check(now != text or text == expected(image, "-o", "follow=beside")[COLD], f"{COLD} is that of the old layer")
        equal(now, expected(image, "-o", "follow=beside")[COLD], f"{COLD} after the change")
        os.truncate(base, MIB // 2)
        equal(m.read("layers/1/file_size"), f"{MIB // 2}\n", "file_size of the layer")


@test
def a_deleted_layer_is_still_served():
    image = overlay()
    base = base_of(image)
    texts = expected(image, "-o", "follow=beside")
    with Mount(image, "-o", "follow=beside") as m:
        os.unlink(base)
        for name in ("content", COLD, "layers/1/format", "layers/1/content", "layers/1/file_size"):
            equal(m.read(name), texts[name], name)
        equal(m.read("references/0/state"), "granted\n", "state")


@test
def a_replaced_layer_is_not_opened():
    image = overlay()
    base = base_of(image)
    with Mount(image, "-o", "follow=beside") as m:
        write(base + ".new", b"another")
        os.replace(base + ".new", base)
        equal(m.read("content"), "iso9660\n", "content")
        os.unlink(base)
        os.symlink("/etc/passwd", base)
        equal(m.read("layers/1/file_size"), f"{MIB}\n", "file_size of the layer")


@test
def a_reference_that_changes_while_mounted_is_not_granted():
    image = overlay()
    base = base_of(image)
    shutil.copy(base, os.path.dirname(image) + "/evil.raw")
    with Mount(image, "-o", "follow=beside") as m:
        equal(m.read("content"), "iso9660\n", "content")
        with open(image, "r+b") as file:
            file.write(names.qcow2_image(b"evil.raw", b"raw"))
        equal(m.read("references/0/path"), "evil.raw\n", "path")
        equal(m.read("references/0/state"), "changed\n", "state")
        check("when it was mounted" in m.read("references/0/reason"), "reason")
        fails(errno.EACCES, lambda: m.read("content"), "content")
        check("mount the image again" in m.read("problems"), "problems")
        with open(image, "r+b") as file:
            file.write(names.qcow2_image(b"base.raw", b"raw"))
        equal(m.read("content"), "iso9660\n", "content after the change is undone")
