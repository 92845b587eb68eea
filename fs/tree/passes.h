/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of passes: what is computed together, by one job. A new pass is a row in passes.c, its
 * function, and the rows of its files in table.c.
 */
#ifndef FS_TREE_PASSES_H
#define FS_TREE_PASSES_H

#include "findings.h"

struct pass {
    const char *name; /* in messages and status/ */

    /* Processor time for a job, unless -o cpu-limit is given: far more than images take that are
     * not made to take long. */
    unsigned cpu_seconds;

    bool takes_slot; /* counts among the concurrent jobs that are limited */

    /* Some of its files do not apply to every image, and a listing waits for it to leave them out.
     */
    bool shapes_listings;

    unsigned needs;       /* passes that run before it in the same job; earlier rows (PASS_BIT) */
    unsigned needs_whole; /* passes over the whole image that a pass over another view needs */
    unsigned yields;      /* passes whose files it yields, its own among them */
    unsigned joins;       /* a reader waits for a running job of these instead of starting one */

    /* The pass that computes this one's files when their names have options; PASS_NONE: itself. */
    enum pass_id with_options;

    /* Prepares the job's process before it enters the sandbox: memory, or libraries that only this
     * pass uses. 0 or -errno. NULL: nothing. */
    int (*prepare)(void);

    /* Finds what the pass is for, and sets its pointer in the findings. Runs also where the image
     * could not be opened. Errors stand in the findings. */
    void (*run)(struct findings *findings, const struct pass_sink *sink);
};

extern const struct pass passes[PASSES];

/* Whether it is a pass that jobs run. Takes any number, from whoever sent it. */
bool pass_exists(uint32_t pass);

/* The passes with everything that they need. */
unsigned passes_needed(unsigned set_of_passes);

/* What one job computes: a pass over a view for all files without options, or for the files of one
 * option set. */
struct task {
    uint32_t view;
    enum pass_id pass;
    uint32_t set; /* 0: none */
};

/* The task that computes the file at a place; PASS_NONE: none does. */
struct task place_task(const struct place *place);

bool task_is_same(const struct task *a, const struct task *b);

/* Whether the task may yield the file at a place. */
bool task_may_yield(const struct task *task, const struct place *place);

/* Whether the task yields the headers, and with them the counts of numbered directories. */
bool task_yields_headers(const struct task *task);

/* Whether the task counts among the concurrent jobs that are limited. */
bool task_takes_slot(const struct task *task);

#endif
