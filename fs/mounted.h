/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image of a mount: its files, whether they have changed, and what is known of them. Parses
 * nothing and never blocks.
 */
#ifndef FS_MOUNTED_H
#define FS_MOUNTED_H

#include "fs/tree/views.h"
#include "watch.h"

enum {
    RECHECK_MS = 500,         /* the image's name is rechecked this often where it has to be */
    RECHECK_AGAIN_MS = 5000,  /* where the last recheck was not answered */
    RECHECK_ANSWER_MS = 1000, /* an answer takes no longer, unless storage hangs */
};

struct mounted {
    struct open_options open; /* of jobs */
    struct layers layers;
    struct watch watch;
    struct views views;
    uint64_t generation; /* from 1 on; the next when a file has changed */
    bool has_changed;    /* the kernel was not notified yet */
    bool is_away;        /* no file that may be opened has the image's name */
    bool is_rechecking;  /* the name, as no file had it; not answered yet */
    int64_t rechecked_at;
};

/* Begins with the layers that were granted. */
void mounted_begin(struct mounted *m);
void mounted_end(struct mounted *m);

/* The layer whose file a view shows. */
const struct layer *mounted_layer(const struct mounted *m, uint32_t view);

/* Whether one of its open files has changed; then a new generation has begun, and nothing is known
 * of it. */
bool mounted_has_changed(struct mounted *m);

/* Whether it is time to have the image's name rechecked. */
bool mounted_recheck_is_due(struct mounted *m);

/* Notes whether a recheck was asked for. */
void mounted_note_recheck(struct mounted *m, bool asked);

/* Whether a recheck after the image went away will be answered soon, unless storage hangs. */
bool mounted_is_rechecking(const struct mounted *m);

/*
 * Takes the answer to a recheck: status as of layers_recheck(), the file and its storage. The
 * descriptor is taken if it is one. Whether another file is the image now.
 */
bool mounted_take_recheck(struct mounted *m, int status, int fd, unsigned storage);

#endif
