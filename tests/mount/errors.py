# SPDX-License-Identifier: Apache-2.0
"""Errors: nothing can be written, damaged images mount and report their problems, no file that an image names is opened."""
import ctypes
import errno
import os
import struct
import time

import mount.images as images
from mount.harness import Mount, Place, check, equal, expected, fails, run, test, test_each
from mount.tree import OF_PROCESSES, TREE, listing

# Errors of files, in the order of the manual.
ERRORS = {errno.EUCLEAN, errno.ENOTSUP, errno.EFBIG, errno.EACCES, errno.EIO}
ALWAYS = ("format", "candidates", "problems", "file_size", "disk_size", "status/version", "status/bytes_read")

WRITING = [
    ("create", lambda d: os.open(d + "/new", os.O_CREAT | os.O_WRONLY)),
    ("create below measure", lambda d: os.open(d + "/measure/new", os.O_CREAT | os.O_WRONLY)),
    ("write", lambda d: os.open(d + "/format", os.O_WRONLY)),
    ("read and write", lambda d: os.open(d + "/measure/qcow2", os.O_RDWR)),
    ("append", lambda d: os.open(d + "/format", os.O_WRONLY | os.O_APPEND)),
    ("open and truncate", lambda d: os.open(d + "/format", os.O_WRONLY | os.O_TRUNC)),
    ("truncate", lambda d: os.truncate(d + "/format", 0)),
    ("chmod", lambda d: os.chmod(d + "/format", 0o777)),
    ("chmod of the root", lambda d: os.chmod(d, 0o777)),
    ("chown", lambda d: os.chown(d + "/format", 1, 1)),
    ("utime", lambda d: os.utime(d + "/format")),
    ("unlink", lambda d: os.unlink(d + "/format")),
    ("rmdir", lambda d: os.rmdir(d + "/measure")),
    ("mkdir", lambda d: os.mkdir(d + "/new")),
    ("rename", lambda d: os.rename(d + "/format", d + "/new")),
    ("symlink", lambda d: os.symlink("x", d + "/new")),
    ("link", lambda d: os.link(d + "/format", d + "/new")),
    ("mknod", lambda d: os.mkfifo(d + "/new")),
    ("setxattr", lambda d: os.setxattr(d + "/format", "user.x", b"x")),
    ("removexattr", lambda d: os.removexattr(d + "/format", "user.x")),
]


@test
def nothing_can_be_written():
    with Mount(images.raw()) as m:
        for name, action in WRITING:
            fails(errno.EROFS, lambda action=action: action(m.directory), name)
        equal(m.read("format"), "raw\n", "format")


def read_quickly(m, name):
    """The file's text, or the line that instar-cat prints for its error. A file must not take a second."""
    began = time.monotonic()
    try:
        text = m.read(name)
    except OSError as e:
        check(e.errno in ERRORS, f"{name}: {errno.errorcode.get(e.errno)} is not an error of the contract")
        # ENOTSUP and EOPNOTSUPP are the same number.
        text = f"error: {'ENOTSUP' if e.errno == errno.ENOTSUP else errno.errorcode[e.errno]}\n"
    took = time.monotonic() - began
    check(took < 1, f"{name} took {took:.2f} s")
    return text


def check_damaged(image):
    texts = {n: t.replace("EOPNOTSUPP", "ENOTSUP") for n, t in expected(image).items()}
    with Mount(image) as m:
        names = [n for n in listing(m.path()) if not n.endswith("/") and n not in OF_PROCESSES]
        equal(sorted(names), sorted(texts), "names")
        for name, text in texts.items():
            os.stat(m.path(name))
            equal(read_quickly(m, name), text, name)
        for name in ALWAYS:
            check(not texts[name].startswith("error:"), f"{name} is never an error: {texts[name]!r}")
        failed = [n for n, t in texts.items() if t.startswith("error:")]
        check(not failed or m.read("problems"), f"problems has the reason why {failed} cannot be read")
        for name in TREE:
            check(name in names or name in OF_PROCESSES or not os.path.exists(m.path(name)), name, "exists but is not listed")


@test_each("damaged images mount and report their problems:", images.DAMAGED)
def damaged(make):
    wrong = []
    count = 0
    for name, image in make():
        count += 1
        try:
            check_damaged(image)
        except Exception as e:  # the other images are tried all the same
            wrong.append(f"{name}: {e}")
    check(not wrong, f"{len(wrong)} of {count} images:", "; ".join(wrong))


