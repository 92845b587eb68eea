/* SPDX-License-Identifier: Apache-2.0 */
/* What the program knows without reading a byte of the image: all that a show function uses. */
#ifndef FS_TREE_STATUS_H
#define FS_TREE_STATUS_H

#include <stdint.h>

#include "text.h"

struct status {
    const char *image;           /* absolute path */
    const char *options;         /* as -o takes them */
    const struct text *problems; /* lines of all passes so far */
    uint64_t generation;
    uint64_t file_size, disk_size; /* bytes */
    uint64_t bytes_read;           /* of the image, by all passes so far */
    int fd; /* of the image; -1: its file system may hang and must not be asked */

    /* Add lines about the processes of the mount; NULL: there is no mount. */
    const void *mount;
    void (*add_progress)(const void *mount, struct text *text);
    void (*add_jobs)(const void *mount, struct text *text);
    void (*add_passes)(const void *mount, struct text *text);
    void (*add_sandbox)(const void *mount, struct text *text);
};

#endif
