# SPDX-License-Identifier: Apache-2.0
"""The tree: names, attributes, sizes; lookups start no scan; every tool reads the right bytes."""
import os
import stat

import mount.images as images
from mount.harness import PYTHON, Mount, Place, check, equal, expected, good, run, test, test_each

# The pass that computes a file: header, content, scan, data; "status": none. Files in header/ depend on the image's format.
TREE = {
    "format": "header",
    "subformat": "header",
    "virtual_size": "header",
    "content": "content",
    "file_size": "status",
    "disk_size": "status",
    "allocated_size": "scan",
    "candidates": "header",
    **{f"{directory}/{target}{suffix}": "header" for directory in ("measure", "convert_size")
       for suffix in ("", ".json") for target in ("raw", "luks")},
    **{f"{directory}/{target}{suffix}": kind for directory, kind in (("measure", "scan"), ("convert_size", "data"))
       for suffix in ("", ".json")
       for target in ("qcow2", "vmdk", "vpc", "vhdx", "vdi", "qed", "parallels", "qcow")},
    "problems": "status",
    "status/version": "status",
    "status/image": "status",
    "status/options": "status",
    "status/bytes_read": "status",
    "status/progress": "status",
    "status/jobs": "status",
    "status/passes": "status",
    "status/sandbox": "status",
    "status/generation": "status",
    "status/in_use": "status",
}
DIRECTORIES = ["", "measure", "convert_size", "status", "header", "references"]
REFERENCE = ("format", "kind", "path", "reason", "resolved", "source", "state")
OF_PROCESSES = ("status/jobs", "status/passes", "status/progress", "status/sandbox")  # not of instar-cat
SCANNED = [name for name, kind in TREE.items() if kind in ("scan", "data")]
COLD = "measure/qcow2.json"  # the file that the tools read: several lines, computed by a scan


def listing(directory):
    """All paths below a directory, directories with a slash at the end."""
    found = []
    for at, directories, files in os.walk(directory):
        below = os.path.relpath(at, directory) + "/"
        below = "" if below == "./" else below
        found += [below + d + "/" for d in directories] + [below + f for f in files]
    return sorted(found)


def names(image, without=()):
    """All paths of an image's tree."""
    header = [n for n in expected(image) if n.startswith("header/")]
    directories = DIRECTORIES + [os.path.dirname(n) for n in header]
    return sorted({d + "/" for d in directories if d} | {n for n in TREE if n not in without} | set(header))


@test
def tree_has_exactly_the_expected_names():
    listed = good(Place.cat, "-l").split()
    numbered = [f"references/N/{name}" for name in REFERENCE]
    equal(sorted(n for n in listed if not n.startswith("header/")), sorted([*TREE, *numbered]), "instar-cat -l")
    with Mount(images.fixed_vhd()) as m:
        equal(listing(m.path()), names(images.fixed_vhd()), "VHD")
    with Mount(images.raw()) as m:
        equal(listing(m.path()), names(images.raw(), without=["subformat"]), "raw")
        check(not os.path.exists(m.path("subformat")), "a raw image has no subformat")
        check(not os.path.exists(m.path("nonsense")), "nonsense does not exist")
        check(not os.path.exists(m.path("format/nonsense")), "a file has no entries")


