# SPDX-License-Identifier: Apache-2.0
"""The sandbox of a mount as the kernel shows it; kernels without one of its layers; jobs that crash, hang or take too long."""
import errno
import os
import pathlib
import select
import signal
import time

import mount.images as images
import oracle.vmdk
from mount.harness import (NOBODY, Mount, Place, Storage, check, command_line, descendants, equal, expected, fails, finish, good,
                           mounted, run, start, state, test, test_each, wait_until)

COLD = "measure/qcow2"
MIB = 1 << 20
EXTENT_FILES = 40  # extent files: more than stay open at a time
# By kind of process: limits of memory (bytes) and descriptors, and how many system calls are allowed.
HELD = {"job": (256 * MIB, 0, 13), "asking job": (256 * MIB, 192, 17), "front": (1024 * MIB, 320, 21)}
LAYERS = {"landlock_create_ruleset": "landlock", "seccomp": "seccomp", "capset": "capabilities"}  # by a system call that each needs


def status(pid):
    """/proc/PID/status."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def limit(pid, name):
    line = next(line for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith(name))
    return line[len(name):].split()[:2]


def open_files(pid):
    return sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2)


def fronts(directory):
    """The processes of a mount that run as nobody: the front, and jobs."""
    marker = os.fsencode(directory)
    return [pid for pid in descendants(os.getpid()) if marker in command_line(pid) and status(pid)["Uid"].split()[0] == str(NOBODY)]


def only_front(directory):
    """The front; None while jobs run, or while the monitor has no parent to be found by."""
    found = fronts(directory)
    return found[0] if len(found) == 1 else None


def layers(m, process):
    """The lines of status/sandbox about a kind of process: {layer: value}."""
    lines = [line.split() for line in m.read("status/sandbox").splitlines()[1:]]
    return {layer: value for of, layer, value in lines if of == process}


def check_refused(done, code, words):
    equal(done.returncode, code, f"status ({done.stderr.strip()})")
    equal(len(done.stderr.splitlines()), 1, "lines on stderr")
    check(words in done.stderr, f"{words}: {done.stderr}")


def has_sanitizers():
    """Programs with sanitizers map terabytes of address space."""
    return b"__asan_init" in images.contents(Place.program)


def check_limits(pid, kind):
    memory, descriptors, _ = HELD[kind]
    wanted = {"Max core file size": 0, "Max processes": 0, "Max file size": 0, "Max open files": descriptors}
    if not has_sanitizers():
        wanted["Max address space"] = memory
    for name, value in wanted.items():
        equal(limit(pid, name), [str(value)] * 2, f"{kind}: {name}")


def check_confined(pid, user, kind):
    fields = status(pid)
    equal(fields["Uid"].split(), [str(user)] * 4, "users")
    equal(fields["Gid"].split(), [str(user)] * 4, "groups")
    equal(fields["Groups"], "", "other groups")
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal(int(fields[name], 16), 0, name)
    equal((fields["NoNewPrivs"], fields["Seccomp"], fields["Threads"]), ("1", "2", "1"), "NoNewPrivs, Seccomp, Threads")
    check_limits(pid, kind)


@test
def jobs_are_confined():
    image = images.slow()
    with Mount(image) as m:
        reader = start("cat", m.path(COLD))
        job = m.job()
        wait_until(lambda: status(job)["Seccomp"] == "2", "the job is in its sandbox")
        equal(m.stop_job(), job, "jobs")
        check_confined(job, NOBODY, "job")
        equal(status(job)["CapBnd"], "0" * 16, "CapBnd")
        equal(limit(job, "Max cpu time"), ["600", "601"], "processor time")
        equal(open_files(job), [image], "open files")
        equal(os.readlink(f"/proc/{job}/fd/0"), "/dev/null", "standard input")
        check(os.readlink(f"/proc/{job}/fd/1").startswith("pipe:"), "standard output is a pipe")
        os.kill(job, signal.SIGCONT)
        equal(finish(reader)[0], 0, "the reader's status")


def slow_over_extents():
    """A slow image whose backing image has more extent files than stay open, in a directory of their own."""
    directory = Place.new_directory("images")
    image = f"{directory}/slow.qcow2"
    lines = ""
    for i in range(EXTENT_FILES):
        os.rename(images.raw(((0, 4096),), 4096), f"{directory}/extent-{i}.raw")
        lines += f'RW 8 FLAT "extent-{i}.raw" 0\n'
    pathlib.Path(directory, "extents.vmdk").write_text(oracle.vmdk.DESCRIPTOR.format("twoGbMaxExtentFlat", lines))
    os.rename(images.slow(), image)
    good("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "extents.vmdk", "-F", "vmdk", image)
    return image


def stop_asking_job(m):
    """Stops the job in its sandbox. Returns its pid, and that of the process that opens files for it."""
    job = wait_until(lambda: next((pid for pid in m.jobs() if status(pid)["Seccomp"] == "2"), None), "the job is in its sandbox")
    os.kill(job, signal.SIGSTOP)
    wait_until(lambda: state(job) == "T", "the job has stopped")
    openers = wait_until(lambda: [pid for pid in m.jobs() if pid != job], "the opener runs")
    equal(len(openers), 1, "openers")
    return job, openers[0]


@test
def jobs_that_ask_for_extent_files_are_confined():
    with Mount(slow_over_extents(), "-o", "follow=beside") as m:
        m.settle()
        reader = start("cat", m.path(COLD))
        job, opener = stop_asking_job(m)
        check_confined(job, NOBODY, "asking job")
        equal(status(opener)["Threads"], "1", "threads of the opener")
        os.kill(job, signal.SIGCONT)
        equal(finish(reader)[0], 0, "the reader's status")
        equal(layers(m, "job")["seccomp"], str(HELD["asking job"][2]), "system calls")


@test
def the_front_is_confined():
    image = images.qcow2()
    with Mount(image) as m:
        check_confined(m.front, NOBODY, "front")
        files = [name for name in open_files(m.front) if not name.startswith("socket:")]
        equal(files, sorted([image, "/dev/fuse", "anon_inode:inotify"]), "open files")
        equal(status(m.monitor)["Threads"], "1", "threads of the monitor")


@test
def status_shows_every_layer():
    with Mount(images.qcow2(), "-o", "sandbox=require") as m:
        m.read(COLD)
        equal(m.read("status/sandbox").splitlines()[0], "mode require", "mode")
        for process in "job", "front":
            values = layers(m, process)
            check(1 <= int(values.pop("landlock")), "version of Landlock")
            equal(values.pop("seccomp"), str(HELD[process][2]), f"{process}: system calls")
            equal(values, {"user": str(NOBODY), "capabilities": "on", "undumpable": "on", "no_new_privs": "on", "limits": "on"}, process)


@test
def a_users_mount_is_confined():
    image = images.qcow2()
    os.chmod(image, 0o644)
    with Mount(image, "-o", "sandbox=require", user=NOBODY) as m:
        check_confined(m.front, NOBODY, "front")
        equal(run("cat", m.path(COLD), user=NOBODY).returncode, 0, "status of a reader")
        fails(errno.EACCES, lambda: m.read("format"), "another user")


@test
def without_a_sandbox_nothing_leaks():
    """LeakSanitizer runs at the end of a process, and needs more than the sandbox allows."""
    with Mount(images.qcow2(), "-o", "sandbox=off") as m:
        fields = status(m.front)
        equal((fields["Uid"].split()[0], fields["NoNewPrivs"], fields["Seccomp"]), ("0", "0", "0"), "Uid, NoNewPrivs, Seccomp")
        equal(m.read("status/sandbox").splitlines()[0], "mode off", "mode")
        equal(set(layers(m, "job").values()) | set(layers(m, "front").values()), {"off"}, "layers")
        texts = expected(m.read("status/image").strip())
        for name, text in texts.items():
            if not name.startswith("status/"):
                equal(m.read(name), text, name)
        for size in ("4k", "64k", "odd"):
            run("cat", m.path(f"measure/qcow2,cluster_size={size}"))
        os.utime(m.read("status/image").strip())
        equal(m.read("format"), "qcow2\n", "format after a change")
        m.read(COLD)
        run("cat", m.path("measure/qcow2,cluster_size=8k"))


@test
def on_storage_that_answers_one_user_root_stays_root():
    with Storage() as storage:
        with Mount(storage.image) as m:
            m.read(COLD)
            equal((layers(m, "job")["user"], layers(m, "front")["user"]), ("off", "off"), "user")
            fields = status(m.front)
            equal((fields["Uid"].split()[0], int(fields["CapEff"], 16), fields["Seccomp"]), ("0", 0, "2"), "Uid, CapEff, Seccomp")
        check_refused(run(Place.program, storage.image, Place.new_directory(), "-o", "sandbox=require"), 2, "layer user: ")


def without(call, *arguments):
    """Starts the program with a system call that fails as if the kernel did not have it. LeakSanitizer does not run under strace."""
    return start("strace", "-f", "-qq", "-o", Place.new("trace"), "-e", f"trace={call}", "-e", f"inject={call}:error=ENOSYS",
                 Place.program, *arguments, env={**os.environ, "ASAN_OPTIONS": os.environ["ASAN_OPTIONS"] + ":detect_leaks=0"})


@test_each("it mounts, and shows the missing layer:", [(f"{mode}, {call}", (mode, call)) for mode, call in (
    ("default", "landlock_create_ruleset"), ("best-effort", "seccomp"), ("default", "capset"))])
def missing_layer_that_is_not_required(case):
    mode, call = case
    directory = Place.new_directory()
    process = without(call, images.qcow2(), directory, "-o", f"sandbox={mode}")
    try:
        wait_until(lambda: mounted(directory) or process.poll() is not None, "it is mounted")
        text = pathlib.Path(directory, "status/sandbox").read_text()
        check(f"\njob {LAYERS[call]} off\n" in text and f"\nfront {LAYERS[call]} off\n" in text, f"{call}: {text}")
        equal(text.count(" off\n"), 2, "layers that are off")
        equal(pathlib.Path(directory, "format").read_text(), "qcow2\n", "format")
    finally:
        run("umount", directory)
    equal(finish(process)[0], 0, "status")


@test_each("it does not mount without a required layer:", [(f"{mode}, {call}", (mode, call)) for mode, call in (
    ("require", "landlock_create_ruleset"), ("require", "seccomp"), ("default", "seccomp"), ("require", "capset"))])
def missing_layer_that_is_required(case):
    mode, call = case
    directory = Place.new_directory()
    process = without(call, images.qcow2(), directory, "-o", f"sandbox={mode}")
    code, _, err = finish(process)
    equal(code, 2, f"status ({err})")
    check(f"layer {LAYERS[call]}: Function not implemented" in err, err)
    equal(mounted(directory), None, "mounted")


@test
def descriptors_are_closed_without_close_range():
    image, directory = images.qcow2(), Place.new_directory()
    process = without("close_range", image, directory)
    try:
        wait_until(lambda: mounted(directory) or process.poll() is not None, "it is mounted")
        equal(pathlib.Path(directory, "format").read_text(), "qcow2\n", "format")
        front = wait_until(lambda: only_front(directory), "the job has ended")
        equal(sorted(name for name in open_files(front) if not name.startswith("socket:")),
              sorted([image, "/dev/fuse", "anon_inode:inotify"]), "open files")
    finally:
        run("umount", directory)
    equal(finish(process), (0, "", ""), "status and output")


def has_output(process):
    """Whether standard error has something to read."""
    return select.select([process.stderr], [], [], 0)[0] != []


@test_each("a reply that the kernel refuses ends no mount:", [("to the first lookup", 3), ("to a later one", 20)])
def refused_reply(number):
    """libfuse reports it on standard error: the sandbox must allow that."""
    directory = Place.new_directory()
    shim = {"LD_PRELOAD": Place.faults, "FAULT_KIND": "answer", "FAULT_AT": str(number),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    process = start(Place.program, images.qcow2(), directory, "-f", "-o", "sandbox=require", env={**os.environ, **shim})
    try:
        wait_until(lambda: mounted(directory) or process.poll() is not None, "it is mounted")
        readers = []
        while not has_output(process):
            check(len(readers) < 20, "a reply was refused")
            readers.append(start("cat", f"{directory}/format"))
            wait_until(lambda: readers[-1].poll() is not None or has_output(process), "a reply, or none")
        equal(good("cat", f"{directory}/virtual_size"), f"{8 << 20}\n", "virtual_size")
    finally:
        run("umount", "-f", directory)
    for reader in readers:
        finish(reader)
    code, _, err = finish(process)
    check("fuse: writing device: Cannot allocate memory" in err, err)
    equal(code, 0, "status")


@test
def a_pipe_that_cannot_be_sent_costs_one_job():
    shim = {"LD_PRELOAD": Place.faults, "FAULT_KIND": "descriptor", "FAULT_AT": "1",
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    with Mount(images.qcow2(), env={**os.environ, **shim}) as m:
        fails(errno.EIO, lambda: m.read(COLD), "the first job")
        check("could not be started: Too many references" in m.read("problems"), m.read("problems"))
        m.settle()
        equal(m.read(COLD), expected(m.read("status/image").strip())[COLD], COLD)


@test
def root_without_cap_kill_stays_root():
    """As another user's process the job could not be killed."""
    directory = Place.new_directory()
    good("setpriv", "--bounding-set=-kill", "--inh-caps=-kill", Place.program, images.slow(), directory, "-o", "stall-limit=1")
    try:
        text = pathlib.Path(directory, "status/sandbox").read_text()
        check("\njob user off\n" in text and "\nfront user off\n" in text, text)
    finally:
        good("umount", directory)
    check_refused(run("setpriv", "--bounding-set=-kill", "--inh-caps=-kill", Place.program, images.raw(), directory, "-o",
                      "sandbox=require"), 2, "layer user: Operation not permitted")


