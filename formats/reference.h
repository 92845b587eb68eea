/* SPDX-License-Identifier: Apache-2.0 */
/* References: other files that an image names. Granted files: those of them that may be read. */
#ifndef FORMATS_REFERENCE_H
#define FORMATS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    REFERENCES_MAX = 1 << 16, /* ours: of one image; each is shown as a directory */
};

enum reference_role {
    REFERENCE_BACKING, /* an image whose bytes show where this one has none */
    REFERENCE_DATA,    /* a file that holds bytes of this image itself */
    REFERENCE_OTHER,   /* a file that no guest byte comes from */
};

/* Something that an image names outside itself: data, which the headers tell. Never opened here. */
struct reference {
    enum reference_role role;
    const char *kind;   /* "backing file", "data file", "extent", "parent", "change tracking" */
    const char *source; /* the field, key or line that names it */
    const char *format; /* as the image tells it: what `qemu-img -f` takes, or not; NULL: it does
                           not tell */
    const char *path;   /* as it stands in the image, in UTF-8 where that has UTF-16; not terminated
                           and of any bytes; "": not told */
    size_t length;      /* of path */
    bool is_windows;    /* the path is one of Windows: parts are divided by backslashes */
};

/* The files that the references of an image lead to, as far as they were granted. */
struct granted {
    void *context;
    /* The number of a reference's file, less than the count of references: the same for two that
     * are the same file. 0; -EACCES: it is not granted; -ENOENT: it is, but could not be opened. */
    int (*find)(void *context, size_t reference, size_t *number);
    /* The file itself, of which takes_fd says whether it is to be closed by who asked. 0 or -errno.
     */
    int (*open)(void *context, size_t reference, int *fd, bool *takes_fd);
};

#endif
