# SPDX-License-Identifier: Apache-2.0
"""Files about the mount itself: generations, jobs and their readers, costs of passes, other users of the image; attributes; bars."""
import errno
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

import mount.images as images
from mount.harness import Mount, Place, check, equal, fails, finish, good, mounted, run, start, test, wait_until

COLD = "measure/qcow2"


@test
def each_change_is_a_generation():
    image = images.raw()
    with Mount(image) as m:
        equal(m.read("status/generation"), "1\n", "at first")
        m.read(COLD)
        equal(m.read("status/generation"), "1\n", "after a scan")
        for i in range(2, 5):
            os.truncate(image, (8 << 20) + 512 * i)
            equal(m.read("status/generation"), f"{i}\n", "after a change")
        m.read(COLD)
        equal(m.read("status/generation"), "4\n", "without another change")


@test
def without_a_mount_there_are_no_files_about_jobs():
    for name in ("jobs", "progress", "passes", "sandbox"):
        with Mount(images.raw()) as m:
            check(os.path.exists(m.path(f"status/{name}")), f"a mount has status/{name}")
        done = run(Place.cat, images.raw(), f"status/{name}")
        check(done.returncode != 0 and "No such file" in done.stderr, f"{name}: {done}")


@test
def status_jobs_lists_jobs_and_their_readers():
    with Mount(images.slow()) as m:
        equal(m.read("status/jobs"), "", "without jobs")
        readers = [start("cat", m.path(COLD)) for _ in range(3)]
        pid = m.stop_job()
        wait_until(lambda: len(m.read("status/jobs").split()[2].split(",")) == 3, "all wait")
        state, seconds, waiting, name = m.read("status/jobs").split()
        equal((state, name), ("running", "measure"), "the job")
        check(0 <= int(seconds) < 30, seconds)
        equal({int(p) for p in waiting.split(",")}, {r.pid for r in readers}, "readers")
        os.kill(pid, signal.SIGCONT)
        for reader in readers:
            equal(finish(reader)[0], 0, "status of a reader")
        equal(m.read("status/jobs"), "", "after the job")


@test
def status_passes_lists_costs():
    with Mount(images.slow()) as m:
        runs, size, reads, seconds, name = m.read("status/passes").split()
        equal((runs, name), ("1", "header"), "the pass before the mount")
        check(512 <= int(size) <= 64 << 10 and 1 <= int(reads) <= 20, size, reads)
        m.read(COLD)
        m.read("measure/qcow2,cluster_size=4k")
        lines = [line.split() for line in m.read("status/passes").splitlines()]
        equal([(line[0], line[4]) for line in lines], [("1", "header"), ("2", "measure")], "passes")
        equal(sum(int(line[1]) for line in lines), m.bytes_read(), "the sum is status/bytes_read")
        check(float(lines[1][3]) > 0, "seconds", seconds)


@test
def locks_of_qemu_are_shown_and_not_touched():
    image = images.qcow2()
    with Mount(image) as m:
        equal(m.read("status/in_use"), "no\n", "no user")
        for arguments, use in (([], "write"), (["-r"], "read")):
            user = subprocess.Popen(["qemu-io", *arguments, "-f", "qcow2", image], stdin=subprocess.PIPE,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda use=use: m.read("status/in_use") == f"{use}\n", f"in use: {use}")
            check(m.read(COLD).startswith("required size: "), "the image can be measured")
            equal(good(Place.cat, image, "status/in_use"), f"{use}\n", "instar-cat")
            user.communicate(b"quit\n", timeout=20)
            equal(user.returncode, 0, "status of qemu-io")
        equal(m.read("status/in_use"), "no\n", "no user any more")
        # The mount holds no lock that would stop a writer.
        m.read("content")
        good("qemu-io", "-f", "qcow2", "-c", "write 0 64k", image)


def attributes(path):
    return {name: os.getxattr(path, name).decode() for name in os.listxattr(path)}


