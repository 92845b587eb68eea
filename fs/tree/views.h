/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The views of an image that are in use, with their results. An entry is allocated when its view is
 * first used. An idle one can be evicted; its files are then computed again when they are needed.
 */
#ifndef FS_TREE_VIEWS_H
#define FS_TREE_VIEWS_H

#include "passes.h"
#include "results.h"

/* A pass whose jobs fail this often within this time is given up until the image changes. */
enum { PASS_FAILURES_MAX = 3, PASS_FAILURES_MS = 60000 };

/* The cost of a pass: the sum over its jobs that did not fail. */
struct pass_cost {
    uint64_t runs, bytes, reads;
    int64_t ms;
};

/* The latest failures of a pass's jobs. */
struct pass_failures {
    int64_t at[PASS_FAILURES_MAX]; /* ms (now_ms()), the latest first; 0: none */
    bool given_up;
};

struct view {
    uint32_t name; /* view.h */
    struct results results;
    struct text problems; /* lines of all its jobs, without duplicates */
    struct pass_cost costs[PASSES];
    struct pass_failures failures[PASSES][2]; /* without options, with options */

    unsigned holds;     /* pointers that jobs and processes have to it */
    unsigned running;   /* jobs that are running */
    unsigned processes; /* processes of jobs, also of finished ones, that have not been reaped */
    unsigned slots;     /* jobs that take a slot */
    uint64_t used;      /* views->clock at the last views_get() */
};

struct views {
    struct view **items; /* by name, ascending */
    size_t count, room;
    unsigned sharers; /* views that share memory and slots: the whole image and its layers */
    uint64_t clock;   /* counts calls of views_get() */
};

/* The entry of a view; NULL: not used yet, or evicted. */
struct view *views_find(const struct views *views, uint32_t name);

/* The entry of a view, allocated if there is none; idle ones are then evicted down to VIEWS_KEPT.
 * NULL: out of memory. */
struct view *views_get(struct views *views, uint32_t name);

/* Whether the result of a file is known, or it needs no pass. */
bool views_know(const struct views *views, const struct place *place);

/* The result of a file, owned by its view; NULL: not known. */
struct result *views_result(const struct views *views, const struct place *place);

/* Forgets the results, problems and failures of all views, since the image has changed. */
void views_forget(struct views *views);

/* Frees all entries. None may be held. */
void views_end(struct views *views);

/* Adds the lines that are new to the view's problems, or none if these could exceed most bytes. */
void view_add_problems(struct view *view, const struct text *lines, size_t most);

/* Forgets the results that a task can yield. */
void view_forget_task(struct view *view, const struct task *task);

/* Bytes of the image that the view's jobs have read. */
uint64_t view_bytes_read(const struct view *view);

#endif
