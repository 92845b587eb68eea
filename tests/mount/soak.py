# SPDX-License-Identifier: Apache-2.0
"""
Many concurrent readers while jobs, storage and images fail. Each test takes SOAK_SECONDS (3); from 60 on, as in make soak, it has
ten times as many readers and mounts.
"""
import errno
import itertools
import os
import random
import signal
import threading
import time

import mount.images as images
from mount.harness import (HANG, Mount, Place, Storage, check, equal, expected, good, mounted, test, wait_until)

SECONDS = float(os.environ.get("SOAK_SECONDS", "3"))
FACTOR = 10 if SECONDS >= 60 else 1
COLD = "measure/qcow2"


class Readers:
    """Threads that read files of a mount, for a with statement. Counts texts and errors."""

    def __init__(self, m, names, count):
        self.names, self.m = names, m
        self.ended = threading.Event()
        self.texts, self.errors = {}, {}
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(count)]

    def run(self, seed):
        chance = random.Random(seed)
        while not self.ended.is_set():
            name = chance.choice(self.names)
            try:
                text = self.m.read(name)
                with self.lock:
                    self.texts.setdefault(name, {}).setdefault(text, 0)
                    self.texts[name][text] += 1
            except OSError as e:
                with self.lock:
                    self.errors[errno.errorcode[e.errno]] = self.errors.get(errno.errorcode[e.errno], 0) + 1
                if e.errno in (errno.ENOTCONN, errno.ECONNABORTED):
                    return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(HANG)
        check(not any(t.is_alive() for t in self.threads), "all readers have ended")

    def count(self):
        return sum(sum(texts.values()) for texts in self.texts.values())


def memory(pid):
    """Resident private bytes of a process."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_")) << 10


@test
def a_thousand_readers_of_a_cold_file_share_one_job():
    image = images.slow()
    text = good(Place.cat, image, COLD)
    with Mount(image) as m:
        got = []
        threads = [threading.Thread(target=lambda: got.append(m.read(COLD))) for _ in range(1000)]
        threads[0].start()
        job = m.stop_job()
        for thread in threads[1:]:
            thread.start()
        wait_until(lambda: len(m.read("status/jobs").split()[2].split(",")) >= 900, "readers wait", 20)
        equal(m.jobs(), [job], "jobs")
        os.kill(job, signal.SIGCONT)
        for thread in threads:
            thread.join(HANG)
        equal((len(got), set(got)), (1000, {text}), "their texts")
        equal(m.read("status/passes").count(" measure\n"), 1, "passes")
        equal(m.read("status/passes").split(" measure\n")[0].split("\n")[-1].split()[0], "1", "runs of the pass")


@test
def many_readers_of_all_files_see_no_error():
    image = images.qcow2()
    texts = {n: t for n, t in expected(image).items() if not n.startswith("status/")}
    with Mount(image) as m:
        names = [*texts, "status/jobs", "status/progress", "measure/qcow2,cluster_size=4k", ".now/measure/vhdx"]
        with Readers(m, names, 100 * FACTOR) as readers:
            time.sleep(SECONDS)
        equal(readers.errors, {}, "errors")
        check(readers.count() > 100, f"{readers.count()} reads")
        for name, text in texts.items():
            equal(set(readers.texts.get(name, {text: 1})), {text}, name)
        check(memory(m.front) < 64 << 20, f"memory of the front: {memory(m.front)}")


@test
def repeated_mounts_leave_nothing():
    image = images.qcow2()
    directory = Place.new_directory()
    before = len(os.listdir("/proc/self/fd"))
    for i in range(10 * FACTOR * FACTOR):
        m = Mount(image, directory=directory)
        if i % 3:
            m.read(COLD if i % 3 == 1 else "format")
        good("umount", directory)
        m.check_gone("umount")
    equal(len(os.listdir("/proc/self/fd")), before, "our own open files")


@test
def killed_jobs_cost_their_readers_only_an_error():
    image = images.slow()
    text = good(Place.cat, image, COLD)
    with Mount(image) as m:
        with Readers(m, [COLD, "measure/vhdx", "measure/qcow2,cluster_size=1M", "format", "virtual_size"], 20) as readers:
            end, killed = time.monotonic() + SECONDS, 0
            while time.monotonic() < end:
                os.utime(image)  # results are dropped
                for pid in m.jobs():
                    try:
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
                    except ProcessLookupError:
                        pass
                time.sleep(0.05)
        check(killed > 0, "jobs were killed")
        equal(set(readers.errors) - {"EIO"}, set(), "errors")
        m.settle()
        equal(m.read(COLD), text, "text afterwards")


@test
def a_killed_front_ends_the_mount():
    with_readers = Mount(images.qcow2())
    try:
        with Readers(with_readers, [COLD, "format", "measure/vmdk"], 50) as readers:
            time.sleep(0.3)
            os.kill(with_readers.front, signal.SIGKILL)
            equal(with_readers.wait_end("the front is killed"), 2, "exit status of the monitor")
        check(set(readers.errors) <= {"ENOTCONN", "ECONNABORTED", "EIO", "ENOENT"}, readers.errors)
        equal(mounted(with_readers.directory), None, "mounted")
    finally:
        with_readers.clear_away()


@test
def storage_that_pauses_causes_no_error():
    with Storage() as storage, Mount(storage.image) as m:
        texts = {n: t for n, t in expected(storage.image).items() if not n.startswith("status/")}
        with Readers(m, list(texts), 30) as readers:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                storage.forget()
                os.kill(storage.server, signal.SIGSTOP)
                time.sleep(0.2)
                storage.go_on()
                time.sleep(0.1)
        equal(readers.errors, {}, "errors")
        for name, text in texts.items():
            equal(set(readers.texts.get(name, {text: 1})), {text}, name)


def put(file, image):
    """Puts a link to the file in the place of the image. A copy could be allocated differently, which some files show."""
    link = Place.new("link")
    os.link(file, link)
    os.replace(link, image)


@test
def texts_of_a_replaced_image_are_never_mixed():
    """Each text is that of one of the images, or an error."""
    image = images.raw(size=9 << 20)
    variants = [images.qcow2(), images.raw(size=16 << 20), images.fixed_vhd()]
    cut = Place.new("cut")
    good("cp", variants[0], cut)
    os.truncate(cut, 1000)
    names = ["format", "virtual_size", COLD, "allocated_size", "measure/vhdx"]
    known_texts = {name: set() for name in names}
    for variant in [image, *variants, cut]:
        texts = expected(variant)
        for name in names:
            known_texts[name].add(texts.get(name))
    with Mount(image) as m:
        with Readers(m, names, 100) as readers:
            end = time.monotonic() + SECONDS
            for variant in itertools.cycle([*variants, cut]):
                if time.monotonic() > end:
                    break
                put(variant, image)
                time.sleep(random.uniform(0, 0.1))
        check(set(readers.errors) <= {"EIO", "EUCLEAN"}, f"errors: {readers.errors}")
        for name in names:
            wrong = set(readers.texts.get(name, {})) - known_texts[name]
            check(not wrong, f"{name}: {wrong} is of none of the images")
        put(variants[0], image)
        texts = expected(image)
        wait_until(lambda: m.read("format") == texts["format"], "the last image is served")
        equal({n: m.read(n) for n in names}, {n: texts[n] for n in names}, "texts at the end")
