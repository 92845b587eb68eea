/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of passes. A pass computes, in one job, the files that depend on the same bytes of the
 * image. passes.def has the rows.
 */
#ifndef FS_TREE_PASSES_H
#define FS_TREE_PASSES_H

#include "findings.h"

struct pass {
    const char *name; /* in messages and status/ */

    /* Limit of a job's processor time, unless -o cpu-limit is given. Only an image that was made to
     * be slow reaches it. */
    unsigned cpu_seconds;

    bool takes_slot; /* its jobs count towards the maximum of concurrent scans */

    /* Some of its files do not apply to every image: a listing waits for the pass, to leave them
     * out. */
    bool shapes_listings;

    /* Sets of passes (PASS_BIT). */
    unsigned needs;       /* run before it in the same job; earlier rows only */
    unsigned needs_whole; /* run over the whole image before it */
    unsigned yields;      /* their files are rendered from its findings; has its own bit */
    unsigned joins;       /* a running job of these is waited for, instead of starting its own */

    /* The pass that computes its files when their names have options; PASS_NONE: itself. */
    enum pass_id with_options;

    /* Prepares the job's process before it enters the sandbox: memory, or libraries that only this
     * pass uses. Returns 0 or -errno. NULL: nothing to do. */
    int (*prepare)(void);

    /* Sets the pass's pointer in the findings, to what it found or to its error. Called also if
     * the image could not be opened (open_error). NULL: not a pass. */
    void (*run)(struct findings *findings, const struct pass_sink *sink);
};

extern const struct pass passes[PASSES];

/* Their functions. */
#define PASS(name, function, ...)                                                                  \
    void function(struct findings *findings, const struct pass_sink *sink);
#include "passes.def"
#undef PASS

/* Whether the number is that of a pass that jobs run. It may come from an untrusted process. */
bool pass_exists(uint32_t pass);

/* The passes of a set, and all that these need. */
unsigned passes_needed(unsigned set_of_passes);

/* What one job computes: a pass over a view, for the files without options or for those of one
 * option set. */
struct task {
    uint32_t view;
    enum pass_id pass;
    uint32_t set; /* 0: no options */
};

/* The task that computes the file at a place; PASS_NONE: none does. */
struct task place_task(const struct place *place);

bool task_is_same(const struct task *a, const struct task *b);

/* Whether the task can yield the file at a place. The views are not compared. */
bool task_may_yield(const struct task *task, const struct place *place);

/* Whether the task yields the header pass's files and the counts of numbered directories. */
bool task_yields_headers(const struct task *task);

/* Whether the task counts towards the maximum of concurrent scans. */
bool task_takes_slot(const struct task *task);

#endif
