/* SPDX-License-Identifier: Apache-2.0 */
/* A job: a process that runs one pass over the image and ends. */
#ifndef FS_JOBS_JOB_H
#define FS_JOBS_JOB_H

#include "fs/sandbox/sandbox.h"
#include "fs/tree/passes.h"

/* What a job has to do, and how. */
struct job_order {
    struct task task;
    const struct option_set *set; /* of the task; NULL: none */
    const struct layers *layers;
    const struct open_options *options;
    struct sandbox_options sandbox;
    bool sends_references; /* of the image, if the task yields its headers */
    int out;               /* where it writes its frames (wire.h) to */
};

/*
 * Makes this process the job: it closes what it does not need, enters the sandbox, tells of it,
 * does its task (as task_run()) and ends, with status 0 if it has told all.
 */
_Noreturn void job_run(const struct job_order *order);

/* layers->fetch of a job: asks the opener on the socket that is layers->fetch_context. */
int job_fetch_part(const struct layers *layers, unsigned layer, size_t reference);

#endif
