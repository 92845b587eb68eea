/* SPDX-License-Identifier: Apache-2.0 */
/* Failed jobs: what `problems` gets, and when a pass is given up. */
#ifndef FS_JOBS_FAILURES_H
#define FS_JOBS_FAILURES_H

#include "list.h"

/* Reports why a job failed through no act of its own. */
void job_report_failure(struct job *job, const char *words);

/* Reports why a job failed by what it did: too often, and its pass is given up. */
void job_count_failure(struct job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a job whose process ended before its last frame. */
void job_count_end(struct job *job);

/* Whether the pass of a job is given up. */
bool job_is_given_up(const struct job *job);

#endif
