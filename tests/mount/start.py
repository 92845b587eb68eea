# SPDX-License-Identifier: Apache-2.0
"""How a mount begins: signals at that time, closed descriptors, names like options, options of mount(8)."""
import errno
import os
import signal
import time

import mount.images as images
from mount.harness import (Mount, Place, check, children, equal, finish, good, monitors_of, mounted, reap, run, start,
                           test, test_each, wait_until)

SIGNALS = [(s.name, s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)]
DELAYS = [i * 0.0025 for i in range(20)]  # from before main() to after the mount answers


def check_mounted_or_not(directory):
    """The directory is mounted and served, and is then unmounted; or it is not mounted. No process is left."""
    try:
        os.stat(directory + "/format")
        good("umount", "--", directory)
    except FileNotFoundError:
        pass
    except OSError as e:
        check(e.errno != errno.ENOTCONN, "a dead mount is left")
        raise
    wait_until(lambda: not mounted(directory), "it is unmounted")
    for monitor in monitors_of(directory):
        reap(monitor, "the monitor")
    wait_until(lambda: not [p for p in children(os.getpid()) if os.fsencode(directory) in cmdline(p)], "all processes have ended")


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")
    except FileNotFoundError:
        return []


@test_each("an interrupted start leaves no dead mount:", SIGNALS)
def interrupted(number):
    image, directory = images.raw(), Place.new_directory()
    for delay in DELAYS:
        for more in ([], ["-f"]):
            process = start(Place.program, image, directory, *more, start_new_session=True)
            time.sleep(delay)
            os.killpg(process.pid, number)
            if more:
                time.sleep(0.02)
                if process.poll() is None and mounted(directory):
                    os.kill(process.pid, signal.SIGTERM)
            finish(process)
            check_mounted_or_not(directory)


@test
def quit_ends_a_mount_in_the_foreground():
    with Mount(images.raw(), foreground=True) as m:
        os.kill(m.monitor, signal.SIGQUIT)
        m.check_gone("SIGQUIT")


@test
def standard_descriptors_may_be_closed():
    image, directory = images.fixed_vhd(), Place.new_directory()
    done = run("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', Place.program, image, directory)
    equal(done.returncode, 0, "status")
    equal(images.contents(directory + "/format"), b"vpc\n", "format")
    check_mounted_or_not(directory)


@test
def names_may_look_like_mount_options():
    image = images.fixed_vhd()
    folder = Place.new_directory()
    os.symlink(image, folder + "/x-disk.vhd")
    os.mkdir(folder + "/x-mnt")
    done = run(Place.program, "x-disk.vhd", "x-mnt", cwd=folder)
    equal((done.returncode, done.stderr), (0, ""), "mounting")
    equal(images.contents(folder + "/x-mnt/format"), b"vpc\n", "format")
    check_mounted_or_not(folder + "/x-mnt")


ACCEPTED = ["rw", "ro", "defaults", "auto", "noauto", "nofail", "_netdev", "user", "user=me", "users", "nouser", "owner",
            "group", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "atime", "noatime", "relatime", "norelatime",
            "strictatime", "diratime", "nodiratime", "lazytime", "nolazytime", "symfollow", "nosymfollow", "iversion",
            "noiversion", "mand", "nomand", "silent", "loud", "dirsync", "sync", "async", "x-systemd.automount", ""]


@test
def options_of_mount_are_accepted_and_change_nothing():
    with Mount(images.raw(), "-o", ",".join(ACCEPTED)) as m:
        options = mounted(m.directory)[3].split(",")
        for wanted in ("ro", "nosuid", "nodev", "noexec"):
            check(wanted in options, f"{wanted} in {options}")


@test_each("remounting is refused with a reason:", [(options, options) for options in (
    "remount,ro", "remount,ro,nosuid,nodev,noexec,relatime,user_id=0,group_id=0,default_permissions,allow_other")])
def remounting(options):
    done = run(Place.program, images.raw(), Place.new_directory(), "-o", options)
    equal(done.returncode, 32, "status")
    check("unmount it and mount again" in done.stderr, done.stderr)


@test
def f_stays_in_the_foreground_with_an_absolute_path():
    image, directory = images.raw(), Place.new_directory()
    check(os.path.isabs(Place.program), "the program's path is absolute")
    process = start(Place.program, image, directory, "-f", "-o", "ro")
    wait_until(lambda: mounted(directory), "it is mounted")
    equal(process.poll(), None, "it runs")
    process.terminate()
    equal(finish(process)[0], 0, "status")
    equal(mounted(directory), None, "mounted")
