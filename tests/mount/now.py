# SPDX-License-Identifier: Apache-2.0
"""The view .now/, in which lookups compute: for programs that rely on the first size that they see."""
import errno
import os

import mount.images as images
from mount.harness import PYTHON, Mount, Place, check, equal, expected, fails, good, run, start, finish, state, test, \
    test_each, wait_until

COLD = "measure/qcow2"


def texts_of(image, names):
    """The texts of those files that instar-cat prints, too."""
    texts = expected(image)
    return {name: texts[name] for name in names if name in texts}


@test
def now_is_not_listed_and_has_the_files_of_the_root():
    image = images.qcow2()
    with Mount(image) as m:
        check(".now" not in os.listdir(m.path()), ".now is not listed")
        equal(sorted(os.listdir(m.path(".now"))), sorted(os.listdir(m.path())), "names")
        equal(sorted(os.listdir(m.path(".now/measure"))), sorted(os.listdir(m.path("measure"))), "names in measure/")
        check(not os.path.exists(m.path(".now/.now")), ".now is not in .now")
        check(not os.path.exists(m.path("measure/.now")), ".now is in the root only")
        check(os.stat(m.path(".now")).st_ino != os.stat(m.path()).st_ino, ".now is another directory")
        for name, text in expected(image).items():
            if not name.startswith("status/"):
                with open(m.path(f".now/{name}")) as file:
                    equal(file.read(), text, name)


@test
def lookups_in_now_compute():
    image = images.qcow2()
    text = good(Place.cat, image, COLD)
    with Mount(image) as m:
        equal(m.size(COLD), 0, "size outside")
        equal(m.size(f".now/{COLD}"), len(text), "size in .now")
        jobs = m.settle()
        equal(m.size(COLD), len(text), "size outside, after that")
        equal(m.read(f".now/{COLD}"), text, "text")
        equal(m.settle(), jobs, "page faults of jobs: no other one ran")
        equal(m.size(".now/measure/vhdx,block_size=1M"), len(m.read("measure/vhdx,block_size=1M")), "with options")


@test
def inode_numbers_are_those_of_the_listing():
    with Mount(images.qcow2()) as m:
        for directory in ("", "measure", ".now", ".now/measure"):
            for entry in os.scandir(m.path(directory)):
                equal(entry.inode(), os.stat(entry.path).st_ino, entry.path)


@test
def changes_are_seen_in_now():
    image = images.raw()
    with Mount(image) as m:
        for size in (9 << 20, 3 << 30):
            os.truncate(image, size)
            name = ".now/measure/qcow2.json"
            text = good(Place.cat, image, "measure/qcow2.json")
            equal((m.size(name), m.read(name)), (len(text), text), "size and text")


@test
def a_waiting_lookup_in_now_can_be_interrupted():
    with Mount(images.slow()) as m:
        client = start("stat", m.path(f".now/{COLD}"))
        pid = m.stop_job()
        client.terminate()
        finish(client)
        wait_until(lambda: state(pid) is None, "the job is killed")
        equal(m.read("virtual_size").strip().isdigit(), True, "the mount answers")


@test
def lookups_in_now_do_not_wait_for_each_other():
    with Mount(images.slow()) as m:
        size = m.read("virtual_size")
        client = start("stat", m.path(".now/allocated_size"))
        m.stop_job()
        equal(good("cat", m.path(".now/virtual_size")), size, "another file of the directory")
        client.terminate()
        finish(client)


@test
def files_that_fail_exist_and_fail_when_opened():
    image = images.qcow2()
    with open(image, "r+b") as file:
        file.seek(40)
        file.write((1 << 40 | 1).to_bytes(8, "big"))  # l1_table_offset
    with Mount(image) as m:
        equal(m.size(f".now/{COLD}"), 0, "size")
        fails(errno.EUCLEAN, lambda: m.read(f".now/{COLD}"), "reading")


