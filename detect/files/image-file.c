// SPDX-License-Identifier: Apache-2.0
/* Opening of image files. */
#include "image-file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "formats/host.h"
#include "formats/image.h"

const char image_file_no_path[] = "";

static int check_type(mode_t mode, bool block_devices)
{
    if (S_ISREG(mode) || (S_ISBLK(mode) && block_devices))
        return 0;
    if (S_ISDIR(mode))
        return -EISDIR;
    return S_ISBLK(mode) ? -ENOTBLK : -ENODEV;
}

/* Opens the file by its descriptor, not by its name, so that it is the file that was checked. */
static int open_checked(int o_path_fd, bool block_devices, struct stat *st)
{
    char link[64];
    int error, fd;

    if (fstat(o_path_fd, st) < 0)
        return -errno;
    error = check_type(st->st_mode, block_devices);
    if (error)
        return error;
    snprintf(link, sizeof link, "/proc/self/fd/%d", o_path_fd);
    fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    error = image_file_stat(fd, st);
    if (error < 0) {
        close(fd);
        return error;
    }
    return fd;
}

int image_file_reopen(int o_path_fd, bool block_devices, struct stat *st)
{
    int fd = open_checked(o_path_fd, block_devices, st);

    close(o_path_fd);
    return fd;
}

int image_file_open(const char *path, bool block_devices, struct stat *st)
{
    int fd = open(path, O_PATH | O_CLOEXEC);

    return fd < 0 ? -errno : image_file_reopen(fd, block_devices, st);
}

int image_file_stat(int fd, struct stat *st)
{
    int error = host_stat(fd, st);

    if (error)
        return error;
    if (S_ISBLK(st->st_mode))
        st->st_size = lseek(fd, 0, SEEK_END);
    return st->st_size < 0 ? -errno : 0;
}

static struct timespec time_of(struct statx_timestamp t)
{
    return (struct timespec){.tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec};
}

int image_file_known_stat(int fd, struct stat *st)
{
    struct statx known;

    if (statx(fd, image_file_no_path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS,
              &known) < 0)
        return -errno;
    *st = (struct stat){
        .st_dev = makedev(known.stx_dev_major, known.stx_dev_minor),
        .st_ino = known.stx_ino,
        .st_mode = known.stx_mode,
        .st_nlink = known.stx_nlink,
        .st_uid = known.stx_uid,
        .st_gid = known.stx_gid,
        .st_rdev = makedev(known.stx_rdev_major, known.stx_rdev_minor),
        .st_size = S_ISBLK(known.stx_mode) ? lseek(fd, 0, SEEK_END) : (off_t)known.stx_size,
        .st_blksize = known.stx_blksize,
        .st_blocks = (blkcnt_t)known.stx_blocks,
        .st_atim = time_of(known.stx_atime),
        .st_mtim = time_of(known.stx_mtime),
        .st_ctim = time_of(known.stx_ctime),
    };
    return st->st_size < 0 ? -errno : 0;
}

bool image_file_is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool image_file_has_changed(int fd, struct stat *st)
{
    struct stat now;

    if (image_file_known_stat(fd, &now) < 0 ||
        (now.st_size == st->st_size && is_same_time(now.st_mtim, st->st_mtim) &&
         is_same_time(now.st_ctim, st->st_ctim)))
        return false;
    *st = now;
    return true;
}

unsigned image_file_storage(int fd)
{
    static const long remote[] = {NFS_SUPER_MAGIC,  CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
                                  CEPH_SUPER_MAGIC, V9FS_MAGIC,       AFS_SUPER_MAGIC,
                                  CODA_SUPER_MAGIC};
    struct statfs st;

    if (fstatfs(fd, &st) < 0)
        return STORAGE_ANY;
    if (st.f_type == FUSE_SUPER_MAGIC)
        return STORAGE_REMOTE | STORAGE_ONE_USER;
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if (st.f_type == remote[i])
            return STORAGE_REMOTE;
    return 0;
}

const char *image_file_error(int error)
{
    switch (error) {
    case -EISDIR:
        return "it is a directory";
    case -ENOTBLK:
        return "it is a block device (-o blockdev allows it)";
    case -ENODEV:
        return "it is not a regular file";
    default:
        return strerror(-error);
    }
}

/* Whether another process has a lock on that byte. */
static bool is_locked(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

const char *image_file_use(int fd)
{
    /* qemu's RAW_LOCK_PERM_BASE, and BLK_PERM_CONSISTENT_READ, BLK_PERM_WRITE from there on. */
    enum { CONSISTENT_READ = 100, WRITE };

    if (is_locked(fd, WRITE))
        return "write";
    return is_locked(fd, CONSISTENT_READ) ? "read" : "no";
}
