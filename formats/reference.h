/* SPDX-License-Identifier: Apache-2.0 */
/* References: other files that an image names. Granted files: those of them that may be read. */
#ifndef FORMATS_REFERENCE_H
#define FORMATS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

/* Of one image. A limit of ours: each reference is shown as a directory. */
enum { REFERENCES_MAX = 1 << 16 };

enum reference_role {
    REFERENCE_BACKING, /* the backing image or parent: its bytes show where this image has holes */
    REFERENCE_DATA,    /* an extent file or data file: holds bytes of this image itself */
    REFERENCE_OTHER,   /* holds no guest bytes */
};

/* A file that the headers of an image name. Drivers only list references; they open none. */
struct reference {
    enum reference_role role;
    const char *kind;   /* "backing file", "data file", "extent", "parent", "change tracking" */
    const char *source; /* the field, key or line that names it */
    const char
        *format;      /* as the image has it, so perhaps not a format of qemu's; NULL: none given */
    const char *path; /* as the image has it, UTF-16 converted to UTF-8; any bytes, not
                         terminated; "": none given */
    size_t length;    /* of path */
    bool is_windows;  /* a path of Windows: backslashes separate its components */
};

/* The files of the references of an image, as far as they are granted. */
struct granted {
    void *context;
    /* Sets *number to the number of a reference's file, less than the count of references; two
     * references to the same file have the same number. Returns 0; -EACCES: not granted; -ENOENT:
     * granted, but it could not be opened. */
    int (*find)(void *context, size_t reference, size_t *number);
    /* Opens the file. *takes_fd: the caller must close it. Returns 0 or -errno. */
    int (*open)(void *context, size_t reference, int *fd, bool *takes_fd);
};

#endif