@test
def attributes_have_the_type_of_a_file():
    with Mount(images.qcow2()) as m:
        for name, kind, more in (("format", "string", {}), ("virtual_size", "integer", {"user.instar.unit": "bytes"}),
                                 ("allocated_size", "integer", {"user.instar.unit": "bytes"}),
                                 ("candidates", "lines", {}), (COLD, "lines", {}), (COLD + ".json", "json", {}),
                                 ("status/generation", "integer", {}), ("header/version", "integer", {}),
                                 ("problems", "lines", {})):
            mime = "application/json" if kind == "json" else "text/plain"
            equal(attributes(m.path(name)), {"user.instar.type": kind, "user.mime_type": mime, **more}, name)
        equal(attributes(m.path("header")), {}, "a directory")
        fails(errno.ENODATA, lambda: os.getxattr(m.path("header"), "user.instar.state"), "state of a directory")


@test
def the_state_attribute_shows_whether_a_read_would_wait():
    with Mount(images.slow()) as m:
        def state_of(name):
            return os.getxattr(m.path(name), "user.instar.state").decode()

        equal((state_of("format"), state_of(COLD)), ("computed", "pending"), "at first")
        reader = start("cat", m.path(COLD))
        pid = m.stop_job()
        equal((state_of(COLD), state_of("allocated_size")), ("running", "pending"), "while it is computed")
        os.kill(pid, signal.SIGCONT)
        equal(finish(reader)[0], 0, "status of the reader")
        equal((state_of(COLD), state_of("measure/qcow2,cluster_size=4k")), ("computed", "pending"), "after")


def on_terminal(*command, during=None, seconds=20):
    """Runs a command whose standard error is a terminal of 80 columns. Returns (status, what it drew)."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    drawn, end = b"", time.monotonic() + seconds
    if during:
        threading.Thread(target=during, args=(process,)).start()
    while time.monotonic() < end:
        try:
            drawn += os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
    os.close(ours)
    return process.wait(seconds), drawn.decode()


def check_bars(drawn, name):
    bars = re.findall(r"\r(\S+) \[(#*)(\.*)\] +(\d+) %  \d+ s left\x1b\[K", drawn)
    check(len(bars) >= 2, f"bars: {drawn!r}")
    equal({bar[0] for bar in bars}, {name}, "names")
    equal({len(bar[1]) + len(bar[2]) for bar in bars}, {80 - 30 - len(name)}, "cells")
    percents = [int(bar[3]) for bar in bars]
    equal(percents, sorted(percents), "percents")
    check(drawn.endswith("\r\x1b[K"), f"the last bar is erased: {drawn[-40:]!r}")


@test
def a_bar_is_drawn_on_a_terminal():
    image = images.slow(32768)
    status, drawn = on_terminal(Place.cat, "-p", image, "measure/qcow2,cluster_size=4k")
    equal(status, 0, "status")
    check_bars(drawn, "measure")
    equal(on_terminal(Place.cat, image, "measure/qcow2,cluster_size=4k"), (0, ""), "without -p")
    equal(run(Place.cat, "-p", image, "measure/qcow2,cluster_size=4k").stderr, "", "without a terminal")


@test
def a_mount_draws_a_bar_with_progress():
    image = images.slow(32768)
    directory = Place.new_directory()

    def use(_):
        wait_until(lambda: mounted(directory), "it is mounted")
        with open(f"{directory}/measure/qcow2,cluster_size=4k") as file:
            file.read()
        good("umount", directory)

    status, drawn = on_terminal(Place.program, "--progress", image, directory, during=use)
    equal(status, 0, "status")
    check_bars(drawn, "measure/qcow2,cluster_size=4k")


@test
def a_stopped_terminal_delays_no_reader():
    directory = Place.new_directory()
    ours, theirs = pty.openpty()
    process = subprocess.Popen([Place.program, "--progress", images.slow(), directory], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=theirs)
    try:
        wait_until(lambda: mounted(directory), "it is mounted")
        termios.tcflow(theirs, termios.TCOOFF)
        reader = start("cat", f"{directory}/measure/qcow2,cluster_size=4k")
        equal(finish(reader)[0], 0, "status of the reader")
    finally:
        termios.tcflow(theirs, termios.TCOON)
        run("umount", directory)
        os.close(theirs)
        os.close(ours)
    equal(process.wait(20), 0, "status")
