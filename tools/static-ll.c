// SPDX-License-Identifier: Apache-2.0
/*
 * static-ll DIR: a minimal file system of constant texts, on the low-level interface of libfuse 3,
 * with one thread: a directory with as many files as measure/. The kernel may cache the same as for
 * mount.instar, texts and attributes but not names. tools/bench compares both.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve-ll.h"

enum { DIRECTORY_INO = 2, FILE_INO, FILES = 20 };

#define FOR_LONG 3600.0

static const char directory[] = "measure";
static const char text[] = "required size: 1769472\nfully allocated size: 67502080\n";

static struct stat stat_of(fuse_ino_t ino)
{
    struct stat st = {.st_ino = ino, .st_mode = S_IFDIR | 0555, .st_nlink = 2};

    if (ino >= FILE_INO) {
        st.st_mode = S_IFREG | 0444;
        st.st_nlink = 1;
        st.st_size = sizeof text - 1;
        st.st_blocks = 1;
    }
    return st;
}

static void name_of(unsigned number, char *name, size_t size)
{
    snprintf(name, size, "file%u", number);
}

static void static_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {.attr_timeout = FOR_LONG};
    char known[32];

    if (parent == FUSE_ROOT_ID && strcmp(name, directory) == 0) {
        entry.ino = DIRECTORY_INO;
        entry.entry_timeout = FOR_LONG;
    }
    for (unsigned i = 0; parent == DIRECTORY_INO && i < FILES && !entry.ino; i++) {
        name_of(i, known, sizeof known);
        if (strcmp(name, known) == 0)
            entry.ino = FILE_INO + i;
    }
    if (!entry.ino) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    entry.attr = stat_of(entry.ino);
    fuse_reply_entry(req, &entry);
}

static void static_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = stat_of(ino);

    (void)fi;
    fuse_reply_attr(req, &st, FOR_LONG);
}

static void static_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fuse_reply_open(req, fi);
}

static void static_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    char *buffer = malloc(size), name[32];
    size_t used = 0;

    (void)fi;
    for (unsigned i = (unsigned)offset; buffer && ino == DIRECTORY_INO && i < FILES; i++) {
        struct stat st = stat_of(FILE_INO + i);
        size_t length;

        name_of(i, name, sizeof name);
        length = fuse_add_direntry(req, buffer + used, size - used, name, &st, (off_t)i + 1);
        if (length > size - used)
            break;
        used += length;
    }
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}

static void static_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}

static void static_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                        struct fuse_file_info *fi)
{
    size_t start = (size_t)offset < sizeof text - 1 ? (size_t)offset : sizeof text - 1;
    size_t rest = sizeof text - 1 - start;

    (void)ino;
    (void)fi;
    fuse_reply_buf(req, text + start, rest < size ? rest : size);
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = static_lookup,
    .getattr = static_getattr,
    .opendir = static_opendir,
    .readdir = static_readdir,
    .open = static_open,
    .read = static_read,
};

int main(int argc, char **argv)
{
    return serve_ll(argc, argv, &operations);
}
