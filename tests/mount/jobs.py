# SPDX-License-Identifier: Apache-2.0
"""Jobs: all readers share one, no work is done twice, a job without readers is killed; the mount answers whatever jobs do."""
import errno
import os
import signal
import time

import mount.images as images
from mount.harness import (PYTHON, Mount, Place, check, equal, expected, fails, finish, good, start, state, test,
                           wait_until)

COLD = "measure/qcow2"


class Slow:
    """An image whose scan takes a while, and its texts."""

    image = texts = None

    @classmethod
    def make(cls):
        if not cls.image:
            cls.image = images.slow()
            cls.texts = expected(cls.image)
        return cls.image

    @classmethod
    def mount(cls):
        return Mount(cls.make())

    @classmethod
    def check_reader(cls, reader, name=COLD):
        status, out, err = finish(reader)
        equal((status, out), (0, cls.texts[name]), f"reader ({err.strip()})")


def quickly(action, what, seconds=0.5):
    began = time.monotonic()
    result = action()
    took = time.monotonic() - began
    check(took < seconds, f"{what} took {took:.2f} s")
    return result


@test
def a_second_read_costs_no_job():
    with Mount(images.qcow2()) as m:
        first = {name: m.read(name) for name in (COLD, "measure/qcow2.json", "allocated_size", "format")}
        jobs, read = m.settle(), m.bytes_read()
        for name, text in first.items():
            equal(good("cat", m.path(name)), text, name)
            equal(m.jobs(), [], f"jobs for {name}")
        equal((m.settle(), m.bytes_read()), (jobs, read), "page faults of jobs, status/bytes_read")


@test
def one_scan_computes_all_its_files():
    with Slow.mount() as m:
        m.read(COLD)
        jobs, read = m.settle(), m.bytes_read()
        equal(m.read("measure/qcow2.json"), Slow.texts["measure/qcow2.json"], "measure/qcow2.json")
        equal((m.settle(), m.bytes_read()), (jobs, read), "page faults of jobs, status/bytes_read")


@test
def two_readers_share_one_job():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        first = start("cat", m.path(COLD))
        job = m.stop_job()
        second = start("cat", m.path("measure/qcow2.json"))
        time.sleep(0.2)
        equal(m.jobs(), [job], "jobs while two wait")
        check(first.poll() is None and second.poll() is None, "both wait")
        os.kill(job, signal.SIGCONT)
        Slow.check_reader(first)
        Slow.check_reader(second, "measure/qcow2.json")
        m.settle()
        alone = m.bytes_read()
    with Slow.mount() as m:
        m.read("format")
        m.read(COLD)
        m.settle()
        equal(alone, m.bytes_read(), "status/bytes_read of two readers and of one")


@test
def other_files_are_served_while_a_job_is_stopped():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        reader = start("cat", m.path(COLD))
        job = m.stop_job()
        quickly(lambda: good("ls", "-lR", m.path()), "ls")
        quickly(lambda: os.stat(m.path(COLD)), "stat of the file that is computed")
        quickly(lambda: os.statvfs(m.path()), "statfs")
        for name in ("format", "virtual_size", "problems", "status/bytes_read", "measure/raw"):
            equal(quickly(lambda name=name: good("cat", m.path(name)), name) != "", name != "problems", name)
        equal(m.size(COLD), 0, "size of the file that is computed")
        check(reader.poll() is None, "the reader still waits")
        wait_until(lambda: m.jobs() == [job], "the other jobs are reaped")
        os.kill(job, signal.SIGCONT)
        Slow.check_reader(reader)


@test
def a_job_ends_when_its_readers_are_gone():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        readers = [start("cat", m.path(COLD)) for _ in range(3)]
        job = m.stop_job()
        time.sleep(0.1)
        readers[0].kill()
        finish(readers[0])
        time.sleep(0.8)
        equal(m.jobs(), [job], "jobs while there are readers")
        for reader in readers[1:]:
            reader.kill()
            finish(reader)
        wait_until(lambda: state(job) is None, "the job has ended", 1.2)
        equal(m.jobs(), [], "jobs without readers")
        Slow.check_reader(start("cat", m.path(COLD)))


@test
def readers_can_be_killed_at_once():
    with Slow.mount() as m:
        for number in (signal.SIGTERM, signal.SIGKILL):
            reader = start("cat", m.path(COLD))
            job = m.stop_job()
            reader.send_signal(number)
            quickly(lambda reader=reader: finish(reader), f"ending by {number.name}")
            wait_until(lambda job=job: state(job) is None, "the job has ended", 1.2)


INTERRUPTED = """
import os, signal, sys
# open() fails with EINTR, and Python calls it again after the handler
signal.signal(signal.SIGALRM, lambda *_: os.write(1, b"interrupted\\n"))
signal.setitimer(signal.ITIMER_REAL, 0.1, float(sys.argv[2]))
fd = os.open(sys.argv[1], os.O_RDONLY)
signal.setitimer(signal.ITIMER_REAL, 0)
print(os.read(fd, 4096).decode(), end="")
"""


@test
def a_reader_that_is_interrupted_and_retries_gets_its_text():
    with Slow.mount() as m:
        reader = start(PYTHON, "-c", INTERRUPTED, m.path(COLD), "0")
        job = m.stop_job()
        equal(reader.stdout.readline(), "interrupted\n", "output of the reader")
        time.sleep(0.1)
        equal(m.jobs(), [job], "jobs after the interruption")
        os.kill(job, signal.SIGCONT)
        Slow.check_reader(reader)


