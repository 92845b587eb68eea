/* SPDX-License-Identifier: Apache-2.0 */
/* What the host file system holds of a file: data and holes. Part of the reading session; drivers
 * use image_host_range(). */
#ifndef FORMATS_HOST_H
#define FORMATS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { HOST_EXTENTS = 256 };

/* Written data of the file, or a range preallocated and perhaps never written. */
struct host_extent {
    uint64_t start, end;
    bool unwritten;
};

struct host {
    int fd;
    uint64_t size;
    bool no_lists; /* the file system cannot list extents */

    /* The last answer. */
    uint64_t start, end;
    bool data;

    /* The file system's list for [list_start, list_end): what is in no extent is a hole. */
    uint64_t list_start, list_end;
    size_t count, next; /* next: the first extent that may end beyond the last question */
    struct host_extent list[HOST_EXTENTS];
};

/* fstat(2), by the system call of that name: C libraries take one that takes paths, too, which a
 * process that may open nothing does without. 0 or -errno. */
int host_stat(int fd, struct stat *st);

void host_begin(struct host *host, int fd, uint64_t size);

/* As image_host_range(), without words. */
int host_range(struct host *host, uint64_t offset, bool *data, uint64_t *end);

/* Bytes of the file that are holes; 0 if that cannot be told. */
uint64_t host_holes(struct host *host);

#endif
