# SPDX-License-Identifier: Apache-2.0
"""The image, its name and its storage change while it is mounted; and nothing is left at the end."""
import errno
import itertools
import os
import signal
import time

import mount.images as images
from mount.harness import (Mount, Place, Storage, check, children, equal, expected, fails, finish, good, mounts, reap,
                           run, start, state, test, wait_until)

COLD = "measure/qcow2"


def write(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def read(m, name, text):
    """Reads a file. Returns its text; for an expected error the line of that error, which must occur."""
    if not text.startswith("error: "):
        return m.read(name)
    fails(getattr(errno, text.split()[1]), lambda: m.read(name), name)
    return text


def check_current(m, image):
    """All files that depend on the image are those of instar-cat now."""
    texts = {n: t for n, t in expected(image).items() if not n.startswith("status/")}
    equal({n: read(m, n, t) for n, t in texts.items()}, texts, "texts of the files")
    for name, text in texts.items():
        if not text.startswith("error: "):
            equal(m.size(name), len(text), f"size of {name}")


@test
def the_next_read_shows_a_change():
    image = images.raw()
    with Mount(image) as m:
        check_current(m, image)
        write(image, 4 << 20, b"x" * (1 << 20))
        check_current(m, image)
        write(image, 8 << 20, b"x" * (3 << 20))
        check_current(m, image)
        os.truncate(image, 1 << 20)
        check_current(m, image)
        write(image, 0, images.contents(images.qcow2()))
        equal(m.read("format"), "qcow2\n", "format")
        check_current(m, image)
        equal(m.read("subformat"), "v3\n", "subformat, which did not apply before")
        os.truncate(image, 0)
        check_current(m, image)


@test
def times_follow_the_image():
    image = images.raw()
    with Mount(image) as m:
        for name in ("", "measure", "format", COLD):
            os.stat(m.path(name))
        os.utime(image, ns=(1, 10**18))
        for name in ("format", COLD, "", "measure"):
            equal(os.stat(m.path(name)).st_mtime_ns, 10**18, f"mtime of {name or 'the root'}")


@test
def an_open_file_keeps_its_text():
    image = images.raw()
    with Mount(image) as m:
        handles = []
        for size in (9 << 20, 3 << 30, 7 << 20, 1 << 40):
            os.truncate(image, size)
            for name in ("virtual_size", COLD):
                text = m.read(name).encode()
                handles.append((os.open(m.path(name), os.O_RDONLY), text))
        for fd, text in handles:
            equal(os.pread(fd, 4096, 0), text, "text of an open file")
            equal(os.fstat(fd).st_size, len(text), "size of an open file")
            os.close(fd)


@test
def a_handle_opened_before_a_change_keeps_its_text():
    """The text is not in the page cache when the image changes."""
    image = images.raw()
    with Mount(image) as m:
        text = m.read(COLD).encode()
        fd = os.open(m.path(COLD), os.O_RDONLY)
        write(image, 2 << 20, b"x" * (1 << 20))
        check(m.read(COLD).encode() != text, "the text has changed")
        equal(os.read(fd, 4096), text, "text of the open file")
        os.close(fd)


@test
def a_change_while_a_job_runs_restarts_it():
    image = images.slow()
    with Mount(image) as m:
        m.read("format")
        m.settle()
        reader = start("cat", m.path(COLD))
        job = m.stop_job()
        write(image, 24, (1 << 40).to_bytes(8, "big"))
        equal(m.read("virtual_size"), f"{1 << 40}\n", "virtual_size")
        wait_until(lambda: state(job) is None, "the job of the old image has ended")
        status, out, err = finish(reader)
        equal((status, out), (0, expected(image)[COLD]), f"reader ({err.strip()})")
    os.unlink(image)


GONE = "no longer exists under its name"


@test
def a_change_while_a_job_runs_is_seen_without_a_lookup():
    image = images.slow()
    with Mount(image) as m:
        before = m.read("status/generation")
        reader = start("cat", m.path(COLD))
        job = m.stop_job()
        with open(image, "r+b") as file:
            file.truncate(0)
            file.write(images.contents(images.qcow2()))
        os.kill(job, signal.SIGCONT)
        equal(finish(reader), (0, expected(image)[COLD], ""), "the reader's text")
        check(m.read("status/generation") != before, "the generation has changed")


@test
def a_deleted_image_is_served_until_its_name_is_back():
    image = images.qcow2()
    texts = expected(image)
    with Mount(image) as m:
        equal(m.read("format"), "qcow2\n", "format")
        os.unlink(image)
        equal(m.read(COLD), texts[COLD], COLD)
        equal(m.read("file_size"), texts["file_size"], "file_size")
        check(image in m.read("status/image"), "status/image")
        check(GONE in m.read("problems"), "problems has that it is deleted")
        os.rename(images.raw(), image)
        time.sleep(0.6)
        equal(m.read("format"), "raw\n", "format of the new file")
        check_current(m, image)
        equal(m.read("problems"), "", "problems")


@test
def an_image_that_is_back_has_no_old_values():
    """Whichever file is read first."""
    image = images.qcow2()
    with Mount(image) as m:
        names = ("virtual_size", COLD, "file_size", "measure/qcow2,cluster_size=4k", "candidates")
        for make, name in zip(itertools.cycle((images.fixed_vhd, images.qcow2)), names):
            for computed in names:
                m.read(computed)
            os.unlink(image)
            m.read("format")
            os.rename(make(), image)
            time.sleep(0.6)
            equal(m.read(name), good(Place.cat, image, name), name)
        os.unlink(image)
        os.listdir(m.path("header"))
        os.rename(images.qcow2(), image)
        time.sleep(0.6)
        check("l1_size" in os.listdir(m.path("header")), "header/ of the new file")


@test
def lookups_of_a_deleted_image_compute_nothing():
    image = images.qcow2()
    with Mount(image) as m:
        os.unlink(image)
        m.read("format")
        time.sleep(0.6)
        for name in ("convert_size/qcow2", COLD, "allocated_size", "measure/qcow2,cluster_size=4k"):
            os.stat(m.path(name))
        m.settle()
        equal([line.split()[-1] for line in m.read("status/passes").splitlines()], ["header"], "passes")


@test
def option_sets_of_waiting_lookups_are_kept():
    """So many option sets are used that the others are dropped."""
    image = images.qcow2()
    first, second = "measure/qcow2,cluster_size=4k", "measure/qcow2,cluster_size=2M"
    text = good(Place.cat, image, first)
    check(good(Place.cat, image, second) != text, "the texts differ")
    with Mount(image) as m:
        os.stat(m.path(first + ".json"))  # makes the first set, but not the inode of the file that is read below
        for i in range(16384 - 1):
            os.stat(m.path(f"measure/vhdx,block_size={1 << i // 4000}M,log_size={i % 4000 + 3}M"))
        os.unlink(image)
        m.read("format")
        time.sleep(0.6)
        os.kill(m.monitor, signal.SIGSTOP)
        reader = start("cat", m.path(first))
        time.sleep(0.2)
        other = start("cat", m.path(second))
        time.sleep(0.2)
        equal((reader.poll(), other.poll()), (None, None), "lookups wait")
        os.kill(m.monitor, signal.SIGCONT)
        equal(finish(reader), (0, text, ""), first)
        finish(other)


@test
def a_waiting_lookup_can_be_interrupted():
    image = images.qcow2()
    with Mount(image) as m:
        m.read("format")
        os.unlink(image)
        m.read("format")
        time.sleep(0.6)
        os.kill(m.monitor, signal.SIGSTOP)
        try:
            reader, patient = start("cat", m.path("format")), start("cat", m.path("virtual_size"))
            time.sleep(0.2)
            equal((reader.poll(), patient.poll()), (None, None), "readers wait")
            reader.terminate()
            finish(reader, 0.5)
            # Other readers wait a second at most, and later ones not at all.
            for _ in range(4):
                check(good("cat", m.path("status/generation"), timeout=0.5), "status/generation")
                time.sleep(0.3)
            equal(finish(patient, 0.5)[0], 0, "status of a reader")
            good("cat", m.path("format"), timeout=0.5)
        finally:
            os.kill(m.monitor, signal.SIGCONT)


@test
def a_new_image_under_the_name_of_a_renamed_one_is_found():
    image, old = images.qcow2(), Place.new("old")
    with Mount(image) as m:
        m.read("format")
        os.rename(image, old)
        equal(m.read("format"), "qcow2\n", "format, before")
        wait_until(lambda: GONE in m.read("problems"), "problems has that the name is gone", 2)
        os.link(images.raw(), image)
        time.sleep(0.6)
        equal(m.read("format"), "raw\n", "format of the new file")
        equal(m.read("problems"), "", "problems")


@test
def one_replacement_is_one_generation_or_two():
    """However many jobs notice it."""
    image, new = images.slow(), images.qcow2()
    with Mount(image) as m:
        readers = [start("cat", m.path(f"measure/qcow2,cluster_size={size}")) for size in ("4k", "8k", "16k", "32k")]
        wait_until(lambda: m.read("status/jobs").count("running") == 4, "jobs run")
        os.replace(new, image)
        m.read("format")
        for reader in readers:
            equal(finish(reader)[0], 0, "status of a reader")
        m.settle()
        check(int(m.read("status/generation")) <= 3, f"generation {m.read('status/generation')}")
        check("again and again" not in m.read("problems"), m.read("problems"))


@test
def a_replaced_image_is_seen_at_the_next_lookup():
    image = images.qcow2()
    with Mount(image) as m:
        fd = os.open(m.path(COLD), os.O_RDONLY)
        text = m.read(COLD)
        for make in (images.raw, images.fixed_vhd, images.qcow2):
            os.replace(make(), image)
            wanted = good(Place.cat, image, "format")
            equal(m.read("format"), wanted, "format, at once")
            check_current(m, image)
        equal(os.pread(fd, 4096, 0).decode(), text, "text of a file that was open")
        os.close(fd)
        # The first file that is read may need a scan.
        os.replace(images.raw(), image)
        check_current(m, image)
        write(image, 4 << 20, b"x" * (1 << 20))
        check_current(m, image)


@test
def replacements_that_must_not_be_opened_are_not():
    image = images.raw()
    secret = images.qcow2()
    fifo, stranger = Place.new("fifo"), images.qcow2()
    os.mkfifo(fifo)
    os.chown(stranger, 12345, 12345)
    with Mount(image) as m:
        for make in (lambda: os.symlink(secret, image), lambda: os.mkdir(image), lambda: os.rename(fifo, image),
                     lambda: os.rename(stranger, image)):
            if os.path.isdir(image):
                os.rmdir(image)
            elif os.path.lexists(image):
                os.unlink(image)
            make()
            equal(m.read("format"), "raw\n", "format")
            time.sleep(0.6)
            m.read("virtual_size")
            m.settle()
            equal(m.read("format"), "raw\n", "format, later")
            check(GONE in m.read("problems"), "problems has that the image is gone")
            check("which is not opened" in m.read("problems"), m.read("problems"))


@test
def a_waiting_reader_gets_the_text_of_the_new_image():
    image = images.slow()
    new = images.qcow2()
    with Mount(image) as m:
        m.read("format")
        m.settle()
        reader = start("cat", m.path(COLD))
        m.stop_job()
        os.replace(new, image)
        equal(m.read("virtual_size"), good(Place.cat, image, "virtual_size"), "virtual_size")
        status, out, err = finish(reader)
        equal((status, out), (0, expected(image)[COLD]), f"reader ({err.strip()})")


@test
def hanging_storage_delays_only_readers_that_need_it():
    with Storage() as storage, Mount(storage.image) as m:
        text = m.read("candidates")
        os.listdir(m.path("measure"))
        m.settle()
        storage.stop()
        reader = start("cat", m.path(COLD))
        for name in ("format", "virtual_size", "status/progress", "problems", "candidates"):
            began = time.monotonic()
            m.read(name)
            check(time.monotonic() - began < 1, f"{name} is read at once")
        equal(m.read("candidates"), text, "text")
        good("ls", "-l", m.path("measure"), timeout=2)
        os.statvfs(m.path())
        time.sleep(0.5)
        equal(reader.poll(), None, "the reader waits")
        reader.terminate()
        finish(reader, 2)
        good("umount", m.directory, timeout=2)
        storage.go_on()
        m.check_gone("umount")


@test
def a_new_image_with_extents_on_hanging_storage_delays_no_other_reader():
    with Storage() as storage:
        image, new = Place.new("extents.vmdk"), Place.new("new.vmdk")
        for path, sectors in ((image, 1), (new, 2)):
            with open(path, "w") as file:
                file.write(f'# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
                           f'createType="monolithicFlat"\nRW {sectors} FLAT "extent" 0\n')
        with Mount(image, "-o", f"ref=0:{storage.image}") as m:
            size = m.read("file_size")
            version = good("cat", m.path("status/version"))
            storage.stop()
            os.rename(new, image)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                equal(good("cat", m.path("status/version"), timeout=5), version, "status/version")
            storage.go_on()
            m.read("format")
            check(int(m.read("status/generation")) > 1, "the generation has changed")
            equal(m.read("file_size"), size, "file_size")


def overlay(storage):
    """A mount of an overlay whose backing image is on the storage."""
    image = Place.new("overlay.qcow2")
    good("qemu-img", "create", "-qf", "qcow2", "-b", storage.image, "-F", "raw", image)
    return Mount(image, "-o", f"ref=0:{storage.image}")


@test
def hanging_storage_delays_no_job_of_another_layer():
    with Storage() as storage:
        with overlay(storage) as m:
            text = m.read("layers/1/virtual_size")
            storage.stop()
            equal(good("cat", m.path("layers/0/allocated_size"), timeout=3), "0\n", "allocated_size of the overlay")
            reader = start("cat", m.path("layers/1/content"))
            time.sleep(0.5)
            equal(reader.poll(), None, "the reader of the backing layer waits")
            storage.go_on()
            finish(reader)
            equal(m.read("layers/1/virtual_size"), text, "text")


@test
def hanging_storage_does_not_hide_a_new_image_of_another_layer():
    with Storage() as storage, overlay(storage) as m:
        image = m.read("status/image").strip()
        m.read("layers/0/virtual_size")
        storage.stop()
        os.unlink(image)
        for _ in range(2):
            good("cat", m.path("layers/0/virtual_size"), timeout=3)
            time.sleep(0.6)
        good("qemu-img", "create", "-qf", "qcow2", image, "5G")
        equal(good("cat", m.path("layers/0/virtual_size"), timeout=3), f"{5 << 30}\n", "virtual_size of the new image")
        storage.go_on()


@test
def hanging_storage_does_not_stop_rechecks_on_other_storage():
    """There is one process per storage, and at most one at a time."""
    image = Place.new("two-storages.vmdk")
    with open(image, "w") as file:
        file.write('# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
                   'createType="monolithicFlat"\nRW 1 FLAT "a" 0\nRW 1 FLAT "b" 0\n')
    with Storage() as a, Storage() as b, Mount(image, "-o", f"ref=0:{a.image},ref=1:{b.image}") as m:
        def rechecks():
            """The processes that hang: others end at once."""
            m.read("status/generation")
            time.sleep(0.3)
            found = {*children(m.monitor)} - {m.front}
            time.sleep(0.3)
            return found & {*children(m.monitor)}

        m.read("format")
        a.stop()
        wait_until(lambda: len(rechecks()) == 1, "one hangs", 5)
        b.stop()
        wait_until(lambda: len(rechecks()) == 2, "another hangs", 5)
        time.sleep(1.2)
        equal(len(rechecks()), 2, "processes")
        a.go_on()
        b.go_on()
        wait_until(lambda: not rechecks(), "they have ended", 5)


@test
def hanging_storage_delays_listings_for_a_limited_time():
    with Storage() as storage:
        with overlay(storage) as m:
            storage.stop()
            good("cat", m.path("layers/0/format"), timeout=3)
            good("ls", m.path("layers/1"), timeout=8)
            began = time.monotonic()
            good("ls", "-l", m.path("layers/1"), timeout=3)
            equal(m.read("layers/1/problems"), "", "problems of the layer")
            check(time.monotonic() - began < 3, "later lookups do not wait")
            reader = start("cat", m.path("layers/1/format"))
            time.sleep(0.5)
            equal(reader.poll(), None, "a reader waits")
            storage.go_on()
            equal(finish(reader)[:2], (0, "raw\n"), "the reader's text")


@test
def locks_of_storage_that_may_hang_are_not_queried():
    with Storage() as storage, Mount(storage.image) as m:
        fails(errno.EOPNOTSUPP, lambda: m.read("status/in_use"), "status/in_use")


@test
def a_read_goes_on_when_storage_is_back():
    with Storage() as storage, Mount(storage.image) as m:
        text = good(Place.cat, storage.image, COLD)
        storage.stop()
        reader = start("cat", m.path(COLD))
        time.sleep(0.5)
        equal(reader.poll(), None, "the reader waits")
        storage.go_on()
        status, out, err = finish(reader)
        equal((status, out), (0, text), f"reader ({err.strip()})")


@test
def dead_storage_is_an_error_until_it_is_back():
    with Storage() as storage, Mount(storage.image) as m:
        text = good(Place.cat, storage.image, COLD)
        m.read("format")
        storage.forget()
        os.kill(storage.server, signal.SIGKILL)
        reap(storage.server, "the storage")
        fails((errno.EIO, errno.ENOTCONN), lambda: m.read(COLD), "a file that needs a read")
        equal(m.read("format"), "raw\n", "a computed file")
        check(m.read("problems"), "problems has the reason")
        good("umount", "-l", storage.directory)
        storage.begin()
        wait_until(lambda: run("cat", m.path(COLD)).stdout == text, "it is read again", 5)


@test
def many_changes_in_a_row_are_all_seen():
    image = images.raw()
    with Mount(image) as m:
        for i in range(100):
            os.truncate(image, (8 << 20) + 512 * i)
            equal(m.read("virtual_size"), f"{(8 << 20) + 512 * i}\n", f"virtual_size after change {i}")
            if i % 10 == 0:
                equal(m.read("measure/raw").split()[2], str((8 << 20) + 512 * i), "measure/raw")


@test
def reading_while_the_image_is_being_written_never_fails():
    image = images.qcow2()
    writer = start("sh", "-c", 'while :; do touch "$0"; done', image)
    with Mount(image) as m:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            equal(m.read("format"), "qcow2\n", "format")
            check(m.read(COLD).startswith("required size: "), COLD)
            os.listdir(m.path())
        writer.send_signal(signal.SIGKILL)
        finish(writer)


@test
def a_long_scan_of_an_image_that_keeps_changing_ends():
    image = images.slow()
    with Mount(image) as m:
        reader = start("cat", m.path(COLD))
        end = time.monotonic() + 20
        while reader.poll() is None and time.monotonic() < end:
            os.utime(image)
            os.stat(m.path("format"))
            time.sleep(0.05)
        status, out, _ = finish(reader)
        equal(status, 0, "status of cat")
        check(out.startswith("required size: "), "the reader's text")
        m.settle()
        text = m.read(COLD)  # the image no longer changes
        equal(text, expected(image)[COLD], "a later reader's text")


@test
def twenty_mounts_side_by_side():
    image = images.qcow2()
    text = expected(image)[COLD]
    mounted = [Mount(image) for _ in range(20)]
    equal({m.read(COLD) for m in mounted}, {text}, "their texts")
    for m in mounted:
        good("umount", m.directory)
    for m in mounted:
        m.check_gone("umount")


@test
def nothing_is_left():
    """Must be the last."""
    wait_until(lambda: not children(os.getpid()), "no process is left", 2)
    equal([m for m in mounts() if m[1].startswith(Place.work)], [], "mounts")
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    open_files = [os.readlink(link) for link in links if os.path.exists(link)]
    equal([name for name in open_files if name.startswith(Place.work)], [], "our own open files")
    equal(Place.reports(), [], "reports of sanitizers")
