/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of the views of an image. An entry is allocated when its view is first used; one
 * that nothing holds can be evicted, and is computed again when it is used again.
 */
#ifndef FS_TREE_VIEWS_H
#define FS_TREE_VIEWS_H

#include "passes.h"
#include "results.h"

/* The jobs of a pass may fail this often in a time; then the pass is given up until the image
 * changes. */
enum { PASS_FAILURES_MAX = 3, PASS_FAILURES_MS = 60000 };

/* What the jobs of a pass cost that ended well. */
struct pass_cost {
    uint64_t runs, bytes, reads;
    int64_t ms;
};

/* When jobs of a pass failed. */
struct pass_failures {
    int64_t at[PASS_FAILURES_MAX]; /* ms, the latest first; 0: there were fewer */
    bool given_up;
};

struct view {
    uint32_t name; /* view.h */
    struct results results;
    struct text problems; /* lines of all its jobs, each once */
    struct pass_cost costs[PASSES];
    struct pass_failures failures[PASSES][2]; /* without options, with options */

    unsigned holds;     /* jobs that have a pointer to it */
    unsigned running;   /* jobs that were started and are not over */
    unsigned processes; /* of jobs that were started, and may not have ended */
    unsigned slots;     /* that its jobs take */
    uint64_t used;      /* when it was last looked up, by views->clock */
};

struct views {
    struct view **items; /* by name, ascending */
    size_t count, room;
    unsigned sharers; /* views that share memory and slots: the whole image and its layers */
    uint64_t clock;
};

/* The entry of a view, NULL if it was not used yet, or was evicted. */
struct view *views_find(const struct views *views, uint32_t name);

/* The same; allocates it on first use, and evicts others if there are more than VIEWS_KEPT. NULL:
 * out of memory. */
struct view *views_get(struct views *views, uint32_t name);

/* Whether the file at a place is known, or needs no pass. */
bool views_know(const struct views *views, const struct place *place);

/* What is known of a place. It stays the view's. NULL: not known. */
struct result *views_result(const struct views *views, const struct place *place);

/* Forgets what is known of all views, as the image has changed. */
void views_forget(struct views *views);

/* Frees all entries; nothing may hold one. */
void views_end(struct views *views);

/* Adds lines about what is wrong, each once, unless there would be more than most bytes of them. */
void view_add_problems(struct view *view, const struct text *lines, size_t most);

/* Forgets the files that a task yields. */
void view_forget_task(struct view *view, const struct task *task);

/* Bytes that the jobs of a view have read. */
uint64_t view_bytes_read(const struct view *view);

#endif
