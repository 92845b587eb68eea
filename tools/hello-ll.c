// SPDX-License-Identifier: Apache-2.0
/*
 * hello-ll DIR: a minimal file system of one file, on the low-level interface of libfuse 3, with
 * one thread. tools/bench compares mount.instar with its time from the start to the first byte.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "serve-ll.h"

enum { HELLO_INO = 2 };

static const char name[] = "hello";
static const char text[] = "hello\n";

static struct stat stat_of(fuse_ino_t ino)
{
    struct stat st = {.st_ino = ino, .st_mode = S_IFDIR | 0555, .st_nlink = 2};

    if (ino == HELLO_INO) {
        st.st_mode = S_IFREG | 0444;
        st.st_nlink = 1;
        st.st_size = sizeof text - 1;
    }
    return st;
}

static void hello_lookup(fuse_req_t req, fuse_ino_t parent, const char *wanted)
{
    struct fuse_entry_param entry = {.ino = HELLO_INO, .attr_timeout = 1, .entry_timeout = 1};

    if (parent != FUSE_ROOT_ID || strcmp(wanted, name) != 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    entry.attr = stat_of(HELLO_INO);
    fuse_reply_entry(req, &entry);
}

static void hello_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = stat_of(ino);

    (void)fi;
    fuse_reply_attr(req, &st, 1);
}

static void hello_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                          struct fuse_file_info *fi)
{
    struct stat st = stat_of(HELLO_INO);
    char buffer[64];
    size_t n = 0;

    (void)fi;
    if (ino != FUSE_ROOT_ID) {
        fuse_reply_err(req, ENOTDIR);
        return;
    }
    if (offset == 0)
        n = fuse_add_direntry(req, buffer, sizeof buffer, name, &st, 1);
    fuse_reply_buf(req, buffer, n < size ? n : 0);
}

static void hello_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (ino == HELLO_INO)
        fuse_reply_open(req, fi);
    else
        fuse_reply_err(req, EISDIR);
}

static void hello_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    size_t start = (size_t)offset < sizeof text - 1 ? (size_t)offset : sizeof text - 1;
    size_t rest = sizeof text - 1 - start;

    (void)ino;
    (void)fi;
    fuse_reply_buf(req, text + start, rest < size ? rest : size);
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = hello_lookup,
    .getattr = hello_getattr,
    .readdir = hello_readdir,
    .open = hello_open,
    .read = hello_read,
};

int main(int argc, char **argv)
{
    return serve_ll(argc, argv, &operations);
}
