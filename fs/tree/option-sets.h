/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options in the names of files: measure/TARGET,key=value,...[.json]. Such files are looked up,
 * never listed. Names whose options have the same meaning lead to the same file. Each different set
 * of options has a number.
 */
#ifndef FS_TREE_OPTION_SETS_H
#define FS_TREE_OPTION_SETS_H

#include "nodes.h"

enum { OPTION_NAME_BYTES = 256 }; /* of a file's name with its terminator: NAME_MAX + 1 */

/* Options of a target, for the target's files in one directory. */
struct option_set {
    const struct node *directory;
    const struct target *target; /* NULL: the number is free */
    struct target_options options;
    char *name; /* that was looked up first; NULL: not known */
};

struct option_sets {
    struct option_set *items; /* by number - 1 */
    uint32_t count, room;
};

/*
 * Finds a file with options by its name in a directory (place_in() finds the others), and the
 * number of its option set, which is added if it is new. Returns 0; -ENOENT: the name is not of
 * that form; with a message in why: -EINVAL or -ENOTSUP in qemu-img's words, -ENOSPC
 * (OPTION_SETS_MAX sets are in use), -ENOMEM.
 */
int option_sets_place(struct option_sets *sets, const struct place *directory, const char *name,
                      struct place *place, struct reason *why);

/* Finds a place by its path, with or without options. As option_sets_place(). */
int option_sets_path(struct option_sets *sets, const char *path, struct place *place,
                     struct reason *why);

/* Frees the sets that are not in use, and with them their numbers. */
void option_sets_reclaim(struct option_sets *sets, bool (*is_used)(void *context, uint32_t number),
                         void *context);

/* Whether there is a set with the number. */
bool option_sets_has(const struct option_sets *sets, uint32_t number);

/* The set with the number; 0: NULL, no options. */
const struct option_set *option_sets_get(const struct option_sets *sets, uint32_t number);

void option_sets_end(struct option_sets *sets);

#endif
