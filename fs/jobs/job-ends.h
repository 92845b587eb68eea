/* SPDX-License-Identifier: Apache-2.0 */
/* What connects a job with the front, which reads its pipe, and with its opener, which opens the
 * parts that it asks for on a socket. */
#ifndef FS_JOBS_JOB_ENDS_H
#define FS_JOBS_JOB_ENDS_H

#include <stdbool.h>

#include "detect/files/layers.h"

/* The second of each pair is the job's. */
struct job_ends {
    int pipe[2];
    int socket[2]; /* -1: it needs none */
};

/* 0 or -errno: then nothing is open. */
int job_ends_open(struct job_ends *ends, bool with_socket);

/* Closes the ends number which, if they are open. */
void job_ends_close(const struct job_ends *ends, int which);

/* Opens the parts that a job asks for on that socket, until it is gone. It is told of none but
 * those that were granted, and what it asks is treated as hostile. */
void job_ends_serve_data_files(const struct layers *layers, int socket);

#endif
