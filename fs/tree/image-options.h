/* SPDX-License-Identifier: Apache-2.0 */
/* How an image is to be taken, and what it may lead to: the options that mount.instar and
 * instar-cat have in common. */
#ifndef FS_TREE_IMAGE_OPTIONS_H
#define FS_TREE_IMAGE_OPTIONS_H

#include "detect/files/policy.h"

struct image_options {
    struct open_options open;
    struct policy policy;
};

/* Takes one option. 1; 0: it is none of these; -EINVAL: why says what is wrong with it. */
int image_options_take(struct image_options *options, const char *option, struct reason *why);

/* Takes several, with commas between them; a comma with a backslash before it is one of a path. As
 * image_options_take(). */
int image_options_take_list(struct image_options *options, const char *list, struct reason *why);

void image_options_end(struct image_options *options);

/* The options in force as -o takes them, "ro" first; to be freed. NULL: out of memory. */
char *image_options_describe(const struct open_options *open, const struct policy *policy);

#endif
