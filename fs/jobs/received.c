// SPDX-License-Identifier: Apache-2.0
/* What a job sends, taken as possibly wrong: whatever it is, it only makes results of its own task;
 * and what a view keeps of it. */
#include <errno.h>
#include <string.h>

#include "formats/image.h"
#include "fs/tree/clock.h"
#include "fs/tree/passes.h"
#include "jobs.h"

/* What reading a file may say; ENOENT: there is none. Anything else is EIO: others mean something
 * to the kernel, or to callers: ENOSYS from an open(2), and it never asks again. */
static int errno_of_file(int error)
{
    static const int known[] = {0,       -ENOENT, -EUCLEAN, -ENOTSUP, -EIO,
                                -EACCES, -EINVAL, -EFBIG,   -ENOMEM,  -ENODATA};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (error == known[i])
            return error;
    return -EIO;
}

/* Whether the entries of a numbered directory before this one have been told. */
static bool comes_in_order(const struct job *job, const struct place *place)
{
    struct place before = *place;

    if (!place->node->is_numbered || place->number == 0)
        return true;
    before.number--;
    return results_get(&job->results, &before);
}

/* Takes a file's text. */
static int take_file(struct job *job, const struct place *place, const struct wire_frame *f,
                     const char *bytes)
{
    struct result *result;

    if (!task_may_tell(&job->task, place) || !comes_in_order(job, place) || f->error > 0)
        return -EPROTO;
    job->bytes += result_bytes(f->length);
    if (job->bytes > job->room)
        return -EFBIG;
    result = result_new(errno_of_file(f->error), bytes, f->length);
    return result ? results_put(&job->results, place, result) : -ENOMEM;
}

/* Takes a thing of a fixed size. 0 or -EPROTO. */
static int take_fixed(void *thing, size_t size, const struct wire_frame *f, const char *bytes)
{
    if (f->length != size)
        return -EPROTO;
    memcpy(thing, bytes, size);
    return 0;
}

static int take_sandbox(struct job *job, const struct wire_frame *f, const char *bytes)
{
    struct sandbox_state state;
    int error = take_fixed(&state, sizeof state, f, bytes);

    if (error || !sandbox_state_is_possible(&state))
        return -EPROTO;
    job->sandbox = state;
    job->is_held = true;
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

/* As many as a session keeps: each line is looked for among all. */
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
    struct place place = {.view = job->task.view, .number = f->number, .node = nodes};

    if (f->node >= nodes_count() || job->is_held == (f->kind == WIRE_SANDBOX))
        return -EPROTO;
    place.node = &nodes[f->node];
    switch (f->kind) {
    case WIRE_FILE:
        return take_file(job, &place, f, bytes);
    case WIRE_COUNT:
        return task_tells_headers(&job->task) ? results_set_count(&job->results, &place, f->number)
                                              : -EPROTO;
    case WIRE_REFERENCE: /* it was decided on them before */
        return 0;
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

/* Whether that has come, or is a numbered file that is none any more. */
static bool has_told(const struct job *job, const struct place *place)
{
    return results_get(&job->results, place) ||
           (place->node->is_numbered &&
            place->number >= results_count(&job->results, node_counter(place->node)));
}

bool job_told_all(const struct job *job)
{
    for (const struct waiter *w = job->waiters; w; w = w->next)
        if (w->place.node && !has_told(job, &w->place))
            return false;
    return true;
}

uint64_t view_bytes_read(const struct view *view)
{
    uint64_t bytes = 0;

    for (enum pass pass = 0; pass < PASSES; pass++)
        bytes += view->costs[pass].bytes;
    return bytes;
}

void view_add_problems(struct view *view, const struct text *lines, size_t most)
{
    if (view->problems.length + lines->length <= most)
        text_add_lines_once(&view->problems, lines->bytes, lines->length);
}

int view_publish(struct view *view, struct job *job)
{
    struct pass_cost *cost = &view->costs[job->task.pass];

    view_add_problems(view, &job->problems, VIEW_SAID_MAX);
    cost->runs++;
    cost->bytes += job->cost.bytes;
    cost->reads += job->cost.reads;
    cost->ms += now_ms() - job->started;
    return results_move(&view->results, &job->results);
}

void view_forget_told(struct view *view, const struct task *task)
{
    for (const struct node *n = nodes; n->path; n++)
        if (task_may_tell(task, &(struct place){task->view, n->target ? task->set : 0, n}) ||
            (n->count && task_tells_headers(task)))
            results_forget_node(&view->results, n);
}

void view_forget(struct view *view)
{
    results_forget(&view->results);
    text_free(&view->problems);
    memset(view->failures, 0, sizeof view->failures);
}
