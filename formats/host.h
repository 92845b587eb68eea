/* SPDX-License-Identifier: Apache-2.0 */
/* Data and holes of a file in the host file system. Internal to the reading session: drivers call
 * image_host_range(). */
#ifndef FORMATS_HOST_H
#define FORMATS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { HOST_EXTENTS = 256 };

/* unwritten: preallocated, and perhaps never written. */
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
    size_t count, next; /* next: where the search for a later offset begins */
    struct host_extent list[HOST_EXTENTS];
};

/* fstat(2). Calls SYS_fstat directly: libc may use newfstatat, which takes paths and which the
 * sandbox blocks. Returns 0 or -errno. */
int host_stat(int fd, struct stat *st);

void host_begin(struct host *host, int fd, uint64_t size);

/* As image_host_range(), but reports nothing. */
int host_range(struct host *host, uint64_t offset, bool *data, uint64_t *end);

/* Bytes of the file that are holes; 0 if the file system does not report them. */
uint64_t host_holes(struct host *host);

#endif
