/* SPDX-License-Identifier: Apache-2.0 */
/* A job: a process that runs one pass over the image and ends. */
#ifndef FS_JOBS_JOB_H
#define FS_JOBS_JOB_H

#include "fs/sandbox/sandbox.h"
#include "fs/tree/passes.h"

/* The task of a job, and how it runs. */
struct job_order {
    struct task task;
    const struct option_set *set; /* of the task; NULL: none */
    const struct layers *layers;
    const struct open_options *options;
    struct sandbox_options sandbox;
    bool sends_references; /* of the image, if the task yields its headers */
    int out;               /* the pipe for its frames (wire.h) */
};

/*
 * Makes this process the job: closes other descriptors, enters the sandbox, sends its state, runs
 * the task (task_run()) and exits, with status 0 if it has sent its last frame.
 */
_Noreturn void job_run(const struct job_order *order);

/* layers->fetch of a job: requests the file from its opener on socket layers->fetch_context. */
int job_fetch_data_file(const struct layers *layers, unsigned layer, size_t reference);

#endif
