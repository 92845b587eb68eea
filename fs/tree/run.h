/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a task: opens the image, runs passes, renders their files. In a job, or without a mount. */
#ifndef FS_TREE_RUN_H
#define FS_TREE_RUN_H

#include "formats/image.h"
#include "passes.h"

/* What a task reports besides its files. */
struct pass_report {
    char problems[IMAGE_PROBLEMS_MAX];
    uint64_t bytes_read, reads;
};

/*
 * Runs a task over the layers, whose image is opened as the options of the whole image demand, and
 * passes the sink every file that it yields; set: of the task, NULL: none. What is wrong with the
 * image is in its files. Returns 0 or -errno (the session cannot begin, or the sink's).
 */
int task_run(const struct task *task, const struct option_set *set, const struct layers *layers,
             const struct open_options *options, const struct pass_sink *sink,
             struct pass_report *report);

/* The same with the row of a pass. */
int pass_run(const struct pass *pass, const struct task *task, const struct option_set *set,
             const struct layers *layers, const struct open_options *options,
             const struct pass_sink *sink, struct pass_report *report);

#endif
