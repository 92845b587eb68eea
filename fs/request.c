// SPDX-License-Identifier: Apache-2.0
/* Requests of the kernel that wait. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>

static void resume(struct waiter *waiter, int error)
{
    struct request *r = (struct request *)waiter;

    fuse_req_interrupt_func(r->req, NULL, NULL);
    r->answer(r, error);
    free(r);
}

/* The caller got a signal. libfuse may call this already while it is being set. */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *r = data;

    r->interrupted = true;
    if (!r->queued)
        return;
    jobs_leave(&r->front->jobs, &r->waiter);
    fuse_reply_err(req, EINTR);
    free(r);
}

static void resume_looked(struct waiter *waiter, int error);

bool request_must_look(const struct request *r)
{
    const struct node *node = r->place.node;

    return front_is_looking(r->front) && !node->of_mount && node->pass != PASS_DIRECTORY;
}

void request_when_known(const struct place *place, const struct request *r)
{
    struct jobs *jobs = &r->front->jobs;
    bool is_looking = request_must_look(r);
    struct request *waiting;
    struct request now = *r;

    if (!is_looking && jobs_is_known(jobs, place)) {
        now.answer(&now, 0);
        return;
    }
    waiting = malloc(sizeof *waiting);
    if (!waiting) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    *waiting = *r;
    waiting->asked = *place;
    waiting->waiter.task = place_task(place);
    waiting->waiter.resume = is_looking ? resume_looked : resume;
    waiting->waiter.pid = fuse_req_ctx(r->req)->pid;
    fuse_req_interrupt_func(r->req, on_interrupt, waiting);
    if (waiting->interrupted) {
        fuse_req_interrupt_func(r->req, NULL, NULL);
        fuse_reply_err(r->req, EINTR);
        free(waiting);
        return;
    }
    waiting->queued = true;
    if (is_looking)
        jobs_wait_look(jobs, &waiting->waiter);
    else
        jobs_wait(jobs, &waiting->waiter);
}

static void resume_looked(struct waiter *waiter, int error)
{
    struct request *r = (struct request *)waiter;

    if (error) {
        resume(waiter, error);
        return;
    }
    fuse_req_interrupt_func(r->req, NULL, NULL);
    r->queued = false;
    request_when_known(&r->asked, r);
    free(r);
}
