// SPDX-License-Identifier: Apache-2.0
/* When jobs and their waiters are due without an event. */
#include "deadlines.h"

#include <errno.h>

int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When a waiter of the job is dismissed; INT64_MAX: never. */
static int64_t waiter_deadline(const struct jobs *jobs, const struct job *job,
                               const struct waiter *w)
{
    int64_t first = w->is_lookup ? job->received_at + JOBS_LOOKUP_MS : INT64_MAX;

    return jobs->config.patience_ms ? min_ms(first, w->since + jobs->config.patience_ms) : first;
}

int64_t job_deadline(const struct jobs *jobs, const struct job *job)
{
    int64_t first = job_overdue_at(job);

    if (job->left_at >= 0)
        first = job->left_at + JOBS_LINGER_MS;
    if (jobs->config.stall_ms && (job->id || job_is_held_up(jobs, job)))
        first = min_ms(first, job->received_at + jobs->config.stall_ms);
    for (const struct waiter *w = job->waiters; w; w = w->next)
        first = min_ms(first, waiter_deadline(jobs, job, w));
    return first;
}

void job_dismiss_late(struct jobs *jobs, struct job *job, int64_t now)
{
    struct waiter **link = &job->waiters;

    while (*link) {
        struct waiter *w = *link;
        bool is_lookup = w->is_lookup && now - job->received_at >= JOBS_LOOKUP_MS;

        if (now < waiter_deadline(jobs, job, w)) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        jobs_dismiss(jobs, w, is_lookup ? -EAGAIN : -EINTR);
        if (!job->waiters) /* the job stays as long again, for those that come back */
            job->left_at = now + (is_lookup ? JOBS_LOOKUP_MS : jobs->config.patience_ms);
    }
}
