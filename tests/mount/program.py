# SPDX-License-Identifier: Apache-2.0
"""The program: arguments, refusals, /proc/mounts, every way to end a mount, and use by mount(8)."""
import contextlib
import errno
import os
import signal
import time

import mount.images as images
from mount.harness import (Mount, Place, check, children, equal, expected, fails, finish, good, monitors_of, mounted,
                           reap, run, start, state, test, test_each, wait_until)
from mount.jobs import COLD, Slow

HELPER = "/sbin/mount.instar"


def unmount(directory):
    """Unmounts what a command mounted in the background, and waits for its monitor."""
    monitors = monitors_of(directory)
    equal(len(monitors), 1, "monitors")
    good("umount", "--", directory)
    equal(reap(monitors[0], "the monitor"), 0, "exit status of the monitor")
    equal(mounted(directory), None, "mounted")


ORDERS = [
    ("IMAGE DIR", lambda i, d: [i, d]),
    ("IMAGE DIR -o", lambda i, d: [i, d, "-o", "format=raw"]),
    ("-o IMAGE DIR", lambda i, d: ["-o", "format=raw", i, d]),
    ("IMAGE -o DIR", lambda i, d: [i, "-o", "format=raw", d]),
    ("-oformat IMAGE DIR", lambda i, d: ["-oformat=raw", i, d]),
    ("two -o", lambda i, d: ["-o", "ro", i, d, "-o", "format=raw,nosuid"]),
    ("-- IMAGE DIR", lambda i, d: ["-o", "format=raw", "--", i, d]),
    ("-n -s", lambda i, d: ["-n", "-s", i, d, "-o", "format=raw,nonsense"]),
]


@test_each("arguments may stand in the order", ORDERS)
def orders(order):
    image, directory = images.fixed_vhd(), Place.new_directory()
    arguments = order(image, directory)
    done = run(Place.program, *arguments)
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "mounting")
    wanted = "raw\n" if any("format=raw" in a for a in arguments) else "vpc\n"
    equal(images.contents(directory + "/format").decode(), wanted, "format")
    unmount(directory)


@test
def help_is_on_stdout():
    for option in ("-h", "--help"):
        done = run(Place.program, option)
        equal((done.returncode, done.stderr), (0, ""), option)
        check("usage: mount.instar" in done.stdout and "format=" in done.stdout, option, "is complete")


@test
def version_is_one_line():
    for option in ("-V", "--version"):
        done = run(Place.program, option)
        equal((done.returncode, done.stderr, done.stdout.count("\n")), (0, "", 1), option)
        check(done.stdout.startswith("mount.instar "), done.stdout)


@test
def verbose_prints_the_mount():
    image = images.raw()
    with Mount(image, "-v") as m:
        equal(m.output, f"{image} mounted on {m.directory}\n", "standard output")


@test
def debug_stays_in_the_foreground_and_prints_requests():
    image, directory = images.raw(), Place.new_directory()
    log = Place.new("log")
    with open(log, "wb") as file:
        pid = os.posix_spawn(Place.program, [Place.program, "-d", image, directory], os.environ,
                             file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 2)])
    wait_until(lambda: mounted(directory), "it is mounted")
    equal(images.contents(directory + "/format"), b"raw\n", "format")
    check(state(pid) in ("S", "R"), "it stays in the foreground")
    good("umount", directory)
    equal(reap(pid, "the monitor"), 0, "exit status")
    check(b"LOOKUP" in images.contents(log), "requests are in the log")


@test
def a_vhd_can_be_mounted_as_raw():
    image = images.fixed_vhd()
    texts = expected(image, "-o", "format=raw")
    with Mount(image, "-o", "format=raw") as m:
        equal(m.read("format"), "raw\n", "format")
        equal(m.read("virtual_size"), m.read("file_size"), "virtual_size")
        equal(m.read("measure/qcow2"), texts["measure/qcow2"], "measure/qcow2")
        check("format=raw" in m.read("status/options"), "status/options")


# Refusals: one line on stderr, a status, nothing mounted.

