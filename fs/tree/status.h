/* SPDX-License-Identifier: Apache-2.0 */
/* What is known without reading the image: the input of show functions (struct node). */
#ifndef FS_TREE_STATUS_H
#define FS_TREE_STATUS_H

#include <stdint.h>

#include "text.h"

struct status {
    const char *image;           /* absolute path */
    const char *options;         /* options in force, in the syntax of -o */
    const struct text *problems; /* of the view: lines of all passes so far */
    uint64_t generation;
    uint64_t file_size, disk_size; /* bytes */
    uint64_t bytes_read;           /* of the image, by all passes so far */
    int fd; /* of the image; -1: not available, since a system call on it may hang */

    /* Add lines about the mount's processes. NULL without a mount. */
    const void *mount;
    void (*add_progress)(const void *mount, struct text *text);
    void (*add_jobs)(const void *mount, struct text *text);
    void (*add_passes)(const void *mount, struct text *text);
    void (*add_sandbox)(const void *mount, struct text *text);
};

#endif
