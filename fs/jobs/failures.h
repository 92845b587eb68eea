/* SPDX-License-Identifier: Apache-2.0 */
/* Failed jobs: their lines in `problems`, and passes that are given up. */
#ifndef FS_JOBS_FAILURES_H
#define FS_JOBS_FAILURES_H

#include "list.h"

/* Reports why a job failed without a fault of its own. */
void job_report_failure(struct job *job, const char *words);

/* Reports why a job failed by its own fault, and counts it: after PASS_FAILURES_MAX failures within
 * PASS_FAILURES_MS the pass is given up until the image changes. */
void job_count_failure(struct job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a job whose process ended before its last frame, by its exit status. */
void job_count_end(struct job *job);

/* Whether the pass of a job is given up. */
bool job_is_given_up(const struct job *job);

#endif
