# SPDX-License-Identifier: Apache-2.0
"""Users other than root: their mounts, and access to mounts of others."""
import errno
import os
import signal

import mount.images as images
from mount.harness import (NOBODY, Mount, Place, check, equal, fails, finish, good, mounted, run, start, test,
                           test_each, wait_until)
from mount.program import check_refusal

FILES = ("format", "measure/qcow2", "problems", "status/options")


def readable_by_all(path):
    os.chmod(path, 0o644)
    return path


def ends_by_fusermount(m):
    good("fusermount3", "-u", m.directory, user=NOBODY)


def kill_front(m):
    os.kill(m.front, signal.SIGKILL)


ENDS = [
    ("fusermount3 -u", ends_by_fusermount),
    ("umount", lambda m: good("umount", m.directory, user=NOBODY)),
    ("SIGTERM", lambda m: os.kill(m.monitor, signal.SIGTERM)),
    ("SIGINT", lambda m: os.kill(m.monitor, signal.SIGINT)),
    ("kill -9 of the front", kill_front),
]


@test_each("a user mounts, reads, and it ends by", ENDS)
def user_mount(end):
    image = readable_by_all(images.qcow2())
    with Mount(image, user=NOBODY) as m:
        for name in FILES:
            good("cat", m.path(name), user=NOBODY)
        equal(good("cat", m.path("format"), user=NOBODY), "qcow2\n", "format")
        equal(good("stat", "-c", "%u", m.path("format"), user=NOBODY), f"{NOBODY}\n", "owner")
        equal(mounted(m.directory)[0], image, "source")
        for pid in (m.monitor, m.front):
            check(os.stat(f"/proc/{pid}").st_uid in (0, NOBODY), "owner of a process")
        end(m)
        m.check_gone("end", 2 if end is kill_front else 0)


@test
def a_user_mounts_in_the_foreground():
    with Mount(readable_by_all(images.raw()), user=NOBODY, foreground=True) as m:
        equal(good("cat", m.path("format"), user=NOBODY), "raw\n", "format")
        m.foreground.send_signal(signal.SIGTERM)
        m.check_gone("SIGTERM")


@test
def root_cannot_access_a_users_mount():
    with Mount(readable_by_all(images.raw()), user=NOBODY) as m:
        fails(errno.EACCES, lambda: os.stat(m.path("format")), "stat by root")
        fails(errno.EACCES, lambda: os.listdir(m.directory), "listing by root")


@test
def a_user_cannot_access_a_mount_of_root_without_allow_other():
    with Mount(images.raw()) as m:
        done = run("cat", m.path("format"), user=NOBODY)
        equal(done.returncode, 1, "status of cat")
        check("Permission denied" in done.stderr, done.stderr)
    with Mount(images.raw(), "-o", "allow_other") as m:
        equal(good("cat", m.path("format"), user=NOBODY), "raw\n", "format with allow_other")
        check("allow_other" in m.read("status/options"), "status/options")
    with Mount(images.raw(), "-o", "allow_other,umask=077") as m:
        done = run("cat", m.path("format"), user=NOBODY)
        equal(done.returncode, 1, "status of cat with umask=077")


@test
def a_user_cannot_mount_an_unreadable_image():
    image = images.raw()
    os.chmod(image, 0o600)
    words = check_refusal([image, Place.new_directory(owner=NOBODY)], 32, user=NOBODY)
    check("Permission denied" in words, words)


@test
def a_user_cannot_mount_on_a_directory_of_others():
    directory = Place.new_directory()
    done = run(Place.program, readable_by_all(images.raw()), directory, user=NOBODY)
    equal(done.returncode, 32, f"status ({done.stderr.strip()})")
    check("mount.instar: cannot mount on" in done.stderr, done.stderr)
    equal(mounted(directory), None, "mounted")


@test
def a_users_busy_mount_ends_with_the_second_signal():
    with Mount(readable_by_all(images.raw()), user=NOBODY) as m:
        reader = start("sh", "-c", 'exec <"$0"; exec sleep 60', m.path("format"),
                       user=NOBODY, group=NOBODY, extra_groups=[])
        wait_until(lambda: os.readlink(f"/proc/{reader.pid}/fd/0") == m.path("format"), "it is open")
        os.kill(m.monitor, signal.SIGTERM)
        wait_until(lambda: not mounted(m.directory), "it is unmounted")
        os.kill(m.monitor, signal.SIGTERM)
        m.check_gone("second SIGTERM")
        reader.kill()
        finish(reader)
