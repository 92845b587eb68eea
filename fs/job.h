/* SPDX-License-Identifier: Apache-2.0 */
/* A job: a process that runs one pass over the image and ends. */
#ifndef FS_JOB_H
#define FS_JOB_H

#include "nodes.h"

/*
 * Runs the pass over a view of the layers, of which the image is taken as the options say, in a
 * process of its own, and writes its frames (wire.h) to fd. Returns the process's exit status.
 */
int job_run(enum pass pass, unsigned view, const struct layers *layers,
            const struct open_options *options, int fd);

/* layers->fetch of a job: asks the opener on the socket that is layers->fetch_context. */
int job_fetch_part(const struct layers *layers, unsigned layer, size_t reference);

#endif
