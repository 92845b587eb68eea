/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options in the names of files, as measure/TARGET,key=value,...[.json]. Such files are looked up
 * and never listed; what is spelled differently and means the same is the same file.
 */
#ifndef FS_TREE_OPTION_SETS_H
#define FS_TREE_OPTION_SETS_H

#include "nodes.h"

enum { OPTION_NAME_BYTES = 256 }; /* no name in a directory is longer */

/* The options of a target, for its files in a directory. */
struct option_set {
    const struct node *directory;
    const struct target *target; /* NULL: the number is free */
    struct target_options options;
    char *name; /* of the file that was looked up first; NULL: not known */
};

struct option_sets {
    struct option_set *items; /* without a target: free */
    uint32_t count, room;
};

/*
 * What is called name in the directory, which place_in() did not find: a file with options; its
 * number is that of their set. 0; -ENOENT: it is no such name; or why says it, as qemu-img would:
 * -EINVAL, -ENOTSUP; -ENOSPC: there are OPTION_SETS_MAX others; -ENOMEM.
 */
int option_sets_place(struct option_sets *sets, const struct place *directory, const char *name,
                      struct place *place, struct reason *why);

/* The place with that path, with or without options. As option_sets_place(). */
int option_sets_path(struct option_sets *sets, const char *path, struct place *place,
                     struct reason *why);

/* Gives the numbers of all sets back, to be those of others, but of those that are in use. */
void option_sets_reclaim(struct option_sets *sets, bool (*is_used)(void *context, uint32_t number),
                         void *context);

/* Whether there is a set of that number. */
bool option_sets_has(const struct option_sets *sets, uint32_t number);

/* The set of that number; NULL for 0: no options. */
const struct option_set *option_sets_get(const struct option_sets *sets, uint32_t number);

void option_sets_end(struct option_sets *sets);

#endif