WRONG_USAGE = [
    ("no arguments", lambda: []),
    ("one argument", lambda: [images.raw()]),
    ("three arguments", lambda: [images.raw(), Place.new_directory(), "more"]),
    ("an unknown option", lambda: [images.raw(), Place.new_directory(), "-o", "nonsense"]),
    ("an unknown short option", lambda: [images.raw(), Place.new_directory(), "-Z"]),
    ("an unknown long option", lambda: ["--nonsense", images.raw(), Place.new_directory()]),
    ("an unknown format", lambda: [images.raw(), Place.new_directory(), "-o", "format=nonsense"]),
    ("an empty format", lambda: [images.raw(), Place.new_directory(), "-o", "format="]),
    ("a bad uid", lambda: [images.raw(), Place.new_directory(), "-o", "uid=me"]),
    ("a bad umask", lambda: [images.raw(), Place.new_directory(), "-o", "umask=9"]),
]


def fifo():
    path = Place.new("fifo")
    os.mkfifo(path)
    return path


def file_in_the_way():
    directory = Place.new_directory()
    images.variant(b"x")
    with open(directory + "/file", "wb"):
        pass
    return directory


def loop_link():
    path = Place.new("loop")
    os.symlink(path, path)
    return path


WRONG_PLACES = [
    ("a missing image", lambda: [Place.new("missing"), Place.new_directory()]),
    ("a directory as image", lambda: [Place.new_directory(), Place.new_directory()]),
    ("a FIFO as image", lambda: [fifo(), Place.new_directory()]),
    ("a character device as image", lambda: ["/dev/zero", Place.new_directory()]),
    ("a symbolic link to itself as image", lambda: [loop_link(), Place.new_directory()]),
    ("a missing directory", lambda: [images.raw(), Place.new("missing")]),
    ("a file as directory", lambda: [images.raw(), images.raw()]),
    ("a directory that is not empty", lambda: [images.raw(), file_in_the_way()]),
    ("an empty image name", lambda: ["", Place.new_directory()]),
    ("an empty directory name", lambda: [images.raw(), ""]),
]


def check_refusal(arguments, status, **more):
    """Returns the line on stderr."""
    before = len(children(os.getpid()))
    done = run(Place.program, *arguments, **more)
    equal((done.returncode, done.stdout), (status, ""), f"status and standard output ({done.stderr.strip()})")
    equal(len(done.stderr.splitlines()), 1, f"lines on stderr ({done.stderr!r})")
    check(done.stderr.startswith("mount.instar: "), "name of the program:", done.stderr)
    equal([a for a in arguments if mounted(a)], [], "mounted")
    equal(len(children(os.getpid())), before, "processes")
    return done.stderr


@test_each("wrong usage is refused:", WRONG_USAGE)
def wrong_usage(arguments):
    check_refusal(arguments(), 1)


@test_each("a mount is refused:", WRONG_PLACES)
def wrong_places(arguments):
    check_refusal(arguments(), 32)


@test
def a_used_mount_point_is_refused():
    with Mount(images.raw()) as m:
        directory = m.directory
        done = run(Place.program, images.raw(), directory)
        equal((done.returncode, len(done.stderr.splitlines())), (32, 1), f"status, lines ({done.stderr!r})")
        check("mount point" in done.stderr, done.stderr)
        equal(m.read("format"), "raw\n", "the first mount")
        equal(len(monitors_of(directory)), 1, "monitors")


@test
def nonempty_hides_the_files_of_the_directory():
    with Mount(images.raw(), "-o", "nonempty", directory=file_in_the_way()) as m:
        equal(m.read("format"), "raw\n", "format")
    check(os.path.exists(m.path("file")), "the file is back")


# /proc/mounts

NAMES = [("a space", "a b"), ("a comma", "a,b"), ("a backslash", "a\\b"), ("a backslash and a digit", "a\\040b"),
         ("a newline", "a\nb"), ("a tab", "a\tb"), ("a carriage return", "a\rb"), ("a hash", "a#b"),
         ("a quote", "a'b\"c"), ("UTF-8", "ä€𝄞"), ("a bad byte", "a\udcffb"), ("an equals sign", "a=b,fd=3"),
         ("a colon", "a:b"), (" - ", "a - b")]


