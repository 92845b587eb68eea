// SPDX-License-Identifier: Apache-2.0
/* The list of jobs, and what one of them holds. */
#include "list.h"

#include <stdlib.h>
#include <unistd.h>

#include "fs/tree/clock.h"
#include "fs/tree/passes.h"

static bool is_same_task(const struct task *a, const struct task *b)
{
    return a->view == b->view && a->pass == b->pass && a->set == b->set;
}

struct job *job_find(const struct jobs *jobs, const struct task *task)
{
    struct job *job = jobs->all;

    while (job && !is_same_task(&job->task, task))
        job = job->next;
    return job;
}

struct job *job_new(struct jobs *jobs, const struct task *task)
{
    struct job *job = jobs->count < JOBS_MAX ? calloc(1, sizeof *job) : NULL, **link = &jobs->all;

    if (!job)
        return NULL;
    jobs->count++;
    *job = (struct job){.task = *task, .fd = -1, .left_at = -1, .heard = now_ms()};
    while (*link)
        link = &(*link)->next;
    *link = job;
    return job;
}

static size_t rest(size_t bytes, size_t used)
{
    return used < bytes ? bytes - used : 0;
}

size_t job_room(const struct jobs *jobs, const struct job *job)
{
    size_t of_view = jobs->views[job->task.view].results.bytes, of_all = 0;
    size_t share, total;

    if (!task_tells_headers(&job->task))
        return JOBS_NUMBERS_BYTES;
    for (unsigned i = 0; i < jobs->views_count; i++)
        of_all += jobs->views[i].results.bytes;
    for (const struct job *other = jobs->all; other; other = other->next) {
        of_all += other == job ? 0 : other->bytes;
        of_view += other == job || other->task.view != job->task.view ? 0 : other->bytes;
    }
    share = rest(JOBS_HEADERS_BYTES / 4 / jobs->views_count, of_view);
    total = rest(JOBS_HEADERS_BYTES, of_all);
    return total > share ? total : share;
}

bool job_takes_turns(const struct job *job)
{
    return job->task.pass >= PASS_MEASURE || job->task.set;
}

bool job_is_held_up(const struct jobs *jobs, const struct job *job)
{
    const struct view *view = &jobs->views[job->task.view];

    return !job->id && jobs->monitor >= 0 && view->processes - view->running >= JOBS_LINGERING_MAX;
}

bool job_must_wait(const struct jobs *jobs, const struct job *job)
{
    const struct view *view = &jobs->views[job->task.view];
    bool has_layers = jobs->views_count > 2;

    if (job_takes_turns(job) &&
        (jobs->turns == JOBS_TURNS_MAX || (has_layers && view->turns == JOBS_VIEW_TURNS_MAX)))
        return true;
    return job_is_held_up(jobs, job);
}

int64_t job_overdue_at(const struct job *job)
{
    int64_t seconds = job->sandbox.cpu_seconds;

    return job->id && seconds ? job->started + seconds * 1000 * JOBS_LASTING : INT64_MAX;
}

bool jobs_can_ask(const struct jobs *jobs)
{
    return jobs->monitor < 0 || wire_has_room(jobs->monitor);
}

void job_forget(struct jobs *jobs, struct job *job)
{
    if (job->id) {
        struct view *view = &jobs->views[job->task.view];

        jobs->turns -= job_takes_turns(job);
        view->turns -= job_takes_turns(job);
        view->running--;
    }
    if (job->fd >= 0)
        close(job->fd);
    job->fd = -1;
    job->id = 0;
    frames_end(&job->frames);
    job->at_end = job->ended = job->is_held = false;
    job->cost = (struct wire_cost){.bytes = 0};
    job->done = job->total = 0;
    text_free(&job->problems);
    job->problem_bytes = job->bytes = 0;
    results_forget(&job->results);
}

void waiters_resume(struct waiter *waiters, int error)
{
    while (waiters) {
        struct waiter *w = waiters;

        waiters = w->next;
        w->resume(w, error);
    }
}

struct waiter *job_free(struct jobs *jobs, struct job *job)
{
    struct waiter *waiters = job->waiters;
    struct job **link = &jobs->all;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    job_forget(jobs, job);
    free(job);
    jobs->count--;
    return waiters;
}
