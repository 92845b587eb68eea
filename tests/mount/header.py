# SPDX-License-Identifier: Apache-2.0
"""header/ and content, and the options qemu= and format= of the image."""
import errno
import os
import struct
import zlib

import mount.images as images
from mount.harness import Mount, Place, check, equal, expected, fails, good, run, test, test_each
from mount.tree import listing

DISK = 8 << 20


def gpt_header(at, other, sector):
    """A GPT header (UEFI 2.10, 5.3.2) for sector number at, of a disk without partitions."""
    entries = zlib.crc32(bytes(128 * 128))
    fields = [b"EFI PART", 0x10000, 92, 0, 0, at, other, 34, DISK // sector - 34, bytes(range(16)), 2, 128, 128, entries]
    fields[3] = zlib.crc32(struct.pack("<8sIIIIQQQQ16sQIII", *fields))
    return struct.pack("<8sIIIIQQQQ16sQIII", *fields)


def gpt_disk(sector=512, name="gpt.raw"):
    """A raw image of a disk with an empty GPT: protective MBR, header, backup."""
    path = Place.new(name)
    last = DISK // sector - 1
    mbr = bytes(446) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, last) + bytes(48) + b"\x55\xaa"
    with open(path, "wb") as file:
        file.write(mbr)
        file.seek(sector)
        file.write(gpt_header(1, last, sector))
        file.seek(last * sector)
        file.write(gpt_header(last, 1, sector))
        file.truncate(DISK)
    return path


def entries(m, name):
    return sorted(os.listdir(m.path(name)))


@test
def a_qcow2_header_is_shown_field_by_field():
    image = images.create("qcow2", options="compat=1.1,cluster_size=4k,lazy_refcounts=on")
    with Mount(image) as m:
        raw = images.contents(image)
        found = entries(m, "header")
        for name, offset, width in images.QCOW2_FIELDS:
            check(name in found, f"header/{name} is listed")
            if not name.endswith("features"):
                number = int.from_bytes(raw[offset:offset + width], "big")
                equal(m.read(f"header/{name}"), f"{number}\n", name)
        equal(m.read("header/cluster_bits"), "12\n", "cluster_bits")
        check("lazy" in m.read("header/compatible_features"), "compatible_features", m.read("header/compatible_features"))
        equal(m.read("header/incompatible_features"), "none\n", "incompatible_features")


@test
def a_version_2_header_has_no_fields_of_version_3():
    with Mount(images.create("qcow2", options="compat=0.10")) as m:
        equal(m.read("header/version"), "2\n", "version")
        fails(errno.ENOENT, lambda: os.stat(m.path("header/header_length")), "header_length")
        check("header_length" not in entries(m, "header"), "header_length is not listed")


@test
def a_raw_image_has_an_empty_header():
    with Mount(images.raw()) as m:
        equal(entries(m, "header"), [], "header")
        for name in ("header/gpt", "header/mbr", "header/iso9660", "header/version", "header/gpt/MyLBA"):
            fails(errno.ENOENT, lambda name=name: os.stat(m.path(name)), name)
            fails(errno.ENOENT, lambda name=name: m.read(name), name)


@test_each("the GPT of a raw image is shown, with sectors of", [("512", 512), ("4096", 4096)])
def gpt(sector):
    image = gpt_disk(sector)
    last = DISK // sector - 1
    with Mount(image) as m:
        equal(entries(m, "header"), ["gpt", "gpt_backup", "mbr"], "header")
        equal(m.read("content"), "gpt\n", "content")
        equal(m.read("header/gpt/MyLBA"), "1\n", "MyLBA")
        equal(m.read("header/gpt/AlternateLBA"), f"{last}\n", "AlternateLBA")
        equal(m.read("header/gpt_backup/MyLBA"), f"{last}\n", "MyLBA of the backup")
        equal(m.read("header/gpt/DiskGUID"), "03020100-0504-0706-0809-0a0b0c0d0e0f\n", "DiskGUID")
        equal(m.read("header/mbr/partition1_type"), "238\n", "type of the protective partition")
        found = [name for name in expected(image) if name.startswith("header/")]
        equal(sorted("header/" + name for name in listing(m.path("header")) if name[-1] != "/"), sorted(found), "files")
        for name, text in expected(image).items():
            if name.startswith("header/"):
                equal(m.read(name), text, name)


