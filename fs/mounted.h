/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image of a mount: its files, the check whether they have changed, and the known results.
 * Parses nothing and never blocks.
 */
#ifndef FS_MOUNTED_H
#define FS_MOUNTED_H

#include "fs/tree/views.h"
#include "watch.h"

enum {
    RECHECK_MS = 500,         /* interval of rechecks of the image's name, where they are needed */
    RECHECK_AGAIN_MS = 5000,  /* the same, after a recheck that was not answered */
    RECHECK_ANSWER_MS = 1000, /* an answer takes longer only if storage hangs */
};

struct mounted {
    struct open_options open; /* for jobs */
    struct layers layers;
    struct watch watch;
    struct views views;
    uint64_t generation;  /* from 1 on; incremented when a file has changed */
    bool has_changed;     /* since the kernel was notified last */
    bool is_away;         /* no file that may be opened has the image's name */
    bool is_rechecking;   /* a recheck after the image went away is not answered yet */
    int64_t rechecked_at; /* when the last recheck was due; ms */
};

/* Begins the first generation; m->layers are granted already. */
void mounted_begin(struct mounted *m);
void mounted_end(struct mounted *m);

/* The layer whose file a view shows. */
const struct layer *mounted_layer(const struct mounted *m, uint32_t view);

/* Checks the open files. If one has changed, begins a new generation, of which nothing is known,
 * and returns true. */
bool mounted_has_changed(struct mounted *m);

/* Whether the image's name must be rechecked now; if so, the next time is later. */
bool mounted_recheck_is_due(struct mounted *m);

/* Notes whether the recheck that was due could be requested. */
void mounted_note_recheck(struct mounted *m, bool is_requested);

/* Whether a recheck after the image went away is to be answered soon. */
bool mounted_is_rechecking(const struct mounted *m);

/*
 * Takes the answer to a recheck: the status of layers_recheck(), and the file and its storage. Owns
 * fd if it is one. Returns whether another file is the image now.
 */
bool mounted_take_recheck(struct mounted *m, int status, int fd, unsigned storage);

#endif
