// SPDX-License-Identifier: Apache-2.0
/* The list of jobs, and what one of them holds. */
#include "list.h"

#include <stdlib.h>
#include <unistd.h>

#include "fs/tree/clock.h"
#include "fs/tree/limits.h"

struct job *job_find(const struct jobs *jobs, const struct views *views, const struct task *task)
{
    struct job *job = jobs->all;

    while (job && !(job->views == views && task_is_same(&job->task, task)))
        job = job->next;
    return job;
}

struct job *job_new(struct jobs *jobs, struct views *views, const struct task *task)
{
    struct view *view = views_get(views, task->view);
    struct job *job = view && jobs->count < JOBS_MAX ? calloc(1, sizeof *job) : NULL;
    struct job **link = &jobs->all;

    if (!job)
        return NULL;
    jobs->count++;
    view->holds++;
    *job = (struct job){.views = views,
                        .view = view,
                        .task = *task,
                        .fd = -1,
                        .left_at = -1,
                        .received_at = now_ms()};
    while (*link)
        link = &(*link)->next;
    *link = job;
    return job;
}

static size_t rest(size_t bytes, size_t used)
{
    return used < bytes ? bytes - used : 0;
}

size_t job_bytes_limit(const struct jobs *jobs, const struct job *job)
{
    const struct views *views = job->views;
    size_t of_view = job->view->results.bytes, of_all = 0, share, total;

    if (!task_yields_headers(&job->task))
        return KEPT_NUMBERS_BYTES;
    for (size_t i = 0; i < views->count; i++)
        of_all += views->items[i]->results.bytes;
    for (const struct job *other = jobs->all; other; other = other->next) {
        of_all += other == job ? 0 : other->bytes;
        of_view += other == job || other->view != job->view ? 0 : other->bytes;
    }
    share = rest(KEPT_HEADERS_BYTES / 4 / job->views->sharers, of_view);
    total = rest(KEPT_HEADERS_BYTES, of_all);
    return total > share ? total : share;
}

bool job_begin(struct jobs *jobs, struct job *job)
{
    struct process *process = malloc(sizeof *process);
    bool slot = task_takes_slot(&job->task);

    if (!process)
        return false;
    job->id = ++jobs->last_id;
    job->state = JOB_RUNNING;
    job->started = job->received_at = now_ms();
    jobs->slots += slot;
    jobs->quick += !slot;
    job->view->slots += slot;
    job->view->running++;
    job->view->processes++;
    job->view->holds++;
    *process = (struct process){jobs->processes, job->id, job->view};
    jobs->processes = process;
    return true;
}

/* Gives the slot back. The process may last longer. */
static void release_slot(struct jobs *jobs, struct job *job)
{
    bool slot = task_takes_slot(&job->task);

    jobs->slots -= slot;
    jobs->quick -= !slot;
    job->view->slots -= slot;
    job->view->running--;
}

void jobs_reap(struct jobs *jobs, uint32_t id)
{
    struct process **link = &jobs->processes, *process;

    while (*link && (*link)->job != id)
        link = &(*link)->next;
    process = *link;
    if (!process)
        return;
    *link = process->next;
    process->view->processes--;
    process->view->holds--;
    free(process);
}

bool job_is_held_up(const struct jobs *jobs, const struct job *job)
{
    const struct view *view = job->view;

    return job->state == JOB_QUEUED && jobs->monitor >= 0 &&
           view->processes >= view->running + JOBS_LINGERING_MAX;
}

bool job_must_wait(const struct jobs *jobs, const struct job *job)
{
    if (!task_takes_slot(&job->task))
        return jobs->quick == JOBS_QUICK_MAX || job_is_held_up(jobs, job);
    return jobs->slots == JOBS_SLOTS_MAX ||
           (job->views->sharers > 2 && job->view->slots == JOBS_VIEW_SLOTS_MAX) ||
           job_is_held_up(jobs, job);
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

void job_reset(struct jobs *jobs, struct job *job)
{
    if (job->id)
        release_slot(jobs, job);
    if (job->fd >= 0)
        close(job->fd);
    job->fd = -1;
    job->id = 0;
    job->state = JOB_QUEUED;
    frames_end(&job->frames);
    job->has_sandbox = false;
    job->cost = (struct wire_cost){.bytes = 0};
    job->done = job->total = 0;
    text_free(&job->problems);
    job->problem_bytes = job->bytes = 0;
    results_forget(&job->results);
}

void job_finish(struct jobs *jobs, struct job *job, int error)
{
    struct job **link = &jobs->all;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    jobs->count--;
    job_reset(jobs, job);
    job->state = JOB_FINISHED;
    job->error = error;
    job->next = jobs->finished;
    jobs->finished = job;
}

void jobs_dismiss(struct jobs *jobs, struct waiter *waiter, int error)
{
    waiter->error = error;
    waiter->next = jobs->dismissed;
    jobs->dismissed = waiter;
}

/* Takes the waiter out of a list. false: it is not in it. */
static bool take_out(struct waiter **link, const struct waiter *waiter)
{
    while (*link && *link != waiter)
        link = &(*link)->next;
    if (!*link)
        return false;
    *link = waiter->next;
    return true;
}

bool jobs_recall(struct jobs *jobs, const struct waiter *waiter)
{
    for (struct job *job = jobs->finished; job; job = job->next)
        if (take_out(&job->waiters, waiter))
            return true;
    return take_out(&jobs->dismissed, waiter);
}

/* A waiter may do anything when it is resumed: wait again, or have another leave. */
static void resume_all(struct waiter **waiters, const int *error)
{
    while (*waiters) {
        struct waiter *w = *waiters;

        *waiters = w->next;
        w->resume(w, error ? *error : w->error);
    }
}

void jobs_resume(struct jobs *jobs)
{
    while (jobs->finished) {
        struct job *job = jobs->finished;

        /* It stays in the list for jobs_recall(). */
        resume_all(&job->waiters, &job->error);
        if (job->is_torn)
            view_forget_task(job->view, &job->task);
        for (struct job **link = &jobs->finished; *link; link = &(*link)->next)
            if (*link == job) {
                *link = job->next;
                break;
            }
        job->view->holds--;
        free(job);
    }
    resume_all(&jobs->dismissed, NULL);
}
