/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the files of one view: their texts, and how many entries numbered directories
 * have. */
#ifndef FS_TREE_RESULTS_H
#define FS_TREE_RESULTS_H

#include <stdint.h>

#include "nodes.h"

/* The text of a file, or the error that opening it says. Shared by all who show it. */
struct result {
    unsigned references;
    int error;       /* 0 or -errno */
    uint64_t number; /* of a file that is one number */
    size_t length;
    char bytes[];
};

/* A new result with one reference; NULL: out of memory. */
struct result *result_new(int error, const void *bytes, size_t length, uint64_t number);
struct result *result_hold(struct result *result);
/* Gives a reference back. NULL is allowed. */
void result_drop(struct result *result);

/* Those of one node by number, which most have only 0 of. */
struct result_list {
    struct result **items;
    uint32_t count, room;
};

struct results {
    struct result_list *lists; /* by node; NULL: nothing is known */
    size_t bytes;              /* of all texts, and what keeping them takes */
};

/* What keeping a text of that length takes, of bytes. */
size_t result_bytes(size_t length);

/* The result of a file, which stays here; NULL: not known. The place's view is not looked at. */
struct result *results_get(const struct results *results, const struct place *place);

/* Keeps the result, which becomes theirs, in place of what was known. 0, -ENOMEM, or -EPROTO: its
 * number is none that a place can have. */
int results_put(struct results *results, const struct place *place, struct result *result);

/* The entries of a numbered directory, 0 if not known. */
uint32_t results_count(const struct results *results, const struct node *directory);
/* 0, -ENOMEM or -EPROTO. */
int results_set_count(struct results *results, const struct place *directory, uint32_t count);

/* Moves all that is known to other results, in place of what these know of the same places; but an
 * error takes the place of nothing: what was read once is known, whoever fails to read it again. 0
 * or -ENOMEM. */
int results_move(struct results *to, struct results *from);

/* Forgets what is known of files with options whose set is none any more. */
struct option_sets;
void results_forget_sets(struct results *results, const struct option_sets *sets);

/* Forgets what is known of a node, or of all. */
void results_forget_node(struct results *results, const struct node *node);
void results_forget(struct results *results);

#endif
