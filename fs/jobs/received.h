/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the frames of a job into results. */
#ifndef FS_JOBS_RECEIVED_H
#define FS_JOBS_RECEIVED_H

#include "list.h"

/* Takes one whole frame. Returns 0; 1 if it was the last; -EPROTO: it is invalid; -EFBIG: the job's
 * files exceed bytes_limit; -ENOMEM. */
int job_take_frame(struct job *job, const struct wire_frame *frame, const char *bytes);

/* Takes all whole frames that were received, up to the last. Returns as job_take_frame(). */
int job_take_frames(struct job *job);

/* Whether every file was received that a waiter of the job needs. */
bool job_has_results(const struct job *job);

/* Moves the job's results, problems and cost to its view. Returns 0 or -ENOMEM. */
int job_publish(struct job *job);

#endif