@test
def bad_options_are_refused():
    for option in "sandbox=no", "sandbox=", "cpu-limit=x", "cpu-limit=-1", "stall-limit=1000000001":
        check_refused(run(Place.program, images.raw(), Place.new_directory(), "-o", option), 1, option.split("=", maxsplit=1)[0])


def read_while_job_gets(m, number, name=COLD):
    """Sends a signal to the job of a file. Returns the reader's (status, output, errors)."""
    reader = start("cat", m.path(name))
    job = m.stop_job()
    os.kill(job, number)
    if number != signal.SIGKILL:
        os.kill(job, signal.SIGCONT)
    return finish(reader)


@test
def a_pass_that_crashes_three_times_is_given_up():
    image = images.slow()
    with Mount(image) as m:
        for number in signal.SIGABRT, signal.SIGKILL, signal.SIGSYS:
            code, _, err = read_while_job_gets(m, number)
            equal(code, 1, "status of the reader")
            check("Input/output error" in err, err)
        lines = m.read("problems").splitlines()
        check("the measure job was killed by signal 6" in lines, lines)
        check("the measure job was killed: it made a system call that the sandbox forbids" in lines, lines)
        check("the measure pass has failed 3 times within a minute: it is not tried again until the image changes" in lines, lines)
        jobs = m.settle()
        fails(errno.EIO, lambda: m.read(COLD), "after that")
        equal(m.settle(), jobs, "jobs after that")
        equal((m.read("format"), m.read("virtual_size") != ""), ("qcow2\n", True), "other files")
        os.utime(image)
        equal(m.read(COLD), expected(image)[COLD], "after a change")
        check(" job " not in m.read("problems"), "problems after a change")


