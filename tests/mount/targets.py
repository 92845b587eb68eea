# SPDX-License-Identifier: Apache-2.0
"""
Files about target formats: measure/ and convert_size/, and options in their names. Such names are looked up, never listed; equal
option sets are computed once, and bad ones are refused with a reason.
"""
import concurrent.futures
import errno
import json
import os
import random
import signal

import mount.images as images
from mount.harness import Mount, Place, check, equal, expected, fails, good, run, start, finish, test

SPELLINGS = [
    "cluster_size=4k", "cluster_size=4096", "cluster_size=4K", "cluster_size=0x1000", "cluster_size=4.0k",
    "lazy_refcounts=on,cluster_size=4k", "cluster_size=2M,cluster_size=4k", "cluster_size=4k,compat=1.1",
]


def measured(image, target, options, *more):
    return good("qemu-img", "measure", "-O", target, "-o", options, *more, image)


@test
def options_in_the_name_are_those_of_qemu_img():
    chance = random.Random(7)
    image = images.qcow2()
    with Mount(image) as m:
        for _ in range(20):
            extended = chance.choice(("on", "off"))
            options = ",".join(chance.sample([
                f"cluster_size={chance.choice(('16k', '64k', '128k', '2M') if extended == 'on' else ('512', '4k', '1M'))}",
                f"extended_l2={extended}", f"refcount_bits={chance.choice((1, 2, 4, 8, 16, 32, 64))}",
                f"preallocation={chance.choice(('off', 'metadata', 'falloc', 'full'))}",
                f"lazy_refcounts={chance.choice(('on', 'off'))}"], k=5))
            equal(m.read(f"measure/qcow2,{options}"), measured(image, "qcow2", options), options)
            equal(m.read(f"measure/qcow2,{options}.json"), measured(image, "qcow2", options, "--output=json"), options)
        equal(m.read("measure/raw,size=5M"), measured(image, "raw", "size=5M"), "raw")


@test
def instar_cat_takes_the_same_names():
    image = images.qcow2()
    for options in SPELLINGS:
        equal(good(Place.cat, image, f"measure/qcow2,{options}"), measured(image, "qcow2", options), options)
    done = run(Place.cat, image, "measure/qcow2,foo=1")
    equal((done.returncode, done.stderr), (1, "instar-cat: measure/qcow2,foo=1: Invalid parameter 'foo'\n"), "refused")


@test
def options_that_mean_the_same_are_computed_once():
    with Mount(images.qcow2()) as m:
        text = m.read(f"measure/qcow2,{SPELLINGS[0]}")
        jobs, read = m.settle(), m.bytes_read()
        for options in SPELLINGS:
            equal(m.read(f"measure/qcow2,{options}"), text, options)
            check(m.read(f"measure/qcow2,{options}.json").startswith("{\n"), options)
        equal((m.settle(), m.bytes_read()), (jobs, read), "page faults of jobs, status/bytes_read")
        inodes = {os.stat(m.path(f"measure/qcow2,{o}")).st_ino for o in SPELLINGS}
        equal(len(inodes), 1, "files")
        same = {os.stat(m.path(f"measure/{n}")).st_ino for n in ("qcow2", "qcow2,cluster_size=64k", "qcow2,nocow=off")}
        equal(len(same), 1, "files with the default options")


@test
def many_readers_of_one_set_share_its_job():
    image = images.slow()
    text = good(Place.cat, image, "measure/qcow2,cluster_size=1M")
    with Mount(image) as m:
        readers = [start("cat", m.path(f"measure/qcow2,cluster_size={1 << 20}"))]
        job = m.stop_job()
        readers += [start("cat", m.path("measure/qcow2,cluster_size=1M")) for _ in range(20)]
        equal(m.jobs(), [job], "jobs")
        os.kill(job, signal.SIGCONT)
        for reader in readers:
            status, out, err = finish(reader)
            equal((status, out, err), (0, text, ""), "reader")


@test
def fifty_sets_can_be_read_at_once():
    image = images.qcow2()
    names = [f"measure/vhdx,log_size={i}M,block_size={1 << i % 9}M" for i in range(1, 51)]
    with Mount(image) as m, concurrent.futures.ThreadPoolExecutor(50) as pool:
        equal("".join(pool.map(m.read, names)), good(Place.cat, image, *names), "texts")


