/* SPDX-License-Identifier: Apache-2.0 */
/* What a job sends: from frames to results. */
#ifndef FS_JOBS_RECEIVED_H
#define FS_JOBS_RECEIVED_H

#include "list.h"

/* Takes one whole frame. 0; 1: it was the last; -EPROTO: it makes no sense; -EFBIG: no room for it;
 * -ENOMEM. */
int job_take_frame(struct job *job, const struct wire_frame *frame, const char *bytes);

/* Takes all whole frames that were received; as job_take_frame(). */
int job_take_frames(struct job *job);

/* Whether everything was received that the job's waiters need. */
bool job_has_results(const struct job *job);

/* Moves what the job found to its view. 0 or -ENOMEM. */
int job_publish(struct job *job);

#endif
