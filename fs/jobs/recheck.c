// SPDX-License-Identifier: Apache-2.0
/* Rechecks of the image's name, and their waiters. */
#include "recheck.h"

#include "fs/tree/clock.h"

bool jobs_recheck(struct jobs *jobs)
{
    const struct wire_request r = {.kind = WIRE_RECHECK};

    jobs->recheck_until = now_ms() + JOBS_RECHECK_MS;
    return jobs->monitor >= 0 && wire_send(jobs->monitor, &r, sizeof r, -1) == 0;
}

void jobs_wait_recheck(struct jobs *jobs, struct waiter *waiter)
{
    waiter->since = now_ms();
    waiter->next = jobs->recheck_waiters;
    jobs->recheck_waiters = waiter;
}

bool recheck_leave(struct jobs *jobs, const struct waiter *waiter)
{
    struct waiter **link = &jobs->recheck_waiters;

    while (*link && *link != waiter)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = waiter->next;
    return true;
}

void recheck_end(struct jobs *jobs, int error)
{
    while (jobs->recheck_waiters) {
        struct waiter *w = jobs->recheck_waiters;

        jobs->recheck_waiters = w->next;
        jobs_dismiss(jobs, w, error);
    }
}

int64_t recheck_deadline(const struct jobs *jobs)
{
    int64_t first = INT64_MAX;

    for (const struct waiter *w = jobs->recheck_waiters; w; w = w->next)
        if (w->since + JOBS_RECHECK_MS < first)
            first = w->since + JOBS_RECHECK_MS;
    return first;
}