@test
def names_with_options_are_never_listed():
    image = images.qcow2()
    with Mount(image) as m:
        before = sorted(os.listdir(m.path("measure")))
        check(os.path.exists(m.path("measure/qcow2,cluster_size=4k")), "it exists")
        m.read("measure/qcow2,cluster_size=8k")
        equal(sorted(os.listdir(m.path("measure"))), before, "names")
        check(not [n for n in expected(image) if "," in n], "instar-cat -a lists none")


@test
def looking_up_a_name_with_options_starts_no_scan():
    with Mount(images.qcow2()) as m:
        m.read("format")
        jobs = m.settle()
        good("stat", m.path("measure/qcow2,cluster_size=4k"))
        good("ls", "-l", m.path("measure/vmdk,subformat=streamOptimized"))
        equal(m.settle(), jobs, "page faults of jobs")


@test
def bad_options_are_refused_with_the_message_of_qemu_img():
    image = images.qcow2()
    cases = [("qcow2", "foo=1"), ("qcow2", "cluster_size=3k"), ("qcow2", "compat=0.9"), ("qcow2", "refcount_bits=3"),
             ("qcow2", "extended_l2=maybe"), ("qcow2", "cluster_size=-1"), ("qcow2", ""), ("luks", "cipher-alg=x")]
    with Mount(image) as m:
        for target, options in cases:
            name = f"measure/{target},{options}"
            for path in (name, name + ".json"):
                fails(errno.EINVAL, lambda path=path: os.stat(m.path(path)), path)
            ours = os.getxattr(m.path("measure"), "user.instar.error").decode()
            theirs = run("qemu-img", "measure", "-O", target, "-o", options, image).stderr
            check(ours in theirs, f"{name}: {ours!r} is not in {theirs!r}")
            check(f"{name}: {ours}\n" in m.read("problems"), f"{name} in problems")
        fails(errno.ENOENT, lambda: os.stat(m.path("measure/nope,a=b")), "an unknown target")
        fails(errno.ENOENT, lambda: os.stat(m.path("format,a=b")), "a file without options")


@test
def the_error_attribute_exists_only_after_an_error():
    with Mount(images.qcow2()) as m:
        equal(os.listxattr(m.path("measure")), [], "names before")
        fails(errno.ENODATA, lambda: os.getxattr(m.path("measure"), "user.instar.error"), "error before")
        fails(errno.EINVAL, lambda: os.stat(m.path("measure/qcow2,x")), "a bad option")
        equal(os.listxattr(m.path("measure")), ["user.instar.error"], "names")
        equal(good("getfattr", "--only-values", "-n", "user.instar.error", m.path("measure")),
              "Invalid parameter 'x'", "getfattr")
        equal(os.listxattr(m.path("status")), [], "names of another directory")
        fails(errno.ENODATA, lambda: os.getxattr(m.path("measure"), "user.nope"), "unknown")
        fails(errno.ENOTSUP, lambda: os.getxattr(m.path("measure"), "security.selinux"), "not in user.")
        check(len(os.getxattr(m.path("measure"), "user.instar.error")) == 21, "length")


@test
def bad_names_are_escaped_in_problems():
    with Mount(images.qcow2()) as m:
        fails(errno.EINVAL, lambda: os.stat(m.path("measure/qcow2,\x1b[31m\n=1")), "a bad name")
        check("\x1b" not in m.read("problems"), "no escape sequences in problems")


@test
def thousands_of_bad_names_cost_no_memory():
    with Mount(images.raw()) as m:
        for i in range(3000):
            fails(errno.EINVAL, lambda i=i: os.stat(m.path(f"measure/qcow2,bad{i}{'x' * 100}=1")), "a bad name")
        check(len(m.read("problems")) < 80 << 10, "problems are bounded")
        m.read("measure/qcow2,cluster_size=4k")


@test
def new_option_sets_replace_old_ones():
    image = images.raw()
    with Mount(image) as m:
        first = "measure/vhdx,block_size=1M,log_size=2M"
        text = m.read(first)
        held = os.open(m.path(first), os.O_PATH)
        opened = os.open(m.path(first), os.O_RDONLY)
        for i in range(17000):
            os.stat(m.path(f"measure/vhdx,block_size={1 << i // 4000}M,log_size={i % 4000 + 3}M"))
        equal(m.read("measure/qcow2,cluster_size=4k"), measured(image, "qcow2", "cluster_size=4k"), "another set")
        equal(os.pread(opened, 4096, 0).decode(), text, "text of a file that is open")
        fails(errno.ESTALE, lambda: os.open(f"/proc/self/fd/{held}", os.O_RDONLY), "a handle of a dropped set")
        equal(m.read(first), text, "text, computed again")
        os.close(held)
        os.close(opened)


