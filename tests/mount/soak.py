# SPDX-License-Identifier: Apache-2.0
"""
Many readers at a time, for a while, while things go wrong. SOAK_SECONDS (3) is how long each of these lasts; with 60 or
more (make soak) there are ten times as many readers and mounts.
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
    """Threads that read files of a mount until they are told to stop; what they got is counted."""

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
    """Bytes of a process that are in memory and its own."""
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
        wait_until(lambda: len(m.read("status/jobs").split()[2].split(",")) >= 900, "they wait", 20)
        equal(m.jobs(), [job], "jobs")
        os.kill(job, signal.SIGCONT)
        for thread in threads:
            thread.join(HANG)
        equal((len(got), set(got)), (1000, {text}), "what they read")
        equal(m.read("status/passes").count(" measure\n"), 1, "passes")
        equal(m.read("status/passes").split(" measure\n")[0].split("\n")[-1].split()[0], "1", "runs of the pass")


@test
def a_storm_of_readers_over_all_files_sees_no_error():
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
def mounting_again_and_again_leaves_nothing():
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
def jobs_that_are_killed_cost_their_readers_an_error_and_nothing_more():
    image = images.slow()
    text = good(Place.cat, image, COLD)
    with Mount(image) as m:
        with Readers(m, [COLD, "measure/vhdx", "measure/qcow2,cluster_size=1M", "format", "virtual_size"], 20) as readers:
            end, killed = time.monotonic() + SECONDS, 0
            while time.monotonic() < end:
                os.utime(image)  # what was computed is so no more
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
        equal(m.read(COLD), text, "it is right again")


@test
def a_front_that_is_killed_takes_everything_with_it():
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
def storage_that_stops_and_goes_on_loses_nothing():
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
    """Gives the file the image's name, too. A copy would be allocated in another way, which is measured."""
    link = Place.new("link")
    os.link(file, link)
    os.replace(link, image)


@test
def an_image_that_is_swapped_and_cut_is_never_mistaken():
    """What is read is the truth of one of the images, or an error: never a mixture."""
    image = images.raw(size=9 << 20)
    variants = [images.qcow2(), images.raw(size=16 << 20), images.fixed_vhd()]
    cut = Place.new("cut")
    good("cp", variants[0], cut)
    os.truncate(cut, 1000)
    names = ["format", "virtual_size", COLD, "allocated_size", "measure/vhdx"]
    truths = {name: set() for name in names}
    for variant in [image, *variants, cut]:
        texts = expected(variant)
        for name in names:
            truths[name].add(texts.get(name))
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
            wrong = set(readers.texts.get(name, {})) - truths[name]
            check(not wrong, f"{name}: {wrong} is the truth of none")
        put(variants[0], image)
        texts = expected(image)
        wait_until(lambda: m.read("format") == texts["format"], "it heals")
        equal({n: m.read(n) for n in names}, {n: texts[n] for n in names}, "what it says then")