@test_each("the image's name may have", NAMES)
def image_names(name):
    image = images.raw(name=name)
    with Mount(image) as m:
        source, _, kind, options = mounted(m.directory)
        equal(source, image, "source")
        equal(kind, "fuse.instar", "type")
        check({"ro", "nosuid", "nodev", "noexec"} <= set(options.split(",")), "options:", options)
        equal(m.read("format"), "raw\n", "format")


@test_each("the directory's name may have", NAMES)
def directory_names(name):
    with Mount(images.raw(), directory=Place.new_directory(name)) as m:
        equal(m.read("format"), "raw\n", "format")
        os.kill(m.monitor, signal.SIGTERM)
        m.check_gone("SIGTERM")


@test
def the_source_is_absolute():
    image = images.raw()
    link = Place.new("link")
    os.symlink(image, link)
    for given in (os.path.basename(image), "./" + os.path.basename(link)):
        with Mount(given, cwd=Place.work, directory=Place.new_directory()) as m:
            equal(mounted(m.directory)[0], image, given)
            equal(m.read("status/image"), image + "\n", "status/image")
    directory = Place.new_directory()
    good(Place.program, image, os.path.basename(directory), cwd=Place.work)
    check(mounted(directory), "a relative directory is mounted on")
    good("umount", directory)


@test
def it_returns_when_the_mount_answers():
    """Fifty times on one directory: each mount begins while the last one's processes may still be ending."""
    image, directory = images.raw(), Place.new_directory()
    monitors = set()
    for i in range(50):
        good(Place.program, image, directory)
        monitors |= set(monitors_of(directory))
        equal(os.stat(directory + "/format").st_size, 4, f"size of format in mount {i}")
        equal(mounted(directory)[2], "fuse.instar", f"type of mount {i}")
        # The former monitor may open the directory once, to check that its mount is not a dead one.
        wait_until(lambda: run("umount", directory).returncode == 0, "it is unmounted", 1)
    equal(len(monitors), 50, "monitors")
    equal({reap(p, "a monitor") for p in monitors}, {0}, "exit statuses")
    equal(mounted(directory), None, "mounted")


@test
def an_ending_mount_does_not_affect_the_next_one():
    """The next mount may get the device number of the last one, whose monitor is still ending."""
    image, directory = images.raw(), Place.new_directory()
    for i in range(10):
        with Mount(image, directory=directory) as first:
            os.kill(first.monitor, signal.SIGSTOP)
            good("umount", directory)
            with Mount(image, directory=directory) as second:
                os.kill(first.monitor, signal.SIGCONT)
                equal(first.wait_end("umount"), 0, "exit status of the first monitor")
                equal(second.read("format"), "raw\n", f"second mount {i}")


# Ends


@contextlib.contextmanager
def opened(path):
    """A descriptor of a file. Closing it fails if its file system has died, but closes it."""
    file = os.open(path, os.O_RDONLY)
    try:
        yield file
    finally:
        try:
            os.close(file)
        except OSError:
            pass


def by_signal(number):
    return lambda m: os.kill(m.monitor, number)


ENDS = [
    ("umount", lambda m: good("umount", m.directory)),
    ("umount -l", lambda m: good("umount", "-l", m.directory)),
    ("umount -f", lambda m: good("umount", "-f", m.directory)),
    ("fusermount3 -u", lambda m: good("fusermount3", "-u", m.directory)),
    ("SIGINT", by_signal(signal.SIGINT)),
    ("SIGTERM", by_signal(signal.SIGTERM)),
    ("SIGHUP", by_signal(signal.SIGHUP)),
]


@test_each("a background mount ends by", ENDS)
def ends_in_background(end):
    with Mount(images.raw()) as m:
        m.read("measure/qcow2")
        end(m)
        m.check_gone("end")


