/* SPDX-License-Identifier: Apache-2.0 */
/* When jobs are due without an event, and waiters that have waited too long. Times are ms. */
#ifndef FS_JOBS_DEADLINES_H
#define FS_JOBS_DEADLINES_H

#include "list.h"

int64_t min_ms(int64_t a, int64_t b);

/* When something is due for a job without an event; INT64_MAX: never. */
int64_t job_deadline(const struct jobs *jobs, const struct job *job);

/* Dismisses waiters that have waited too long. They may come back for what the job finds. */
void job_dismiss_late(struct jobs *jobs, struct job *job, int64_t now);

#endif
