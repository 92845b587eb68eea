/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image without a mount: nodes are computed in this process, when they are asked
 * for. */
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
    char *options;           /* status/options */
    struct bar *bar;         /* shows how far a pass is; NULL: nothing does */
    struct option_sets sets; /* of places that were asked for by option_sets_path() */
    struct views views;
};

/*
 * Opens the image at path and what the policy grants of it. Returns 0 or -errno (EISDIR, ENODEV:
 * not a regular file or block device). options: NULL is none; what of them has to be ended becomes
 * the cat's.
 */
int cat_begin(struct cat *cat, const char *path, const struct image_options *options);
void cat_end(struct cat *cat);

/*
 * The text of a file, computed now if need be; it stays the cat's, until it is asked for again.
 * Returns 0; -ENOENT: it does not apply, or is a directory; or the -errno that reading the file in
 * a mount says. Then the view's problems have the words.
 */
int cat_file(struct cat *cat, const struct place *place, const struct result **result);

/* The lines about what is wrong that the view of a place has so far. */
const struct text *cat_problems(const struct cat *cat, const struct place *place);

/*
 * Writes every file that applies: a line "== PATH", then its text or a line "error: ERRNO"; of
 * layers alone only where there are several. Passes are run first, so that problems and status tell
 * of them. Returns 0 or -errno (ENOMEM, EIO).
 */
int cat_all(struct cat *cat, FILE *out);

#endif
