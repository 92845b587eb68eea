/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a task: opens the image, runs passes, renders their files. Used by jobs and by instar-cat.
 */
#ifndef FS_TREE_RUN_H
#define FS_TREE_RUN_H

#include "formats/image.h"
#include "passes.h"

/* What a task reports besides its files. */
struct pass_report {
    char problems[IMAGE_PROBLEMS_MAX];
    uint64_t bytes_read, reads; /* from the image */
};

/*
 * Runs a task and passes the sink every file that it yields. options: those of the whole image;
 * set: the option set of the task, NULL: none. Errors of the image become errors of its files.
 * Returns 0, or -errno if the session cannot begin or the sink returned it.
 */
int task_run(const struct task *task, const struct option_set *set, const struct layers *layers,
             const struct open_options *options, const struct pass_sink *sink,
             struct pass_report *report);

/* As task_run(), with a pass that need not be a row of passes[]. */
int pass_run(const struct pass *pass, const struct task *task, const struct option_set *set,
             const struct layers *layers, const struct open_options *options,
             const struct pass_sink *sink, struct pass_report *report);

#endif
