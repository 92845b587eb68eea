/* SPDX-License-Identifier: Apache-2.0 */
/* What connects a job with other processes: a pipe, which the front reads, and a socket to its
 * opener, which opens data files for it. */
#ifndef FS_JOBS_JOB_ENDS_H
#define FS_JOBS_JOB_ENDS_H

#include <stdbool.h>

#include "detect/files/layers.h"

/* The second descriptor of each pair is the job's. */
struct job_ends {
    int pipe[2];
    int socket[2]; /* -1: without */
};

/* Returns 0 or -errno; then nothing is open. */
int job_ends_open(struct job_ends *ends, bool with_socket);

/* Closes the descriptors of one side: which is 0, or 1 for the job's. */
void job_ends_close(const struct job_ends *ends, int which);

/* Opens the data files that a job requests on that socket, until the job is gone: only granted
 * ones. Requests are untrusted. */
void job_ends_serve_data_files(const struct layers *layers, int socket);

#endif
