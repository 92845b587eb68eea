/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image without a mount, for instar-cat: files are computed in this process, when
 * they are read. */
#ifndef FS_TREE_CAT_H
#define FS_TREE_CAT_H

#include <stdio.h>

#include "bar.h"
#include "image-options.h"
#include "option-sets.h"
#include "views.h"

struct cat {
    struct open_options open;
    struct layers layers;
    char *options;           /* the text of status/options */
    struct bar *bar;         /* shows the progress of passes; NULL: none */
    struct option_sets sets; /* for option_sets_path(), which makes places with options */
    struct views views;
};

/*
 * Opens the image at path and the references that the policy grants. Returns 0 or -errno (EISDIR,
 * ENODEV: not a regular file or block device). options: NULL: none; the cat takes over its policy,
 * and cat_end() ends it. Call cat_end() after an error, too.
 */
int cat_begin(struct cat *cat, const char *path, const struct image_options *options);
void cat_end(struct cat *cat);

/*
 * Sets *result to the text of a file, computed now if it is not known. The result is the cat's, and
 * valid until the same file is read again. Returns 0; -ENOENT: the file does not apply, or is a
 * directory; or the -errno with which opening the file in a mount fails. The reason is then a line
 * of cat_problems().
 */
int cat_file(struct cat *cat, const struct place *place, const struct result **result);

/* The problems of the place's view, as far as it has been examined. */
const struct text *cat_problems(const struct cat *cat, const struct place *place);

/*
 * Writes every file that applies: a line "== PATH", then its text or a line "error: ERRNO". Files
 * in layers/ follow if there are several layers. Files of passes come first, so that problems and
 * status/ cover all passes. Returns 0 or -EIO.
 */
int cat_all(struct cat *cat, FILE *out);

#endif