@test
def tree_has_the_right_attributes():
    image = images.fixed_vhd()
    os.utime(image, ns=(10**18, 10**18 + 123456789))
    of_image = os.stat(image)
    with Mount(image) as m:
        numbers = set()
        for name in [d for d in DIRECTORIES] + list(TREE):
            st = os.stat(m.path(name))
            is_directory = name in DIRECTORIES
            equal(st.st_mode, stat.S_IFDIR | 0o555 if is_directory else stat.S_IFREG | 0o444, f"mode of {name}")
            equal(st.st_nlink, 2 if is_directory else 1, f"links of {name}")
            equal((st.st_uid, st.st_gid), (os.getuid(), os.getgid()), f"owner of {name}")
            equal(st.st_mtime_ns, of_image.st_mtime_ns, f"mtime of {name}")
            equal(st.st_blocks, -(-st.st_size // 512), f"blocks of {name}")
            numbers.add(st.st_ino)
        equal(len(numbers), len(TREE) + len(DIRECTORIES), "different inode numbers")
        for entry in os.scandir(m.path()):
            equal(entry.inode(), entry.stat().st_ino, f"inode number of {entry.name} when listed")


@test
def owner_and_modes_follow_options():
    with Mount(images.raw(), "-o", "uid=1234,gid=2345,umask=027") as m:
        st = os.stat(m.path("format"))
        equal((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (1234, 2345, 0o440), "format")
        equal(stat.S_IMODE(os.stat(m.path()).st_mode), 0o550, "root")
        equal(m.read("status/options"), "ro,format=auto,uid=1234,gid=2345,umask=027\n", "status/options")


@test
def sizes_of_header_files_are_right_at_the_first_stat():
    image = images.fixed_vhd()
    texts = expected(image)
    for name, kind in TREE.items():
        if kind == "header":
            with Mount(image) as m:
                equal(m.size(name), len(texts[name]), name)


@test
def files_have_the_text_of_instar_cat():
    for image in (images.fixed_vhd(), images.raw(), images.qcow2(), images.create("vhdx"), images.create("vmdk")):
        texts = expected(image)
        with Mount(image) as m:
            for name, text in texts.items():
                if name in OF_PROCESSES:
                    continue
                equal(m.read(name), text, f"{os.path.basename(image)}: {name}")
                equal(m.size(name), len(text), f"{os.path.basename(image)}: size of {name}")


@test
def files_of_a_fixed_vhd_have_the_numbers_of_qemu_img():
    image = images.fixed_vhd()
    with Mount(image) as m:
        equal(m.read("format"), "vpc\n", "format")
        equal(m.read("virtual_size"), f"{os.stat(image).st_size - 512}\n", "virtual_size")
        equal(m.read("file_size"), f"{os.stat(image).st_size}\n", "file_size")
        equal(m.read("disk_size"), f"{os.stat(image).st_blocks * 512}\n", "disk_size")
        for target in ("raw", "qcow2"):
            command = ("qemu-img", "measure", "-f", "vpc", "-O", target)
            equal(m.read(f"measure/{target}"), good(*command, image), target)
            equal(m.read(f"measure/{target}.json"), good(*command, "--output=json", image), f"{target}.json")


@test
def a_fixed_vhd_costs_one_read_for_its_footer():
    with Mount(images.fixed_vhd()) as m:
        equal(m.bytes_read(), 512 + 1024, "bytes read at the mount: the first sector and the end of the file")
        equal(m.read("format"), "vpc\n", "format")
        equal(m.bytes_read(), 512 + 1024, "bytes read after that")


@test
def df_shows_the_virtual_size():
    with Mount(images.raw(size=8 << 20)) as m:
        m.read("virtual_size")
        m.read("allocated_size")
        st = os.statvfs(m.path())
        equal(st.f_blocks * st.f_frsize, 8 << 20, "blocks")
        equal((st.f_blocks - st.f_bfree) * st.f_frsize, int(m.read("allocated_size")), "used")


LOOKING = [
    ("ls -lR", ["ls", "-lR"]),
    ("ls --color", ["ls", "-R", "--color=always"]),
    ("find -ls", ["find", "", "-ls"]),
    ("find -size", ["find", "", "-size", "+0"]),
    ("du", ["du", "-a"]),
    ("stat", ["sh", "-c", 'find "$0" -exec stat {} +']),
    ("test", ["sh", "-c", 'for f in "$0"/* "$0"/*/*; do test -r "$f" -a -e "$f" || exit 1; done']),
    ("busybox find", ["busybox", "find"]),
    ("python scandir", [PYTHON, "-c", "import os,sys\n"
                                      "for d,_,f in os.walk(sys.argv[1]): [os.stat(d+'/'+n) for n in f]"]),
]


@test_each("no scan is started by", LOOKING)
def looking(command):
    command = [part or None for part in command]
    with Mount(images.qcow2()) as m:
        m.read("content")
        read, jobs = m.bytes_read(), m.settle()
        command = [part or m.path() for part in command] + ([m.path()] if None not in command else [])
        good(*command)
        equal(m.jobs(), [], "jobs")
        equal(m.settle(), jobs, "page faults of jobs")
        equal(m.bytes_read(), read, "status/bytes_read")
        for name in SCANNED:
            equal(m.size(name), 0, f"size of {name}")


@test
def listing_a_new_mount_reads_headers_and_first_bytes_only():
    with Mount(images.slow()) as m:
        good("ls", "-l", m.path(), m.path("measure"), m.path("status"))
        m.settle()
        check(0 < m.bytes_read() <= 64 << 10, f"{m.bytes_read()} bytes were read")
        good("ls", "-lR", m.path())
        m.settle()
        check(m.bytes_read() <= 4 << 20, f"{m.bytes_read()} bytes were read: more than the tables for the first bytes")
        equal(m.size("measure/qcow2"), 0, "size of measure/qcow2")


# Commands: $F is the file, $D its directory, $E another file with the same bytes, $O an output file, $P Python.
TOOLS = [
    ("cat", 'cat "$F"'),
    ("cat of all", 'cat "$D"/*'),
    ("cp", 'cp "$F" "$O"'),
    ("cp -a", 'cp -a "$F" "$O"'),
    ("cp --sparse=always", 'cp --sparse=always "$F" "$O"'),
    ("cp --reflink=auto", 'cp --reflink=auto "$F" "$O"'),
    ("head -c", 'head -c 20 "$F"'),
    ("head -n", 'head -n 2 "$F"'),
    ("head -n -1", 'head -n -1 "$F"'),
    ("tail -c", 'tail -c 5 "$F"'),
    ("tail -c +3", 'tail -c +3 "$F"'),
    ("tail -n", 'tail -n 2 "$F"'),
    ("tac", 'tac "$F"'),
    ("wc -c", 'wc -c <"$F"'),
    # Its columns are as wide as the sizes of the first stat, which are 0.
    ("wc of all", 'cd "$D" && wc * | tr -s " "'),
    ("grep", 'grep required "$F"'),
    ("grep -r", 'grep -rh required "$D" | sort'),
    ("dd bs=1", 'dd if="$F" bs=1 status=none'),
    ("dd bs=512", 'dd if="$F" bs=512 status=none'),
    ("dd bs=1M", 'dd if="$F" bs=1M status=none'),
    ("dd skip", 'dd if="$F" bs=1 skip=10 status=none'),
    ("sort", 'sort "$F"'),
    ("cmp", 'cmp "$F" "$E"'),
    ("diff", 'diff "$F" "$E"'),
    ("sha256sum", 'sha256sum <"$F"'),
    ("od", 'od -c "$F"'),
    ("xxd", 'xxd "$F"'),
    ("xxd -s -8", 'xxd -s -8 "$F"'),
    ("sed", 'sed s/a/b/ "$F"'),
    ("awk", 'awk "{ print NR, \\$0 }" "$F"'),
    ("install", 'install "$F" "$O"'),
    ("base64", 'base64 "$F"'),
    ("gzip", 'gzip -c "$F" | gzip -dc'),
    ("shell read", 'while read -r line; do echo "$line"; done <"$F"'),
    ("busybox cat", 'busybox cat "$F"'),
    ("busybox cp", 'busybox cp "$F" "$O"'),
    ("busybox wc", 'busybox wc <"$F"'),
    ("busybox tail", 'busybox tail -n 2 "$F"'),
    ("python read", '"$P" -c "import sys; sys.stdout.write(open(sys.argv[1]).read())" "$F"'),
    ("python mmap", '"$P" -c "import mmap,sys; f=open(sys.argv[1],\'rb\'); '
                    'sys.stdout.buffer.write(mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)[:])" "$F"'),
    ("python sendfile", '"$P" -c "import os,sys; f=os.open(sys.argv[1],0); '
                        'o=os.open(sys.argv[2],os.O_CREAT|os.O_RDWR); print(os.sendfile(o,f,0,4096))" "$F" "$O"'),
    ("python splice", '"$P" -c "import os,sys; f=os.open(sys.argv[1],0); r,w=os.pipe(); '
                      'print(os.read(r,os.splice(f,w,4096)))" "$F"'),
    ("python copyfile", '"$P" -c "import shutil,sys; shutil.copyfile(*sys.argv[1:])" "$F" "$O"'),
    ("python copytree", '"$P" -c "import shutil,sys; shutil.copytree(*sys.argv[1:])" "$D" "$O" && cat "$O"/*'),
    ("python seek", '"$P" -c "import sys; print(open(sys.argv[1],\'rb\').seek(0,2))" "$F"'),
    ("python pread", '"$P" -c "import os,sys; f=os.open(sys.argv[1],0); '
                     'print(os.pread(f,10,os.fstat(f).st_size-10))" "$F"'),
    ("rsync after a read", 'head -c1 "$F" >/dev/null; rsync -a "$F" "$O"'),
    ("tar after a read", 'head -c1 "$F" >/dev/null; tar -C "$D" -cf - "${F##*/}" | tar -xOf -'),
]


class Reference:
    """The files of an image, copied to a directory."""

    image = directory = None

    @classmethod
    def make(cls):
        if cls.image:
            return
        cls.image = images.qcow2()
        cls.directory = Place.new_directory("plain")
        for name, text in expected(cls.image).items():
            path = os.path.join(cls.directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", newline="") as file:
                file.write(text)


def use(command, directory):
    """Runs a tool's command on the files below directory. Returns (status, standard output, output file, standard error)."""
    out = Place.new("out")
    path = os.path.join(directory, COLD)
    variables = {"F": path, "D": os.path.dirname(path), "E": os.path.join(Reference.directory, COLD), "O": out,
                 "P": PYTHON}
    done = run("sh", "-c", command, env={**os.environ, **variables})
    return done.returncode, done.stdout, images.contents(out) if os.path.isfile(out) else None, done.stderr


@test_each("a file that was never read has its bytes for", TOOLS)
def tools(command):
    Reference.make()
    wanted = use(command, Reference.directory)
    equal(wanted[0], 0, f"status on plain files ({wanted[3].strip()})")
    check(wanted[1] or wanted[2] or "cmp" in command or "diff" in command, "the command has no output on plain files")
    with Mount(Reference.image) as m:
        jobs = m.settle()
        equal(use(command, m.path()), wanted, "first")
        check(m.settle() != jobs, "no job ran: the file was already computed")
        equal(use(command, m.path()), wanted, "second")
