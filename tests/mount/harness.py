# SPDX-License-Identifier: Apache-2.0
"""
Mounts, processes and checks for the mount tests.

The test process is the subreaper of all that it starts: a daemon whose parent has ended becomes its child, so that its exit
status is seen and no process can stay unnoticed. Whether a job ran is found without sampling: the page faults of reaped children
(cminflt, proc(5)) of the monitor grow with every job.
"""
import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
NOBODY = 65534
HANG = 20.0  # seconds: a test or a command that takes longer hangs


PYTHON = sys.executable

TESTS = []  # (name, function, module)


def test(function):
    """Registers a test; the name of the function is that of the test."""
    TESTS.append((function.__name__.replace("_", " "), function, function.__module__))
    return function


def test_each(prefix, cases):
    """As test(), once for each (name, argument)."""

    def register(function):
        for name, argument in cases:
            TESTS.append((f"{prefix} {name}", lambda argument=argument: function(argument), function.__module__))
        return function

    return register


class Failure(Exception):
    pass


def check(condition, *words):
    if not condition:
        raise Failure(" ".join(str(w) for w in words))


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r} instead of {wanted!r}")


def fails(number, action, what):
    """Checks that the action fails with that errno, or one of them."""
    numbers = (number,) if isinstance(number, int) else number
    wanted = " or ".join(errno.errorcode[n] for n in numbers)
    try:
        action()
    except OSError as e:
        check(e.errno in numbers, f"{what}: {errno.errorcode.get(e.errno)} instead of {wanted}")
    else:
        raise Failure(f"{what}: succeeded, {wanted} was due")


def wait_until(condition, what, seconds=5.0):
    """Waits until condition() is true, and returns its result."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.005)


class Place:
    """Paths of the programs and of temporary files; set by begin()."""

    program = cat = hello = faults = work = None
    count = 0

    @classmethod
    def begin(cls, build):
        # mount(8) and users need an absolute path, and users need access to the directory.
        cls.work = os.path.realpath(tempfile.mkdtemp(prefix="instar-mount-"))
        os.chmod(cls.work, 0o755)
        os.mkdir(cls.work + "/logs")
        os.chmod(cls.work + "/logs", 0o1777)
        cls.program = shutil.copy(os.path.join(build, "mount.instar"), cls.work)
        cls.cat = shutil.copy(os.path.join(build, "instar-cat"), cls.work)
        cls.hello = shutil.copy(os.path.join(build, "hello-ll"), cls.work)
        cls.faults = shutil.copy(os.path.join(build, "tests", "faults", "faults.so"), cls.work)
        log = f"log_path={cls.work}/logs/sanitizer"
        # A small quarantine: some tests measure memory.
        os.environ["ASAN_OPTIONS"] = f"{log}:quarantine_size_mb=4"
        os.environ["UBSAN_OPTIONS"] = log
        os.environ["LC_ALL"] = "C"
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    @classmethod
    def new(cls, name="file"):
        """A path that does not exist yet."""
        cls.count += 1
        return f"{cls.work}/{cls.count}-{name}"

    @classmethod
    def new_directory(cls, name="mnt", owner=None):
        path = cls.new(name)
        os.mkdir(path)
        if owner is not None:
            os.chown(path, owner, owner)
        return path

    @classmethod
    def reports(cls):
        """The errors that sanitizers have reported so far. (A leak check that is killed writes other lines.)"""
        texts = []
        for name in sorted(os.listdir(cls.work + "/logs")):
            with open(f"{cls.work}/logs/{name}", errors="replace") as file:
                texts.append(file.read())
        return [t for t in texts if "ERROR: " in t or "runtime error: " in t]


def run(*command, timeout=HANG, user=None, **more):
    """Runs a command. Its output is text; a hang is a failure."""
    if user is not None:
        more.update(user=user, group=user, extra_groups=[])
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout, text=True, errors="surrogateescape", check=False, **more)
    except subprocess.TimeoutExpired:
        raise Failure(f"hangs: {' '.join(map(str, command))}") from None


def good(*command, **more):
    """Runs a command that has to succeed; returns its standard output."""
    done = run(*command, **more)
    check(done.returncode == 0, f"{' '.join(map(str, command))}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def start(*command, **more):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, errors="surrogateescape", **more)


def finish(process, timeout=HANG):
    """Waits for a started process. Returns (status, standard output, standard error)."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failure(f"hangs: {' '.join(map(str, process.args))}") from None
    return process.returncode, out, err


