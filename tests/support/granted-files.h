/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are granted to a disk under test, by the numbers of its references. */
#ifndef TESTS_SUPPORT_GRANTED_FILES_H
#define TESTS_SUPPORT_GRANTED_FILES_H

#include <errno.h>
#include <unistd.h>

#include "support.h"

enum { GRANTED_MAX = 32768 };

static struct granted_files {
    struct granted_file {
        int fd;        /* -1: not granted */
        bool is_own;   /* to be closed */
        size_t number; /* the first reference that is the same file */
        int error;     /* of opening it */
    } file[GRANTED_MAX];
    size_t count;    /* up to the last that was granted */
    unsigned opened; /* how often a file was */
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

/* Nothing is granted any more. */
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

/* The reference is this file, which is then not the caller's any more. */
static inline void grant(size_t reference, int fd)
{
    *granted_file(reference) = (struct granted_file){.fd = fd, .is_own = true, .number = reference};
}

/* The reference is the same file as another that was granted. */
static inline void grant_same(size_t reference, size_t other)
{
    *granted_file(reference) = granted_files.file[other];
    granted_files.file[reference].is_own = false;
}

/* The reference is another file, with the same bytes. */
static inline void grant_copy(size_t reference, size_t other)
{
    grant_same(reference, other);
    granted_files.file[reference].number = reference;
}

/* What cannot be opened, although it is granted. */
static inline void grant_broken(size_t reference, int error)
{
    *granted_file(reference) = (struct granted_file){.fd = 0, .number = reference, .error = error};
}

/* The file of a sample, whose bytes are written, for grant(). */
static inline int sample_take(struct sample *sample)
{
    int fd = sample->fd;

    image_close(sample->img);
    *sample = (struct sample){.fd = -1};
    return fd;
}

#endif