@test
def a_reader_that_is_interrupted_many_times_gets_its_text():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        reader = start(PYTHON, "-c", INTERRUPTED, m.path(COLD), "0.05")
        job = m.stop_job()
        time.sleep(0.5)
        equal(m.jobs(), [job], "jobs")
        os.kill(job, signal.SIGCONT)
        status, out, err = finish(reader)
        equal((status, out.replace("interrupted\n", "")), (0, Slow.texts[COLD]), f"reader ({err.strip()})")
        check(out.count("interrupted") >= 3, "the reader was interrupted several times")


@test
def a_killed_job_is_an_error_once():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        equal(m.read("problems"), "", "problems before")
        readers = [start("cat", m.path(COLD)) for _ in range(2)]
        job = m.stop_job()
        time.sleep(0.2)
        os.kill(job, signal.SIGKILL)
        for reader in readers:
            status, out, err = finish(reader)
            equal((status, out, "Input/output error" in err), (1, "", True), f"reader ({err.strip()})")
        problems = m.read("problems")
        equal(len(problems.splitlines()), 1, f"lines of problems ({problems!r})")
        check("killed" in problems and "9" in problems, f"problems has the signal: {problems!r}")
        equal(m.size("problems"), len(problems), "size of problems")
        Slow.check_reader(start("cat", m.path(COLD)))


@test
def a_killed_header_job_is_an_error_once():
    with Slow.mount() as m:
        reader = start("cat", m.path("format"))
        found = []
        # It takes some milliseconds only, and may end before it can be killed.
        while reader.poll() is None and not found:
            found = m.jobs()
        for job in found:
            try:
                os.kill(job, signal.SIGKILL)
            except ProcessLookupError:
                pass
        finish(reader)
        equal(m.read("format"), "qcow2\n", "format afterwards")


@test
def without_its_monitor_jobs_end_and_the_mount_can_be_unmounted():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        reader = start("cat", m.path(COLD))
        job = m.job()
        # Before, the job still has the descriptors of the monitor.
        wait_until(lambda: "Seccomp:\t2" in open(f"/proc/{job}/status").read(), "the job is in its sandbox")
        equal(m.stop_job(), job, "jobs")
        os.kill(m.monitor, signal.SIGKILL)
        m.wait_end("kill -9")
        status, _, err = finish(reader)
        equal((status, "Input/output error" in err), (1, True), f"reader ({err.strip()})")
        wait_until(lambda: state(job) in (None, "Z"), "the job has ended")
        equal(m.read("format"), "qcow2\n", "a computed file")
        fails(errno.EIO, lambda: m.read(COLD), "a file that needs a job")
        good("umount", m.directory)
        wait_until(lambda: state(m.front) in (None, "Z"), "the front has ended")
        for pid in (m.front, job):
            os.waitpid(pid, 0)


@test
def a_hundred_cold_readers_get_complete_text():
    with Slow.mount() as m:
        m.read("format")
        m.settle()
        out = Place.new("readers")
        good("sh", "-c", 'i=0; while [ $i -lt 100 ]; do cat "$0" >"$1.$i" & i=$((i+1)); done; wait', m.path(COLD), out)
        texts = {images.contents(f"{out}.{i}").decode() for i in range(100)}
        equal(texts, {Slow.texts[COLD]}, "their texts")
        m.settle()
        read = m.bytes_read()
    with Slow.mount() as m:
        m.read("format")
        m.read(COLD)
        m.settle()
        equal(read, m.bytes_read(), "status/bytes_read of a hundred readers and of one")


@test
def descriptors_do_not_leak():
    def descriptors():
        m.settle()
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (m.monitor, m.front)]

    image = images.raw()
    with Mount(image) as m:
        m.read(COLD)
        first = descriptors()
        check(max(first) <= 12, f"open descriptors of monitor and front: {first}")
        for i in range(30):
            os.utime(image, ns=(i, i))
            m.read(COLD)
            os.listdir(m.path("measure"))
        equal(descriptors(), first, "open descriptors of monitor and front")
        names = {os.readlink(f"/proc/{m.front}/fd/{fd}") for fd in os.listdir(f"/proc/{m.front}/fd")}
        known = (image, "/dev/null", "/dev/fuse", "socket:", "pipe:", "anon_inode:inotify")
        equal([n for n in names if not n.startswith(known)], [], "other open files of the front")


@test
def status_progress_shows_how_far_a_job_is():
    with Slow.mount() as m:
        equal(m.read("status/progress"), "", "without a job")
        reader = start("cat", m.path("measure/qcow2,cluster_size=4k"))
        pid = m.stop_job()
        line = m.read("status/progress")
        check(line.endswith(" measure/qcow2,cluster_size=4k\n"), line)
        os.kill(pid, signal.SIGCONT)
        seen = []
        while reader.poll() is None:
            seen += [int(n) for n in m.read("status/progress").split()[:1] if n != "-"]
        equal(finish(reader)[0], 0, "status of the reader")
        equal(seen, sorted(seen), "bytes, in the order of reading")
        equal(m.read("status/progress"), "", "after the job")