@test_each("a foreground mount ends by", ENDS)
def ends_in_foreground(end):
    with Mount(images.raw(), foreground=True) as m:
        m.read("measure/qcow2")
        end(m)
        m.check_gone("end")


@test
def open_files_are_usable_until_the_second_signal():
    for foreground in (False, True):
        with Mount(images.raw(), foreground=foreground) as m, opened(m.path("measure/qcow2")) as file:
            os.kill(m.monitor, signal.SIGTERM)
            wait_until(lambda m=m: not mounted(m.directory), "it is unmounted")
            check(os.read(file, 4096).startswith(b"required size: "), "the open file can be read")
            check(state(m.front), "the front still runs")
            os.kill(m.monitor, signal.SIGTERM)
            m.check_gone("second SIGTERM")


@test
def after_a_signal_the_mount_ends_with_its_last_open_file():
    with Mount(images.raw()) as m:
        file = os.open(m.path("format"), os.O_RDONLY)
        os.kill(m.monitor, signal.SIGINT)
        wait_until(lambda: not mounted(m.directory), "it is unmounted")
        time.sleep(0.1)
        check(state(m.front), "the front still runs")
        os.close(file)
        m.check_gone("close")


@test
def a_busy_mount_is_unmounted_only_lazily():
    with Mount(images.raw()) as m, open(m.path("format"), "rb", buffering=0) as file:
        done = run("umount", m.directory)
        check(done.returncode == 32 and "busy" in done.stderr, f"umount: {done.returncode} {done.stderr}")
        equal(m.read("format"), "raw\n", "format while mounted")
        good("umount", "-l", m.directory)
        equal(mounted(m.directory), None, "mounted")
        equal(file.read(), b"raw\n", "the open file")
        file.close()
        m.check_gone("close")


@test
def after_a_signal_waiting_readers_get_their_text():
    with Slow.mount() as m:
        reader = start("cat", m.path(COLD))
        job = m.stop_job()
        os.kill(m.monitor, signal.SIGTERM)
        wait_until(lambda: not mounted(m.directory), "it is unmounted")
        os.kill(job, signal.SIGCONT)
        Slow.check_reader(reader)
        m.check_gone("SIGTERM")


@test
def two_signals_end_a_mount_with_a_stopped_job():
    with Slow.mount() as m:
        reader = start("cat", m.path(COLD))
        job = m.stop_job()
        for _ in range(2):
            os.kill(m.monitor, signal.SIGTERM)
            time.sleep(0.1)
        m.check_gone("second SIGTERM")
        equal(finish(reader)[0], 1, "status of the reader")
        equal(state(job), None, "state of the job")


@test
def a_killed_front_leaves_no_stale_mount():
    for foreground in (False, True):
        for _ in range(5):
            with Mount(images.raw(), foreground=foreground) as m:
                m.read("format")
                os.kill(m.front, signal.SIGKILL)
                equal(m.wait_end("kill -9 of the front"), 2, "status")
                equal(mounted(m.directory), None, "mounted")
                equal(os.listdir(m.directory), [], "the directory")


@test
def a_killed_front_leaves_no_stale_mount_with_files_open():
    with Mount(images.raw()) as m, opened(m.path("format")):
        os.kill(m.front, signal.SIGKILL)
        m.wait_end("kill -9 of the front")
        equal(mounted(m.directory), None, "mounted")


@test
def a_stale_mount_point_is_explained():
    with Mount(images.raw()) as m:
        m.read("format")
        os.kill(m.monitor, signal.SIGKILL)
        m.wait_end("kill -9")
        equal(m.read("format"), "raw\n", "format without a monitor")
        os.kill(m.front, signal.SIGKILL)
        wait_until(lambda: state(m.front) == "Z", "the front has ended")
        os.waitpid(m.front, 0)
        check(mounted(m.directory), "the mount is stale")
        fails(errno.ENOTCONN, lambda: os.listdir(m.directory), "listing it")
        done = run(Place.program, images.raw(), m.directory)
        equal((done.returncode, len(done.stderr.splitlines())), (32, 1), f"status, lines ({done.stderr!r})")
        check("umount" in done.stderr, f"the remedy is in the message: {done.stderr!r}")
        good("umount", m.directory)
        with Mount(images.raw(), directory=m.directory) as again:
            equal(again.read("format"), "raw\n", "format")


