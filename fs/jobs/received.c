// SPDX-License-Identifier: Apache-2.0
/* Turns the frames of a job into results. They are untrusted: a frame can only set files of the
 * job's own task. */
#include "received.h"

#include <errno.h>
#include <string.h>

#include "formats/image.h"
#include "fs/tree/clock.h"
#include "fs/tree/limits.h"

/* Errors that open(2) of a file may fail with. Any other becomes EIO, as some have an effect on the
 * kernel: after ENOSYS it never sends OPEN again. */
static int errno_of_file(int error)
{
    static const int known[] = {0,       -ENOENT, -EUCLEAN, -ENOTSUP, -EIO,
                                -EACCES, -EINVAL, -EFBIG,   -ENOMEM,  -ENODATA};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (error == known[i])
            return error;
    return -EIO;
}

/* Whether the same file of the entry before was received: a large number cannot claim memory. */
static bool comes_in_order(const struct job *job, const struct place *place)
{
    struct place before = *place;

    if (!place->node->is_numbered || place->number == 0)
        return true;
    before.number--;
    return results_get(&job->results, &before);
}

/* Takes a file's text or error. */
static int take_file(struct job *job, const struct place *place, const struct wire_frame *f,
                     const char *bytes)
{
    struct result *result;

    if (!task_may_yield(&job->task, place) || !comes_in_order(job, place) || f->error > 0)
        return -EPROTO;
    job->bytes += result_bytes(f->length);
    if (job->bytes > job->bytes_limit)
        return -EFBIG;
    result = result_new(errno_of_file(f->error), bytes, f->length, f->value);
    return result ? results_put(&job->results, place, result) : -ENOMEM;
}

/* Copies a struct that is the whole frame. Returns 0 or -EPROTO. */
static int take_fixed(void *to, size_t size, const struct wire_frame *f, const char *bytes)
{
    if (f->length != size)
        return -EPROTO;
    memcpy(to, bytes, size);
    return 0;
}

static int take_sandbox(struct job *job, const struct wire_frame *f, const char *bytes)
{
    struct sandbox_state state;
    int error = take_fixed(&state, sizeof state, f, bytes);

    if (error || !sandbox_state_is_possible(&state))
        return -EPROTO;
    job->sandbox = state;
    job->has_sandbox = true;
    return 0;
}

static int take_progress(struct job *job, const struct wire_frame *f, const char *bytes)
{
    struct wire_progress progress;
    int error = take_fixed(&progress, sizeof progress, f, bytes);

    if (error || progress.done > progress.total)
        return -EPROTO;
    job->done = progress.done;
    job->total = progress.total;
    return 0;
}

/* At most as many bytes as a session keeps, as each line is compared with all others. */
static int take_problems(struct job *job, const char *bytes, size_t length)
{
    if (length > IMAGE_PROBLEMS_MAX - job->problem_bytes)
        return -EPROTO;
    job->problem_bytes += length;
    text_add_lines_once(&job->problems, bytes, length);
    return 0;
}

int job_take_frame(struct job *job, const struct wire_frame *f, const char *bytes)
{
    struct place place = {
        .view = job->task.view, .number = f->number, .set = f->set, .node = nodes};

    if (f->node >= nodes_count() || job->has_sandbox == (f->kind == WIRE_SANDBOX))
        return -EPROTO;
    place.node = &nodes[f->node];
    switch (f->kind) {
    case WIRE_FILE:
        return take_file(job, &place, f, bytes);
    case WIRE_COUNT:
        return task_yields_headers(&job->task) ? results_set_count(&job->results, &place, f->number)
                                               : -EPROTO;
    case WIRE_PROBLEMS:
        return take_problems(job, bytes, f->length);
    case WIRE_COST:
        return take_fixed(&job->cost, sizeof job->cost, f, bytes);
    case WIRE_PROGRESS:
        return take_progress(job, f, bytes);
    case WIRE_ALIVE:
        return 0;
    case WIRE_SANDBOX:
        return take_sandbox(job, f, bytes);
    case WIRE_END:
        return 1;
    default:
        return -EPROTO;
    }
}

int job_take_frames(struct job *job)
{
    struct wire_frame frame;
    const char *bytes;
    int taken = 0, more;

    while (!taken && (more = frames_next(&job->frames, &frame, &bytes)) != 0)
        taken = more < 0 ? more : job_take_frame(job, &frame, bytes);
    return taken;
}

/* Whether the file was received, or is a numbered one that no longer exists. */
static bool has_result(const struct job *job, const struct place *place)
{
    return results_get(&job->results, place) ||
           (place->node->is_numbered &&
            place->number >= results_count(&job->results, node_counter(place->node)));
}

bool job_has_results(const struct job *job)
{
    for (const struct waiter *w = job->waiters; w; w = w->next)
        if (w->place.node && !has_result(job, &w->place))
            return false;
    return true;
}

int job_publish(struct job *job)
{
    struct pass_cost *cost = &job->view->costs[job->task.pass];

    view_add_problems(job->view, &job->problems, PROBLEMS_REPORTED_MAX);
    cost->runs++;
    cost->bytes += job->cost.bytes;
    cost->reads += job->cost.reads;
    cost->ms += now_ms() - job->started;
    return results_move(&job->view->results, &job->results);
}
