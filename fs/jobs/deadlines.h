/* SPDX-License-Identifier: Apache-2.0 */
/* When jobs and their waiters are due without an event. Times are ms. */
#ifndef FS_JOBS_DEADLINES_H
#define FS_JOBS_DEADLINES_H

#include "list.h"

int64_t min_ms(int64_t a, int64_t b);

/* When something is due for the job or one of its waiters; INT64_MAX: never. */
int64_t job_deadline(const struct jobs *jobs, const struct job *job);

/* Dismisses waiters that have waited too long. The job goes on, as they may come back for its
 * results.
 */
void job_dismiss_late(struct jobs *jobs, struct job *job, int64_t now);

#endif