# mount(8)

class Helper:
    """The program as mount(8)'s helper, for a with statement. A former helper is restored."""

    def __enter__(self):
        self.saved = None
        if os.path.lexists(HELPER):
            self.saved = HELPER + ".saved"
            check(not os.path.lexists(self.saved), f"{self.saved} exists")
            os.rename(HELPER, self.saved)
        os.symlink(Place.program, HELPER)

    def __exit__(self, *_):
        os.unlink(HELPER)
        if self.saved:
            os.rename(self.saved, HELPER)


BY_MOUNT = [
    ("", []),
    ("-o ro", ["-o", "ro"]),
    ("-o ro,nofail,...", ["-o", "ro,nofail,_netdev,noexec,nosuid,nodev,relatime,user,x-systemd.automount,comment=x"]),
    ("-o defaults", ["-o", "defaults"]),
    ("-r", ["-r"]),
    ("-n -s", ["-n", "-s"]),
    ("-o format=raw", ["-o", "format=raw"]),
]


@test_each("mount -t instar works with", BY_MOUNT)
def by_mount(options):
    image, directory = images.fixed_vhd(), Place.new_directory()
    with Helper():
        done = run("mount", "-t", "instar", *options, image, directory)
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "mounting")
    equal(mounted(directory)[0], image, "source")
    wanted = b"raw\n" if "format=raw" in options else b"vpc\n"
    equal(images.contents(directory + "/format"), wanted, "format")
    unmount(directory)


@test
def without_dev_null_and_standard_output_nothing_is_mounted():
    """The image would get the descriptor of standard output, to which a job writes."""
    script = 'mount -t tmpfs none /dev && exec "$0" "$@" <&- >&-'
    done = run("unshare", "-m", "sh", "-c", script, Place.program, images.raw(), Place.new_directory())
    equal((done.returncode, done.stderr), (2, "mount.instar: cannot open /dev/null: No such file or directory\n"), "status and message")


@test
def mount_passes_messages_on():
    with Helper():
        done = run("mount", "-t", "instar", Place.new("missing"), Place.new_directory())
        equal(done.returncode, 32, "status for a missing image")
        check("mount.instar: " in done.stderr, done.stderr)
        done = run("mount", "-t", "instar", "-o", "nonsense", images.raw(), Place.new_directory())
        equal(done.returncode, 1, "status for an unknown option")
        check("nonsense" in done.stderr, done.stderr)


@test
def mount_f_checks_and_does_not_mount():
    directory = Place.new_directory()
    with Helper():
        for options in ([], ["-v"], ["-o", "ro,noexec"]):
            done = run("mount", "-f", "-t", "instar", *options, images.raw(), directory)
            equal(done.returncode, 0, f"status ({done.stderr.strip()})")
            equal(mounted(directory), None, "mounted")
        done = run("mount", "-f", "-t", "instar", Place.new("missing"), directory)
        equal(done.returncode, 32, "status for a missing image")


@test
def a_mount_that_is_remounted_read_write_is_still_read_only():
    with Mount(images.raw()) as m:
        good("mount", "-i", "-o", "remount,rw", m.directory)
        refused = {
            "create": lambda: open(m.path("new"), "wb"),
            "open": lambda: open(m.path("format"), "r+b"),
            "truncate": lambda: os.truncate(m.path("format"), 0),
            "chmod": lambda: os.chmod(m.path("format"), 0o777),
            "mkdir": lambda: os.mkdir(m.path("new")),
            "unlink": lambda: os.unlink(m.path("format")),
            "rename": lambda: os.rename(m.path("format"), m.path("measure/new")),
        }
        for name, action in refused.items():
            fails(errno.EROFS, action, name)
        equal(m.read("format"), "raw\n", "format")