@test
def huge_images_are_quick():
    image = Place.new("huge.raw")
    try:
        with open(image, "wb") as file:
            file.truncate((1 << 44) - 4096)  # the largest file of ext4
    except OSError:
        os.truncate(image, 1 << 40)
    with Mount(image) as m:
        equal(m.read("virtual_size"), f"{os.stat(image).st_size}\n", "virtual_size")
        check(read_quickly(m, "measure/qcow2").startswith("required size: "), "measure/qcow2")


class Inotify:
    """Counts accesses to files."""

    OPEN_READ_ATTRIB_CLOSE = 0x20 | 0x1 | 0x4 | 0x8 | 0x10

    def __init__(self, *paths):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        check(self.fd >= 0, "inotify_init1")
        for path in paths:
            check(libc.inotify_add_watch(self.fd, os.fsencode(path), self.OPEN_READ_ATTRIB_CLOSE) >= 0, "inotify", path)

    def events(self):
        """The number of accesses since the last call."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return 0
        count = at = 0
        while at < len(data):
            at += 16 + struct.unpack_from("I", data, at + 12)[0]
            count += 1
        return count


def check_reference(image, name):
    """Checks that an image is served without its backing file."""
    with Mount(image) as m:
        equal(m.read("format"), "qcow2\n", "format")
        equal(m.read("virtual_size"), f"{64 << 20}\n", "virtual_size")
        for node in ("measure/qcow2", "measure/qcow2.json", "allocated_size"):
            equal(read_quickly(m, node), "error: EACCES\n", node)
            os.stat(m.path(node))
        check(name in m.read("problems"), f"problems names the backing file: {m.read('problems')!r}")


@test
def a_backing_file_is_not_opened():
    backing = images.raw(name="backing.raw")
    image = images.overlay(backing)
    watch = Inotify(backing)
    equal(watch.events(), 0, "events before")
    images.contents(backing)
    check(watch.events() > 0, "opening is an event")
    before = os.stat(backing).st_atime_ns
    check_reference(image, backing)
    equal(watch.events(), 0, "events while mounted")
    equal(os.stat(backing).st_atime_ns, before, "atime")
    os.close(watch.fd)


@test
def a_fifo_as_backing_file_does_not_hang():
    fifo = Place.new("fifo")
    os.mkfifo(fifo)
    watch = Inotify(fifo)
    check_reference(images.overlay(fifo), fifo)
    equal(watch.events(), 0, "events")
    os.close(watch.fd)


BACKINGS = ["/dev/zero", "/etc/shadow", "missing.raw", "json:{}", "nbd://localhost/x", "file:///etc/passwd"]


@test_each("a backing file is not followed:", [(b, b) for b in BACKINGS])
def backings(backing):
    base = Place.new("overlay.qcow2")
    image = images.overlay("/dev/null", name="overlay.qcow2")
    data = bytearray(images.contents(image))
    offset = struct.unpack_from(">Q", data, 8)[0]
    name = backing.encode()
    data[offset:offset + len(name)] = name
    data[16:20] = struct.pack(">I", len(name))
    with open(base, "wb") as file:
        file.write(data)
    check_reference(base, backing)


@test
def a_wrong_format_is_an_error_with_a_reason():
    for kind in ("qcow2", "vpc", "vhdx", "vmdk"):
        with Mount(images.raw(), "-o", f"format={kind}") as m:
            equal(m.read("format"), f"{kind}\n", "format")
            check(read_quickly(m, "virtual_size").startswith("error: "), f"virtual_size of a raw image as {kind}")
            check(m.read("problems"), "problems")


@test
def instar_cat_prints_the_problems_of_an_error():
    image = images.variant(images.contents(images.qcow2()), [(20, struct.pack(">I", 99))])
    done = run(Place.cat, image, "virtual_size")
    equal((done.returncode, done.stdout), (1, ""), "status and standard output")
    with Mount(image) as m:
        fails(errno.EUCLEAN, lambda: m.read("virtual_size"), "virtual_size")
        check(m.read("problems").strip() in done.stderr, f"{m.read('problems')!r} is not in {done.stderr!r}")
        check("cluster_bits" in m.read("problems") and "99" in m.read("problems"), "problems names field and value")


@test
def problems_is_complete_when_it_is_read_first():
    image = images.qcow2()
    with open(image, "r+b") as file:
        file.seek(20)
        file.write(struct.pack(">I", 63))
    with Mount(image) as m:
        check("cluster_bits 63" in m.read("problems"), "problems, read before any other file")
