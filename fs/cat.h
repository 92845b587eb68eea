/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image without a mount: nodes are computed in this process, when they are asked
 * for. */
#ifndef FS_CAT_H
#define FS_CAT_H

#include <limits.h>
#include <stdio.h>

#include "passes.h"

struct cat {
    int fd;
    struct open_options open;
    struct status status;
    char path[PATH_MAX];
    char options[64];
    struct text problems;
    bool *known; /* by node */
    int *errors;
    struct text *texts;
};

/* Opens the image at path. Returns 0 or -errno (EISDIR, ENODEV: not a regular file or block
 * device). options: NULL is none. */
int cat_begin(struct cat *cat, const char *path, const struct open_options *options);
void cat_end(struct cat *cat);

/*
 * The text of a node, computed now if need be; it stays the cat's, until it is asked for again.
 * Returns 0; -ENOENT: it does not apply, or is a directory; or the -errno that reading the file in
 * a mount says. Then cat->problems has the words.
 */
int cat_node(struct cat *cat, const struct node *node, const struct text **text);

/*
 * Writes every file that applies: a line "== PATH", then its text or a line "error: ERRNO". Passes
 * are run first, so that problems and status tell of them. Returns 0 or -errno (ENOMEM, EIO).
 */
int cat_all(struct cat *cat, FILE *out);

#endif
