/* SPDX-License-Identifier: Apache-2.0 */
/* The results of one view: texts or errors of its files, and the counts of its numbered
 * directories. */
#ifndef FS_TREE_RESULTS_H
#define FS_TREE_RESULTS_H

#include <stdint.h>

#include "nodes.h"

struct option_sets;

/* The text of a file, or the error with which opening it fails. Shared by all its readers. */
struct result {
    unsigned references;
    int error;       /* 0 or -errno */
    uint64_t number; /* the value, if the file is one number */
    size_t length;
    char bytes[];
};

/* A new result with one reference; NULL: out of memory. */
struct result *result_new(int error, const void *bytes, size_t length, uint64_t number);
/* Takes a reference. NULL is allowed. */
struct result *result_hold(struct result *result);
/* Gives a reference back; the last one frees the result. NULL is allowed. */
void result_drop(struct result *result);

/* The results of one node, by place_index(). */
struct result_list {
    struct result **items;
    uint32_t count, room;
};

struct results {
    struct result_list *lists; /* by node; NULL: nothing is known */
    size_t bytes;              /* of all results, by result_bytes() */
};

/* The memory, in bytes, that a result with a text of that length takes. */
size_t result_bytes(size_t length);

/* The result of a file, without a reference of the caller's; NULL: not known. The place's view is
 * ignored. */
struct result *results_get(const struct results *results, const struct place *place);

/* Stores a result, replaces the one before, and takes over the caller's reference, also when it
 * fails. Returns 0, -ENOMEM, or -EPROTO: no file can be at the place. */
int results_put(struct results *results, const struct place *place, struct result *result);

/* The number of entries of a numbered directory; 0 if not known. */
uint32_t results_count(const struct results *results, const struct node *directory);

/* Sets it. Returns 0, -ENOMEM, or -EPROTO: it has no numbered entries, or cannot have as many. */
int results_set_count(struct results *results, const struct place *directory, uint32_t count);

/* Moves all results, which replace those of the same places. But an error never replaces a known
 * result. Returns 0 or -ENOMEM. */
int results_move(struct results *to, struct results *from);

/* Forgets the results of files with options whose set no longer exists. */
void results_forget_sets(struct results *results, const struct option_sets *sets);

/* Forgets the results of a node, or all. */
void results_forget_node(struct results *results, const struct node *node);
void results_forget(struct results *results);

#endif