@test
def files_of_layers_have_options():
    image = images.qcow2()
    over = Place.new("over.qcow2")
    good("qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", over)
    with Mount(over, "-o", "follow=under:/") as m:
        equal(m.read("measure/qcow2,cluster_size=4k"), measured(over, "qcow2", "cluster_size=4k"), "the whole image")
        equal(m.read("layers/1/measure/qcow2,cluster_size=4k"), measured(image, "qcow2", "cluster_size=4k"), "the backing layer")
        fails(errno.EINVAL, lambda: os.stat(m.path("layers/1/measure/qcow2,x")), "a bad option")
        equal(m.read("problems"), "", "problems of the whole image")
        equal(m.read("layers/1/problems"), "layers/1/measure/qcow2,x: Invalid parameter 'x'\n", "problems of the layer")


WRITTEN = ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi", "qed", "parallels", "qcow")


def converted(image, target, options="", *more):
    """The size of the file that a conversion writes."""
    path = Place.new(f"{target}.out")
    good("qemu-img", "convert", "-O", target, *(("-o", options) if options else ()), *more, image, path)
    size = os.stat(path).st_size
    os.unlink(path)
    return size


@test
def convert_size_is_the_size_of_the_written_file():
    image = images.qcow2()
    with Mount(image) as m:
        for target in WRITTEN:
            size = converted(image, target)
            equal(m.read(f"convert_size/{target}"), f"{size}\n", target)
            sizes = json.loads(m.read(f"convert_size/{target}.json"))
            equal((sizes["size"], [f["size"] for f in sizes["files"]]), (size, [size]), f"{target}.json")
            check(int(m.read(f"measure/{target}").split()[2]) >= size, f"{target}: measure is not less")
        for options in ("cluster_size=4k", "extended_l2=on", "preallocation=metadata"):
            equal(m.read(f"convert_size/qcow2,{options}"), f"{converted(image, 'qcow2', options)}\n", options)
        equal(m.read("convert_size/qcow2,compressed"), f"{converted(image, 'qcow2', '', '-c')}\n", "-c")


@test
def one_read_of_the_data_serves_all_conversions():
    with Mount(images.qcow2()) as m:
        m.read("convert_size/qcow2")
        jobs, read = m.settle(), m.bytes_read()
        for target in WRITTEN + ("luks",):
            m.read(f"convert_size/{target}")
            m.read(f"convert_size/{target}.json")
        equal((m.settle(), m.bytes_read()), (jobs, read), "page faults of jobs, status/bytes_read")


@test
def a_conversion_to_several_files_lists_each():
    image = images.qcow2()
    directory = Place.new_directory("several")
    name = os.path.splitext(os.path.basename(image))[0] + ".vmdk"
    good("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", image, f"{directory}/{name}")
    sizes = {n: os.stat(f"{directory}/{n}").st_size for n in os.listdir(directory)}
    with Mount(image) as m:
        listed = json.loads(m.read("convert_size/vmdk,subformat=twoGbMaxExtentSparse.json"))
        equal({f["name"]: f["size"] for f in listed["files"]}, sizes, "files")
        equal(listed["size"], sum(sizes.values()), "sum")


@test
def the_data_pass_ends_with_its_last_reader():
    with Mount(images.slow()) as m:
        reader = start("cat", m.path("convert_size/qcow2"))
        pid = m.stop_job()
        check(m.read("status/progress").endswith(" data\n"), "the data pass runs")
        reader.kill()
        finish(reader)
        m.settle()
        check(not os.path.exists(f"/proc/{pid}"), "the job has ended")


@test
def impossible_conversions_have_a_reason():
    with Mount(images.qcow2()) as m:
        fails(errno.ENOTSUP, lambda: m.read("convert_size/qcow2,backing_file=x"), "backing_file")
        check("backing_file" in os.getxattr(m.path("convert_size"), "user.instar.error").decode(), "message")
        fails(errno.EINVAL, lambda: m.read("convert_size/qcow2,compat=0.10,extended_l2=on,cluster_size=16k"), "refused")
        m.read("measure/qcow2,compat=0.10,extended_l2=on,cluster_size=16k")
        fails(errno.EINVAL, lambda: m.read("measure/qcow2,compressed"), "an option of conversions only")
