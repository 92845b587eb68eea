// SPDX-License-Identifier: Apache-2.0
/* When jobs are due without an event, and waiters that have waited too long. */
#include "deadlines.h"

#include <errno.h>

int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When a waiter of the job is dismissed; INT64_MAX: never. */
static int64_t patience_end(const struct jobs *jobs, const struct job *job, const struct waiter *w)
{
    int64_t first = w->glances ? job->heard + JOBS_GLANCE_MS : INT64_MAX;

    return jobs->config.patience_ms ? min_ms(first, w->since + jobs->config.patience_ms) : first;
}

int64_t job_deadline(const struct jobs *jobs, const struct job *job)
{
    int64_t first = job_overdue_at(job);

    if (job->left_at >= 0)
        first = job->left_at + JOBS_LINGER_MS;
    if (jobs->config.stall_ms && (job->id || job_is_held_up(jobs, job)))
        first = min_ms(first, job->heard + jobs->config.stall_ms);
    for (const struct waiter *w = job->waiters; w; w = w->next)
        first = min_ms(first, patience_end(jobs, job, w));
    return first;
}

void job_dismiss_impatient(struct jobs *jobs, struct job *job, int64_t now)
{
    struct waiter **link = &job->waiters;

    while (*link) {
        struct waiter *w = *link;
        bool glances = w->glances && now - job->heard >= JOBS_GLANCE_MS;

        if (now < patience_end(jobs, job, w)) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        jobs_dismiss(jobs, w, glances ? -EAGAIN : -EINTR);
        if (!job->waiters) /* they may come back as long again */
            job->left_at = now + (glances ? JOBS_GLANCE_MS : jobs->config.patience_ms);
    }
}
