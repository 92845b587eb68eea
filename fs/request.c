// SPDX-License-Identifier: Apache-2.0
/* Requests of the kernel that wait. */
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

static void resume_looked(struct waiter *waiter, int error)
{
    struct request *r = (struct request *)waiter;

    if (error) {
        resume(waiter, error);
        return;
    }
    fuse_req_interrupt_func(r->req, NULL, NULL);
    r->queued = false;
    r->has_looked = true;
    request_when_known(r);
    free(r);
}

/* Whether what is known of the place is of a file that is gone, while it is being looked for
 * another: of the image, not of the mount, nor of another layer. */
static bool must_look(const struct request *r)
{
    const struct place *place = &r->place;

    return !r->has_looked && mounted_is_rechecking(&r->front->image) && !place->node->only_whole &&
           view_layer(place->view) == 0 && (!node_is_directory(place->node) || r->asked.node);
}

/* Waits, for a look or for a pass. */
static void wait(struct request *r, bool is_looking)
{
    struct jobs *jobs = &r->front->jobs;

    r->waiter.views = &r->front->image.views;
    r->waiter.place = r->asked.node ? r->asked : r->place;
    r->waiter.task = place_task(&r->waiter.place);
    r->waiter.resume = is_looking ? resume_looked : resume;
    r->waiter.pid = fuse_req_ctx(r->req)->pid;
    fuse_req_interrupt_func(r->req, on_interrupt, r);
    if (r->interrupted) {
        fuse_req_interrupt_func(r->req, NULL, NULL);
        fuse_reply_err(r->req, EINTR);
        free(r);
        return;
    }
    r->queued = true;
    if (is_looking)
        jobs_wait_recheck(jobs, &r->waiter);
    else
        jobs_wait(jobs, &r->waiter);
}

void request_when_known(const struct request *r)
{
    bool is_looking = must_look(r);
    struct request *waiting, now = *r;

    if (!is_looking && (!r->asked.node || views_know(&r->front->image.views, &r->asked))) {
        now.answer(&now, 0);
        return;
    }
    waiting = malloc(sizeof *waiting);
    if (!waiting) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    *waiting = *r;
    wait(waiting, is_looking);
}