# Processes


def process_fields(pid):
    """The fields of /proc/PID/stat from the state on, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def state(pid):
    """R, S, T, Z ...; None: there is no such process."""
    fields = process_fields(pid)
    return fields[0].decode() if fields else None


def children(pid):
    """The children of a process, zombies too, eldest first."""
    found = []
    for name in os.listdir("/proc"):
        fields = process_fields(name) if name.isdigit() else None
        if fields and int(fields[1]) == pid:
            found.append((int(fields[19]), int(name)))
    return [p for _, p in sorted(found)]


def descendants(pid):
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def reap(pid, what, seconds=5.0):
    """Waits for the end of a process that has become our child. Returns its exit status, or minus its signal."""
    end = time.monotonic() + seconds
    while True:
        got, status = os.waitpid(pid, os.WNOHANG)
        if got:
            return os.waitstatus_to_exitcode(status)
        check(time.monotonic() < end, f"{what} has not ended within {seconds} s")
        time.sleep(0.005)


def kill_all_started():
    """Kills all processes of this run, and unmounts its mounts."""
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for line in mounts():
        if line[1].startswith(Place.work + "/"):
            subprocess.run(["umount", "-l", "--", line[1]], stderr=subprocess.DEVNULL, timeout=HANG, check=False)
    left_running()


def left_running():
    """Descriptions of processes of this run that still run. Reaps those that have ended: a killed leak check leaves one."""

    def running():
        for pid in children(os.getpid()):
            if state(pid) == "Z":
                os.waitpid(pid, os.WNOHANG)
        return children(os.getpid())

    end = time.monotonic() + 1
    while running() and time.monotonic() < end:
        time.sleep(0.01)
    return [f"{os.fsdecode(b' '.join(command_line(p)))} ({p}, {state(p)})" for p in running()]


class Watchdog:
    """Ends a test that hangs, by killing its processes: all accesses to its mounts then fail."""

    def __init__(self):
        self.fired = False
        # Some tests mount dozens of images, and those of mount/soak.py take SOAK_SECONDS.
        self.timer = threading.Timer(6 * HANG + 10 * float(os.environ.get("SOAK_SECONDS", "0")), self.fire)
        self.timer.daemon = True

    def fire(self):
        self.fired = True
        kill_all_started()

    def __enter__(self):
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()


# Mounts


def mounts():
    """The lines of /proc/mounts as [source, directory, type, options]."""
    with open("/proc/mounts", errors="surrogateescape", newline="\n") as file:
        lines = file.read().split("\n")[:-1]
    found = []
    for line in lines:
        fields = [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), f) for f in line.split(" ")]
        found.append(fields[:4])
    return found


def mounted(directory):
    """The topmost mount on a directory, or None."""
    found = [line for line in mounts() if line[1] == directory]
    return found[-1] if found else None


class Device:
    """/dev/fuse accessible to users, as on most systems; for a with statement. One run at a time changes it."""

    def __enter__(self):
        self.lock = os.open("/dev", os.O_RDONLY)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.mode = os.stat("/dev/fuse").st_mode
        os.chmod("/dev/fuse", 0o666)

    def __exit__(self, *_):
        os.chmod("/dev/fuse", self.mode & 0o7777)
        os.close(self.lock)


def monitors_of(directory):
    """The monitors of mounts on a directory. They lead a session; processes that a leak check forks do not."""
    found = [p for p in children(os.getpid()) if os.fsencode(directory) in command_line(p)]
    return [p for p in found if int((process_fields(p) or [0] * 4)[3]) == p]


class Mount:
    """A mount, for a with statement: at its end it is unmounted, and its processes must end with status 0."""

    def __init__(self, image, *arguments, foreground=False, user=None, directory=None, cwd=None, env=None):
        self.user = user
        self.directory = directory or Place.new_directory(owner=user)
        self.foreground = None
        self.monitor = self.front = None
        self.ended = False
        command = [Place.program, image, self.directory, *arguments]
        before = children(os.getpid())
        with Device() if user is not None else contextlib.nullcontext():
            if foreground:
                self.begin_in_foreground(command, cwd)
            else:
                done = run(*command, user=user, cwd=cwd, env=env)
                check(done.returncode == 0, f"mounting: status {done.returncode}: {done.stderr.strip()}")
                self.output = done.stdout
        self.find_processes(before)

    def begin_in_foreground(self, command, cwd):
        more = {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}
        self.foreground = start(*command, "-f", cwd=cwd, **more)
        wait_until(lambda: self.foreground.poll() is not None or mounted(self.directory), "it is mounted")
        if self.foreground.poll() is not None:
            raise Failure(f"mounting: status {self.foreground.returncode}: {self.foreground.communicate()[1].strip()}")

    def find_processes(self, before):
        if self.foreground:
            self.monitor = self.foreground.pid
        else:
            found = [p for p in monitors_of(self.directory) if p not in before]
            equal(len(found), 1, "monitors")
            self.monitor = found[0]
        self.front = wait_until(lambda: children(self.monitor), "the front runs")[0]

    def path(self, name=""):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), errors="surrogateescape", newline="") as file:
            return file.read()

    def size(self, name):
        return os.stat(self.path(name)).st_size

    def bytes_read(self):
        return int(self.read("status/bytes_read"))

    def jobs(self):
        """The pids of jobs that are not reaped yet."""
        return [p for p in children(self.monitor) if p != self.front]

    def settle(self):
        """Waits until there is no job. Returns a number that grows with each job that has ended."""
        wait_until(lambda: not self.jobs(), "all jobs have ended")
        return int(process_fields(self.monitor)[8])

    def job(self):
        """Waits for a job, which must be the only one. Returns its pid."""
        found = wait_until(self.jobs, "a job runs")
        equal(len(found), 1, "jobs")
        return found[0]

    def stop_job(self):
        """Stops the only job. Returns its pid."""
        pid = self.job()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state(pid) == "T", "the job has stopped")
        return pid

    def wait_end(self, what, seconds=5.0):
        """Waits for the monitor's end. Returns its exit status."""
        if self.foreground:
            try:
                status = self.foreground.wait(seconds)
            except subprocess.TimeoutExpired:
                raise Failure(f"{what}: the monitor has not ended within {seconds} s") from None
            for stream in (self.foreground.stdout, self.foreground.stderr):
                stream.close()
        else:
            status = reap(self.monitor, f"{what}: the monitor", seconds)
        self.ended = True
        return status

    def check_gone(self, what, status=0):
        """Checks that the monitor ends with that status, that the front has ended, and that nothing is mounted."""
        equal(self.wait_end(what), status, f"{what}: exit status")
        equal(state(self.front), None, f"{what}: state of the front")
        equal(mounted(self.directory), None, f"{what}: mounted")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.clear_away()
            return
        if self.ended:
            return
        try:
            good("umount", "--", self.directory)
            self.check_gone("umount")
        except Failure:
            self.clear_away()
            raise

    def clear_away(self):
        """After a failure: unmounts, and kills the processes."""
        run("umount", "-l", "--", self.directory)
        for pid in (self.monitor, self.front):
            if pid and state(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        time.sleep(0.05)
        if self.foreground:
            self.foreground.kill()
            self.foreground.communicate()
        for pid in (self.monitor, self.front):
            try:
                os.waitpid(pid, os.WNOHANG)
            except (ChildProcessError, TypeError):
                pass


class Storage:
    """Another FUSE file system that holds the image and can be stopped; for a with statement."""

    def __enter__(self):
        self.directory = Place.new_directory("storage")
        self.image = f"{self.directory}/hello"
        self.begin()
        return self

    def begin(self):
        good(Place.hello, self.directory)
        self.server = next(p for p in children(os.getpid()) if os.fsencode(self.directory) in command_line(p))

    def forget(self):
        """Drops the file from the page cache."""
        with open(self.image, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def stop(self):
        """Drops the file from the page cache, and waits until its cached attributes have expired."""
        self.forget()
        os.kill(self.server, signal.SIGSTOP)
        time.sleep(1.2)

    def go_on(self):
        if state(self.server):
            os.kill(self.server, signal.SIGCONT)

    def __exit__(self, kind, *_):
        self.go_on()
        (run if kind else good)("umount", self.directory)
        if not kind:
            reap(self.server, "the storage")


def expected(image, *arguments):
    """What instar-cat prints for every file, in its order: text, or "error: ERRNO"."""
    output = good(Place.cat, "-a", *arguments, image)
    texts = {}
    for part in re.split(r"^== ", output, flags=re.M)[1:]:
        name, _, text = part.partition("\n")
        texts[name] = text
    return texts
