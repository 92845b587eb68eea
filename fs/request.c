// SPDX-License-Identifier: Apache-2.0
/* Requests of the kernel that may have to wait. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>

#include "fs/jobs/recheck.h"

static void resume(struct waiter *waiter, int error)
{
    struct request *r = (struct request *)waiter;

    fuse_req_interrupt_func(r->req, NULL, NULL);
    r->answer(r, error);
    free(r);
}

/* The client got a signal. fuse_req_interrupt_func() itself may call this. */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *r = data;

    r->is_interrupted = true;
    if (!r->is_queued)
        return;
    jobs_leave(&r->front->jobs, &r->waiter);
    fuse_reply_err(req, EINTR);
    free(r);
}

static void resume_rechecked(struct waiter *waiter, int error)
{
    struct request *r = (struct request *)waiter;

    if (error) {
        resume(waiter, error);
        return;
    }
    fuse_req_interrupt_func(r->req, NULL, NULL);
    r->is_queued = false;
    r->has_rechecked = true;
    request_when_known(r);
    free(r);
}

/* Whether the place depends on an image that is gone from its name and is being rechecked. Files of
 * the mount and of other layers do not. */
static bool must_recheck(const struct request *r)
{
    const struct place *place = &r->place;

    return !r->has_rechecked && mounted_is_rechecking(&r->front->image) &&
           !place->node->only_whole && view_layer(place->view) == 0 &&
           (!node_is_directory(place->node) || r->needed.node);
}

/* Waits for a recheck or for a pass. */
static void wait(struct request *r, bool is_rechecking)
{
    struct jobs *jobs = &r->front->jobs;

    r->waiter.views = &r->front->image.views;
    r->waiter.place = r->needed.node ? r->needed : r->place;
    r->waiter.task = place_task(&r->waiter.place);
    r->waiter.resume = is_rechecking ? resume_rechecked : resume;
    r->waiter.pid = fuse_req_ctx(r->req)->pid;
    fuse_req_interrupt_func(r->req, on_interrupt, r);
    if (r->is_interrupted) {
        fuse_req_interrupt_func(r->req, NULL, NULL);
        fuse_reply_err(r->req, EINTR);
        free(r);
        return;
    }
    r->is_queued = true;
    if (is_rechecking)
        jobs_wait_recheck(jobs, &r->waiter);
    else
        jobs_wait(jobs, &r->waiter);
}

void request_when_known(const struct request *r)
{
    bool is_rechecking = must_recheck(r);
    struct request *waiting, now = *r;

    if (!is_rechecking && (!r->needed.node || views_know(&r->front->image.views, &r->needed))) {
        now.answer(&now, 0);
        return;
    }
    waiting = malloc(sizeof *waiting);
    if (!waiting) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    *waiting = *r;
    wait(waiting, is_rechecking);
}
