/* SPDX-License-Identifier: Apache-2.0 */
/* The options about images that mount.instar and instar-cat have in common: how to open an image,
 * and which references to grant. */
#ifndef FS_TREE_IMAGE_OPTIONS_H
#define FS_TREE_IMAGE_OPTIONS_H

#include "detect/files/policy.h"

struct image_options {
    struct open_options open;
    struct policy policy;
};

/* Parses one option. Returns 1; 0: not an option of these; -EINVAL, with a message in why; or
 * -ENOMEM. */
int image_options_take(struct image_options *options, const char *option, struct reason *why);

/*
 * Parses a list of options, separated by commas. As in mount(8)'s, a backslash makes the character
 * after it part of the option, and \ooo (three octal digits) is a byte. As image_options_take(),
 * but with a message in why also for an unknown option (0).
 */
int image_options_take_list(struct image_options *options, const char *list, struct reason *why);

void image_options_end(struct image_options *options);

/* The options in force in the syntax of -o, "ro" first. The caller frees it. NULL: out of memory.
 */
char *image_options_describe(const struct open_options *open, const struct policy *policy);

#endif
