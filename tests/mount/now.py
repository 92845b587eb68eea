# SPDX-License-Identifier: Apache-2.0
"""The view .now/, in which looking computes: for programs that believe the size that they see first."""
import errno
import os

import mount.images as images
from mount.harness import PYTHON, Mount, Place, check, equal, expected, fails, good, run, start, finish, state, test, \
    test_each, wait_until

COLD = "measure/qcow2"


def texts_of(image, names):
    """What the files say, without what the program says of itself."""
    texts = expected(image)
    return {name: texts[name] for name in names if name in texts}


@test
def now_is_not_listed_and_has_all_that_the_root_has():
    image = images.qcow2()
    with Mount(image) as m:
        check(".now" not in os.listdir(m.path()), "it is not listed")
        equal(sorted(os.listdir(m.path(".now"))), sorted(os.listdir(m.path())), "names")
        equal(sorted(os.listdir(m.path(".now/measure"))), sorted(os.listdir(m.path("measure"))), "names in measure/")
        check(not os.path.exists(m.path(".now/.now")), "there is one only")
        check(not os.path.exists(m.path("measure/.now")), "it is in the root only")
        check(os.stat(m.path(".now")).st_ino != os.stat(m.path()).st_ino, "it is another directory")
        for name, text in expected(image).items():
            if not name.startswith("status/"):
                with open(m.path(f".now/{name}")) as file:
                    equal(file.read(), text, name)


@test
def looking_below_now_computes():
    image = images.qcow2()
    text = good(Place.cat, image, COLD)
    with Mount(image) as m:
        equal(m.size(COLD), 0, "size elsewhere")
        equal(m.size(f".now/{COLD}"), len(text), "size below .now")
        jobs = m.settle()
        equal(m.size(COLD), len(text), "size elsewhere, now")
        equal(m.read(f".now/{COLD}"), text, "text")
        equal(m.settle(), jobs, "faults of jobs: none more was run")
        equal(m.size(".now/measure/vhdx,block_size=1M"), len(m.read("measure/vhdx,block_size=1M")), "with options")


@test
def numbers_of_files_are_those_that_are_listed():
    with Mount(images.qcow2()) as m:
        for directory in ("", "measure", ".now", ".now/measure"):
            for entry in os.scandir(m.path(directory)):
                equal(entry.inode(), os.stat(entry.path).st_ino, entry.path)


@test
def a_change_shows_below_now_too():
    image = images.raw()
    with Mount(image) as m:
        for size in (9 << 20, 3 << 30):
            os.truncate(image, size)
            name = ".now/measure/qcow2.json"
            text = good(Place.cat, image, "measure/qcow2.json")
            equal((m.size(name), m.read(name)), (len(text), text), "size and text")


@test
def a_look_that_waits_can_be_interrupted():
    with Mount(images.slow()) as m:
        looker = start("stat", m.path(f".now/{COLD}"))
        pid = m.stop_job()
        looker.terminate()
        finish(looker)
        wait_until(lambda: state(pid) is None, "the job is killed")
        equal(m.read("virtual_size").strip().isdigit(), True, "the mount answers")


@test
def a_look_does_not_wait_for_another():
    with Mount(images.slow()) as m:
        known = m.read("virtual_size")
        looker = start("stat", m.path(".now/allocated_size"))
        m.stop_job()
        equal(good("cat", m.path(".now/virtual_size")), known, "another file of the directory")
        looker.terminate()
        finish(looker)


@test
def what_fails_is_there_and_says_so_when_it_is_opened():
    image = images.qcow2()
    with open(image, "r+b") as file:
        file.seek(40)
        file.write((1 << 40 | 1).to_bytes(8, "big"))  # l1_table_offset
    with Mount(image) as m:
        equal(m.size(f".now/{COLD}"), 0, "size")
        fails(errno.EUCLEAN, lambda: m.read(f".now/{COLD}"), "reading")


# Commands: $D is what to archive below .now, $O an empty directory, in which the files then are.
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


@test_each("archived at first try by", ARCHIVERS)
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
def names_that_are_not_there_are_asked_for_once():
    with Mount(images.qcow2()) as m:
        for name in (".hidden", "measure/.Trash", "nope,a=b"):
            before = requests(m)
            for _ in range(50):
                fails(errno.ENOENT, lambda name=name: os.stat(m.path(name)), name)
            check(requests(m) - before < 10, f"{name}: {requests(m) - before} requests")


@test
def the_kernel_keeps_texts_and_attributes_of_a_generation():
    """A file that was read is read again without one READ, and without a GETATTR."""
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
        # Of each: LOOKUP, OPEN and RELEASE, at most twice as many reads of the descriptor.
        check(requests(m) - before < 50 * 7, f"{requests(m) - before} requests")