@test
def header_directories_of_other_images_do_not_exist_in_a_new_mount():
    for image in (images.raw(), images.qcow2(), images.fixed_vhd()):
        with Mount(image) as m:
            fails(errno.ENOENT, lambda m=m: os.stat(m.path("header/gpt")), f"{os.path.basename(image)}: header/gpt")
        with Mount(image) as m:
            fails(errno.ENOENT, lambda m=m: os.listdir(m.path("header/gpt_backup")), "header/gpt_backup")
    with Mount(gpt_disk()) as m:
        equal(m.size("header/gpt/Signature"), len("EFI PART\n"), "size of header/gpt/Signature at the first stat")


@test
def content_is_computed_by_open_and_not_by_stat():
    with Mount(gpt_disk()) as m:
        m.read("format")
        read, jobs = m.bytes_read(), m.settle()
        equal(m.size("content"), 0, "size before the first open")
        good("ls", "-l", m.path())
        equal((m.bytes_read(), m.settle()), (read, jobs), "bytes read and jobs")
        equal(m.read("content"), "gpt\n", "content")
        equal(m.size("content"), len("gpt\n"), "size")
        check(m.bytes_read() > read, "the disk was read")


@test
def content_of_a_file_that_is_not_granted_is_an_error():
    with Mount(images.overlay("/nowhere/base.raw")) as m:
        fails(errno.EACCES, lambda: m.read("content"), "content")
        check("not granted" in m.read("problems"), "problems", m.read("problems"))
        fails(errno.ENOENT, lambda: os.stat(m.path("header/gpt")), "header/gpt")
        equal(m.read("header/version"), "3\n", "header/version")


@test
def header_follows_the_image():
    image = Place.new("changing.img")
    good("cp", images.create("qcow2"), image)
    with Mount(image) as m:
        equal(m.read("header/version"), "3\n", "qcow2: version")
        handle = os.open(m.path("header/version"), os.O_RDONLY)
        for source, wanted in ((images.raw(), []), (gpt_disk(), ["gpt", "gpt_backup", "mbr"]), (images.raw(), [])):
            with open(image, "r+b") as file:
                file.truncate(0)
                file.write(images.contents(source))
            equal(entries(m, "header"), wanted, "header")
            fails(errno.ENOENT, lambda: m.read("header/version"), "header/version")
            if wanted:
                equal(m.read("header/gpt/MyLBA"), "1\n", "header/gpt/MyLBA")
            else:
                fails(errno.ENOENT, lambda: m.read("header/gpt/MyLBA"), "header/gpt/MyLBA")
                fails(errno.ENOENT, lambda: os.listdir(m.path("header/gpt")), "header/gpt")
        with open(image, "r+b") as file:
            file.truncate(0)
            file.write(images.contents(images.create("qcow2", options="compat=0.10")))
        equal(m.read("header/version"), "2\n", "header/version of another qcow2 image")
        equal(os.pread(handle, 10, 0), b"3\n", "header/version that was opened before")
        os.close(handle)


@test
def header_of_a_damaged_image_has_the_stored_values():
    with open(images.create("qcow2"), "r+b") as file:
        file.seek(20)
        file.write(struct.pack(">I", 77))
        file.flush()
        with Mount(file.name) as m:
            equal(m.read("header/cluster_bits"), "77\n", "cluster_bits")
            fails(errno.EUCLEAN, lambda: m.read("virtual_size"), "virtual_size")
            fails(errno.EUCLEAN, lambda: m.read("content"), "content")


@test
def df_counts_the_files_that_exist():
    with Mount(images.raw()) as m:
        listing(m.path())
        equal(os.statvfs(m.path()).f_files, len(listing(m.path())) + 1, "files and directories")


@test
def numbers_follow_the_version_of_qemu():
    image = images.create("vhdx")
    with Mount(image, "-o", "qemu=7.2") as m:
        equal(m.read("status/options"), "ro,format=auto,qemu=7.2\n", "status/options")
        for name, text in expected(image, "-o", "qemu=7.2").items():
            if not name.startswith("status/"):
                equal(m.read(name), text, name)
    with Mount(images.raw(), "-o", "format=raw", "-o", "qemu=10.0") as m:
        equal(m.read("status/options"), "ro,format=raw,qemu=10.0\n", "status/options")


@test_each("a bad version is refused with one line:", [(v, v) for v in ("7", "7.2.1", "latest", "0.1", "7.x", "-7.2", "")])
def bad_version(version):
    directory = Place.new_directory()
    done = run(Place.program, images.raw(), directory, "-o", f"qemu={version}")
    equal((done.returncode, done.stdout), (1, ""), "status and output")
    equal(done.stderr, f"mount.instar: qemu={version} is not a version, such as 7.2\n", "standard error")
    done = run(Place.cat, "-o", f"qemu={version}", images.raw(), "format")
    equal((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), "instar-cat")
