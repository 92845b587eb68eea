// SPDX-License-Identifier: Apache-2.0
/* Those who wait until somebody has looked whether another file has the image's name. */
#include "fs/tree/clock.h"
#include "list.h"
#include "wire.h"

bool jobs_look(struct jobs *jobs)
{
    const struct wire_request r = {.kind = WIRE_LOOK};

    jobs->look_until = now_ms() + JOBS_LOOK_MS;
    return jobs->monitor >= 0 && wire_send(jobs->monitor, &r, sizeof r, -1) == 0;
}

void jobs_wait_look(struct jobs *jobs, struct waiter *waiter)
{
    waiter->since = now_ms();
    waiter->next = jobs->lookers;
    jobs->lookers = waiter;
}

bool lookers_leave(struct jobs *jobs, const struct waiter *waiter)
{
    struct waiter **link = &jobs->lookers;

    while (*link && *link != waiter)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = waiter->next;
    return true;
}

void lookers_resume(struct jobs *jobs, int error)
{
    struct waiter *waiters = jobs->lookers;

    jobs->lookers = NULL;
    waiters_resume(waiters, error);
}

int64_t lookers_deadline(const struct jobs *jobs)
{
    int64_t first = INT64_MAX;

    for (const struct waiter *w = jobs->lookers; w; w = w->next)
        first = w->since + JOBS_LOOK_MS < first ? w->since + JOBS_LOOK_MS : first;
    return first;
}