# Commands: they archive files of $D, and unpack them to the empty directory $O.
ARCHIVERS = [
    ("tar", 'tar -C "$D" -cf - measure format virtual_size | tar -C "$O" -xf -'),
    ("tar -S", 'tar -C "$D" -S -cf - measure format virtual_size | tar -C "$O" -xf -'),
    ("busybox tar", 'busybox tar -C "$D" -cf - measure format virtual_size | tar -C "$O" -xf -'),
    ("bsdtar", 'bsdtar -C "$D" -cf - measure format virtual_size | bsdtar -C "$O" -xf -'),
    ("7z", 'cd "$D" && 7z a -bso0 -bsp0 "$O/x.7z" measure format virtual_size && cd "$O" && 7z x -bso0 x.7z && rm x.7z'),
    ("mksquashfs", 'mksquashfs "$D/measure" "$D/format" "$D/virtual_size" "$O.sqfs" -quiet -no-progress -keep-as-directory && '
                   'unsquashfs -quiet -no-progress -f -d "$O" "$O.sqfs"'),
    ("cpio", 'cd "$D" && find measure format virtual_size | cpio -o --quiet | (cd "$O" && cpio -id --quiet)'),
    ("rsync", 'rsync -a "$D/measure" "$D/format" "$D/virtual_size" "$O"'),
    ("rsync --checksum", 'rsync -rc "$D/measure" "$D/format" "$D/virtual_size" "$O"'),
    ("cp -a", 'cp -a "$D/measure" "$D/format" "$D/virtual_size" "$O"'),
    ("busybox cp -a", 'busybox cp -a "$D/measure" "$D/format" "$D/virtual_size" "$O"'),
    ("zip", 'cd "$D" && zip -qr "$O/x.zip" measure format virtual_size && cd "$O" && "$P" -m zipfile -e x.zip . && rm x.zip'),
    ("python copytree", '"$P" -c "import shutil,sys; shutil.copytree(sys.argv[1] + \'/measure\', sys.argv[2] + '
                        '\'/measure\'); [shutil.copy2(sys.argv[1] + \'/\' + n, sys.argv[2]) for n in '
                        '(\'format\', \'virtual_size\')]" "$D" "$O"'),
    ("diff -r", 'cd "$O" && cp -a "$D/measure" "$D/format" "$D/virtual_size" . && diff -r "$D/measure" measure'),
    ("find -size", 'cd "$D" && find measure format virtual_size -type f -size +0 | cpio -o --quiet | '
                   '(cd "$O" && cpio -id --quiet)'),
]


@test_each("archived at the first try by", ARCHIVERS)
def archived(command):
    image = images.qcow2()
    out = Place.new_directory("out")
    with Mount(image) as m:
        good("sh", "-ec", command, env={**os.environ, "D": m.path(".now"), "O": out, "P": PYTHON})
        names = [f"measure/{n}" for n in os.listdir(m.path("measure"))] + ["format", "virtual_size"]
        for name, text in texts_of(image, names).items():
            with open(f"{out}/{name}") as file:
                equal(file.read(), text, name)


def requests(m):
    """How many requests the front has read."""
    with open(f"/proc/{m.front}/io") as file:
        return int(file.read().split("syscr: ")[1].split()[0])


@test
def missing_names_are_looked_up_once():
    with Mount(images.qcow2()) as m:
        for name in (".hidden", "measure/.Trash", "nope,a=b"):
            before = requests(m)
            for _ in range(50):
                fails(errno.ENOENT, lambda name=name: os.stat(m.path(name)), name)
            check(requests(m) - before < 10, f"{name}: {requests(m) - before} requests")


@test
def the_kernel_keeps_texts_and_attributes_of_a_generation():
    """A file is read again without READ and GETATTR requests."""
    image = images.qcow2()
    with Mount(image) as m:
        text = m.read(COLD)
        fd = os.open(m.path(COLD), os.O_RDONLY)
        os.pread(fd, 4096, 0)
        before = requests(m)
        for _ in range(50):
            equal(os.pread(fd, 4096, 0).decode(), text, "text")
            equal(os.fstat(fd).st_size, len(text), "size")
        check(requests(m) - before < 10, f"{requests(m) - before} requests")
        os.close(fd)
        before = requests(m)
        for _ in range(50):
            equal(m.read(COLD), text, "text")
        # Each needs LOOKUP, OPEN and RELEASE; the front reads its descriptor at most twice for each.
        check(requests(m) - before < 50 * 7, f"{requests(m) - before} requests")
