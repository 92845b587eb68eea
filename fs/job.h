/* SPDX-License-Identifier: Apache-2.0 */
/* A job: a process that runs one pass over the image and ends. */
#ifndef FS_JOB_H
#define FS_JOB_H

#include "nodes.h"

/*
 * Does a task, in a process of its own (as task_run()), and writes its frames (wire.h) to fd.
 * Returns the process's exit status.
 */
int job_run(const struct task *task, const struct option_set *set, const struct layers *layers,
            const struct open_options *options, int fd);

/* layers->fetch of a job: asks the opener on the socket that is layers->fetch_context. */
int job_fetch_part(const struct layers *layers, unsigned layer, size_t reference);

#endif