@test
def a_pass_with_options_is_given_up_by_itself():
    image = images.slow()
    with Mount(image) as m:
        for _ in range(3):
            read_while_job_gets(m, signal.SIGKILL, COLD + ",cluster_size=4k")
        lines = m.read("problems").splitlines()
        check("the measure job with options was killed by signal 9" in lines, lines)
        check("the measure pass with options has failed 3 times within a minute: it is not tried again until the image changes"
              in lines, lines)
        fails(errno.EIO, lambda: m.read(COLD + ",cluster_size=2M"), "with other options")
        equal(m.read(COLD), expected(image)[COLD], "without options")


@test
def names_that_are_refused_do_not_hide_failures():
    with Mount(images.slow()) as m:
        for i in range(400):
            fails(errno.EINVAL, lambda i=i: os.stat(m.path(f"measure/qcow2,{'x' * 200}{i}=1")), "a name")
        length = len(m.read("problems"))
        check(length > 20000, length)
        read_while_job_gets(m, signal.SIGKILL)
        problems = m.read("problems")
        check("\nthe measure job was killed by signal 9\n" in problems, problems[-300:])


@test
def a_pass_that_hangs_is_given_up():
    with Mount(images.slow(), "-o", "stall-limit=1") as m:
        reader = start("cat", m.path(COLD))
        m.stop_job()
        began = time.monotonic()
        code, _, err = finish(reader)
        check(0.5 < time.monotonic() - began < 5, "it takes a second")
        check(code == 1 and "Input/output error" in err, err)
        equal(m.read("problems"), "the measure job was killed: it sent nothing for 1 s\n", "problems")
        m.settle()
        check("required size" in m.read(COLD), "the next reader gets its text")


@test
def a_pass_that_takes_too_long_is_ended():
    image = images.slow(262144, "slower.qcow2")
    with Mount(image, "-o", "cpu-limit=1") as m:
        code, _, err = finish(start("cat", m.path("allocated_size")), 60)
        check(code == 1 and "Input/output error" in err, err)
        equal(m.read("problems"), "the scan job took more than 1 s of processor time (see -o cpu-limit)\n", "problems")
        equal(m.read("format"), "qcow2\n", "format")
