/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are granted to a disk under test, by index of its references. */
#ifndef TESTS_SUPPORT_GRANTED_FILES_H
#define TESTS_SUPPORT_GRANTED_FILES_H

#include <errno.h>
#include <unistd.h>

#include "support.h"

enum { GRANTED_MAX = 32768 };

static struct granted_files {
    struct granted_file {
        int fd;        /* -1: not granted */
        bool is_own;   /* closed by grant_nothing() */
        size_t number; /* of the first reference to the same file */
        int error;     /* with which it fails to open */
    } file[GRANTED_MAX];
    size_t count;    /* 1 + index of the last that was granted */
    unsigned opened; /* calls of granted_open() */
} granted_files;

static inline int granted_find(void *context, size_t reference, size_t *number)
{
    const struct granted_files *files = context;

    if (reference >= files->count || files->file[reference].fd < 0)
        return -EACCES;
    *number = files->file[reference].number;
    return 0;
}

static inline int granted_open(void *context, size_t reference, int *fd, bool *takes_fd)
{
    struct granted_files *files = context;
    const struct granted_file *file = &files->file[reference];

    files->opened++;
    if (file->error)
        return file->error;
    *fd = dup(file->fd);
    *takes_fd = true;
    return *fd < 0 ? -errno : 0;
}

static const struct granted granted = {&granted_files, granted_find, granted_open};

/* Takes all grants back. */
static inline void grant_nothing(void)
{
    for (size_t i = 0; i < granted_files.count; i++)
        if (granted_files.file[i].is_own)
            close(granted_files.file[i].fd);
    granted_files.count = 0;
    granted_files.opened = 0;
}

static inline struct granted_file *granted_file(size_t reference)
{
    assert_true(reference < GRANTED_MAX);
    while (granted_files.count <= reference)
        granted_files.file[granted_files.count++] = (struct granted_file){.fd = -1};
    return &granted_files.file[reference];
}

/* Grants this file to the reference; takes fd over. */
static inline void grant(size_t reference, int fd)
{
    *granted_file(reference) = (struct granted_file){.fd = fd, .is_own = true, .number = reference};
}

/* Grants to the reference the file of another one. */
static inline void grant_same(size_t reference, size_t other)
{
    *granted_file(reference) = granted_files.file[other];
    granted_files.file[reference].is_own = false;
}

/* Grants to the reference another file with the same bytes. */
static inline void grant_copy(size_t reference, size_t other)
{
    grant_same(reference, other);
    granted_files.file[reference].number = reference;
}

/* Grants a file that fails to open. */
static inline void grant_broken(size_t reference, int error)
{
    *granted_file(reference) = (struct granted_file){.fd = 0, .number = reference, .error = error};
}

/* Ends a sample and returns its file, for grant(). */
static inline int sample_take(struct sample *sample)
{
    int fd = sample->fd;

    image_close(sample->img);
    *sample = (struct sample){.fd = -1};
    return fd;
}

#endif
