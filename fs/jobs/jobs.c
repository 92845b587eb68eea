// SPDX-License-Identifier: Apache-2.0
/* Jobs, as the front sees them. */
#include "jobs.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree/clock.h"
#include "list.h"
#include "fs/tree/passes.h"

int jobs_begin(struct jobs *jobs, int monitor, unsigned views_count, const struct option_sets *sets)
{
    *jobs = (struct jobs){.monitor = monitor, .views_count = views_count, .sets = sets};
    jobs->views = calloc(views_count, sizeof *jobs->views);
    return jobs->views ? 0 : -ENOMEM;
}

void jobs_end(struct jobs *jobs)
{
    lookers_resume(jobs, -EIO);
    while (jobs->all)
        waiters_resume(job_free(jobs, jobs->all), -EIO);
    for (unsigned i = 0; i < jobs->views_count; i++)
        view_forget(&jobs->views[i]);
    free(jobs->views);
    if (jobs->monitor >= 0)
        close(jobs->monitor);
}

bool jobs_is_known(const struct jobs *jobs, const struct place *place)
{
    return place_task(place).pass < PASS_HEADER ||
           results_get(&jobs->views[place->view].results, place);
}

/* The job is over. */
static void finish(struct jobs *jobs, struct job *job, int error)
{
    struct task task = job->task;
    bool torn = job->torn;

    if (torn && !error)
        text_add(&job->problems, "the image changed while it was read, again and again: what was "
                                 "read may not fit together\n");
    if (task.set)
        jobs->set_bytes += job->frames.total;
    if (!error)
        jobs->sandbox = job->sandbox;
    if (!error)
        error = view_publish(&jobs->views[task.view], job);
    /* They may wait again: for another job. */
    waiters_resume(job_free(jobs, job), error);
    if (torn)
        view_forget_told(&jobs->views[task.view], &task);
}

static void request(struct jobs *jobs, enum wire_request_kind kind, struct job *job)
{
    const struct option_set *set = option_sets_get(jobs->sets, job->task.set);
    struct wire_request r = {.kind = kind,
                             .job = job->id,
                             .view = job->task.view,
                             .pass = (uint32_t)job->task.pass,
                             .look = now_ms() < jobs->look_until,
                             .set = job->task.set};

    if (set) {
        r.directory = (uint32_t)node_index(set->directory);
        r.target = (uint32_t)target_row(set->target);
        r.options = set->options;
    }
    if (jobs->monitor < 0 || wire_send(jobs->monitor, &r, sizeof r, -1) < 0)
        job->ended = job->at_end = true;
}

/* Ends a job that its monitor could not run, or lost: its readers get EIO, `problems` says why. */
static void fail(struct jobs *jobs, struct job *job, const char *words)
{
    job_tell_failure(jobs, job, words);
    finish(jobs, job, -EIO);
}

/* The same for one that runs, and is to be killed for what it does. */
static void fail_running(struct jobs *jobs, struct job *job, const char *format, int number)
{
    request(jobs, WIRE_KILL, job);
    job_note_failure(jobs, job, format, number);
    finish(jobs, job, -EIO);
}

static void fail_to_start(struct jobs *jobs, struct job *job, int error)
{
    char words[128];

    snprintf(words, sizeof words, "could not be started: %s", strerror(error));
    fail(jobs, job, words);
}

static bool is_given_up(const struct jobs *jobs, const struct task *task)
{
    return jobs->views[task->view].failures[task->pass][task->set != 0].given_up;
}

/* Starts the job, now or when it has its turn. It may be over then. */
static void start(struct jobs *jobs, struct job *job)
{
    struct view *view = &jobs->views[job->task.view];

    if (is_given_up(jobs, &job->task)) {
        finish(jobs, job, -EIO);
        return;
    }
    if (job_must_wait(jobs, job) || !jobs_can_ask(jobs))
        return;
    jobs->turns += job_takes_turns(job);
    view->turns += job_takes_turns(job);
    view->running++;
    view->processes++;
    job->id = ++jobs->last_id;
    job->started = job->heard = now_ms();
    request(jobs, WIRE_START, job);
    if (!job->ended)
        return;
    view->processes--;
    fail(jobs, job, "could not be started: the monitor is gone");
}

/* Starts those whose turn has come, in their order. */
static void start_waiting(struct jobs *jobs)
{
    struct job *job = jobs->all;

    while (job) {
        struct job *next = job->next;

        if (!job->id)
            start(jobs, job);
        job = next;
    }
}

/* Kills the job's process and forgets what came of it. */
static void stop(struct jobs *jobs, struct job *job)
{
    if (job->id)
        request(jobs, WIRE_KILL, job);
    job_forget(jobs, job);
}

/* The job of that number, or NULL: it was cancelled or is done. */
static struct job *find_job(const struct jobs *jobs, uint32_t id)
{
    struct job *job = jobs->all;

    while (job && job->id != id)
        job = job->next;
    return job;
}

/* Whether what the job has told is no more: the image has changed meanwhile, and it was begun anew,
 * or is none any more. */
static bool is_outdated(struct jobs *jobs, const struct job *job)
{
    uint32_t id = job->id;

    return jobs->changed && jobs->changed(jobs->context) && find_job(jobs, id) != job;
}

/* It says that it has told all. */
static void end_told(struct jobs *jobs, struct job *job)
{
    if (!job_told_all(job)) {
        fail_running(jobs, job, "ended without telling what it was asked for", 0);
        return;
    }
    if (jobs->kills_done)
        request(jobs, WIRE_KILL, job);
    finish(jobs, job, 0);
}

/* Takes all frames that have come: the job may be over, or be none any more. */
static void take_frames(struct jobs *jobs, struct job *job)
{
    int taken;

    job->room = job_room(jobs, job);
    taken = job_take_frames(job);
    if (taken == 1 && is_outdated(jobs, job))
        return;
    if (taken == 1) {
        end_told(jobs, job);
    } else if (taken == -EFBIG) {
        fail_running(jobs, job, "told more than there is room for", 0);
    } else if (taken < 0) {
        fail_running(jobs, job, "did not keep to its protocol (error %d)", -taken);
    }
}

/* The task that is to be waited for: a full scan that runs will tell what measure/ has to know. */
static struct task awaited(const struct jobs *jobs, struct task task)
{
    const struct task scan = {task.view, PASS_SCAN, 0};
    bool told = task.pass == PASS_MEASURE && !task.set && job_find(jobs, &scan);

    return told ? scan : task;
}

bool jobs_is_running(const struct jobs *jobs, const struct place *place)
{
    const struct task task = awaited(jobs, place_task(place));

    return job_find(jobs, &task);
}

void jobs_wait(struct jobs *jobs, struct waiter *waiter)
{
    struct job *job;

    waiter->task = awaited(jobs, waiter->task);
    job = job_find(jobs, &waiter->task);
    if (!job)
        job = job_new(jobs, &waiter->task);
    if (!job) {
        waiter->resume(waiter, -EAGAIN);
        return;
    }
    waiter->next = job->waiters;
    waiter->since = now_ms();
    job->waiters = waiter;
    job->left_at = -1;
    if (!job->id)
        start(jobs, job);
}

void jobs_leave(struct jobs *jobs, struct waiter *waiter)
{
    struct job *job = job_find(jobs, &waiter->task);
    struct waiter **link = job ? &job->waiters : NULL;

    if (lookers_leave(jobs, waiter))
        return;
    while (link && *link && *link != waiter)
        link = &(*link)->next;
    if (link && *link)
        *link = waiter->next;
    if (job && !job->waiters)
        job->left_at = now_ms();
}

/* Begins the job anew, as the image has changed. */
static void restart(struct jobs *jobs, struct job *job)
{
    if (job->restarts == JOBS_RESTARTS_MAX) {
        job->torn = true;
        return;
    }
    stop(jobs, job);
    if (!job->waiters) {
        job_free(jobs, job);
        return;
    }
    job->restarts++;
    start(jobs, job);
}

void jobs_forget(struct jobs *jobs)
{
    struct job *next;

    jobs->look_until = now_ms() + JOBS_LOOK_MS;
    for (unsigned i = 0; i < jobs->views_count; i++)
        view_forget(&jobs->views[i]);
    for (struct job *job = jobs->all; job; job = next) {
        next = job->next;
        restart(jobs, job);
    }
}

/* Says how a job without its last frame ended. */
static void fail_ended(struct jobs *jobs, struct job *job)
{
    job_note_end(jobs, job);
    finish(jobs, job, -EIO);
}

/* Reads a piece of what the job says. */
static void read_job(struct jobs *jobs, struct job *job)
{
    int more = frames_read(&job->frames, job->fd);

    if (more == -EINTR || more == -EAGAIN)
        return;
    if (more > 0) {
        job->heard = now_ms();
        take_frames(jobs, job);
        return;
    }
    close(job->fd);
    job->fd = -1;
    job->at_end = true;
    if (job->ended)
        fail_ended(jobs, job);
}

/* The job that writes to that descriptor, or NULL. */
static struct job *find_writer(const struct jobs *jobs, int fd)
{
    struct job *job = jobs->all;

    while (job && job->fd != fd)
        job = job->next;
    return job;
}

static void take_answer(struct jobs *jobs, const struct wire_answer *a, int fd)
{
    struct job *job = a->job ? find_job(jobs, a->job) : NULL;

    if (a->kind == WIRE_LOOKED && jobs->looked) {
        jobs->looked(jobs->context, a, fd);
        lookers_resume(jobs, 0);
        return;
    }
    if (a->is_gone && a->view < jobs->views_count)
        jobs->views[a->view].processes--;
    if (fd >= 0 && !(job && a->kind == WIRE_STARTED && job->fd < 0)) {
        close(fd);
        return;
    }
    if (!job)
        return;
    if (a->kind == WIRE_STARTED && fd >= 0) {
        job->fd = fd;
    } else if (a->kind == WIRE_STARTED) {
        fail_to_start(jobs, job, -a->status);
    } else if (a->kind == WIRE_ENDED) {
        job->ended = true;
        job->status = a->status;
        if (job->at_end)
            fail_ended(jobs, job);
    }
}

/* The monitor is gone: how what runs ends will not be told. */
static void lose_monitor(struct jobs *jobs)
{
    close(jobs->monitor);
    jobs->monitor = -1;
    while (jobs->all)
        fail(jobs, jobs->all, "was lost: the monitor is gone");
}

static void read_monitor(struct jobs *jobs)
{
    struct wire_answer answer;
    int fd, received;

    while ((received = wire_receive(jobs->monitor, &answer, sizeof answer, &fd)) == 1)
        take_answer(jobs, &answer, fd);
    if (received < 0)
        lose_monitor(jobs);
}

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The time at which a waiter of the job goes; INT64_MAX: never. */
static int64_t patience_end(const struct jobs *jobs, const struct job *job, const struct waiter *w)
{
    int64_t first = w->glances ? job->heard + JOBS_GLANCE_MS : INT64_MAX;

    return jobs->patience_ms ? min_ms(first, w->since + jobs->patience_ms) : first;
}

/* The time at which something has to be done about a job without an event; INT64_MAX: never. */
static int64_t deadline(const struct jobs *jobs, const struct job *job)
{
    int64_t first = job_overdue_at(job);

    if (job->left_at >= 0)
        first = job->left_at + JOBS_LINGER_MS;
    if (jobs->stall_ms && (job->id || job_is_held_up(jobs, job)))
        first = min_ms(first, job->heard + jobs->stall_ms);
    for (const struct waiter *w = job->waiters; w; w = w->next)
        first = min_ms(first, patience_end(jobs, job, w));
    return first;
}

bool jobs_are_idle(const struct jobs *jobs)
{
    return !jobs->all && !jobs->lookers && now_ms() >= jobs->look_until;
}

int jobs_poll(struct jobs *jobs, struct pollfd *fds, nfds_t *count)
{
    int64_t first = lookers_deadline(jobs), now = now_ms();
    bool is_ready = false;

    *count = 0;
    fds[(*count)++] = (struct pollfd){.fd = jobs->monitor, .events = POLLIN};
    for (const struct job *job = jobs->all; job; job = job->next) {
        first = min_ms(first, deadline(jobs, job));
        is_ready |= !job->id && !job_must_wait(jobs, job);
        if (job->fd < 0)
            continue;
        assert(*count < JOBS_POLLFDS);
        fds[(*count)++] = (struct pollfd){.fd = job->fd, .events = POLLIN};
    }
    if (is_ready && jobs_can_ask(jobs))
        first = now;
    else if (is_ready)
        fds[0].events |= POLLOUT;
    jobs->wakes_at = first < now ? now : first;
    return first == INT64_MAX ? -1 : (int)min_ms(jobs->wakes_at - now, INT_MAX);
}

/* Sends those away who have waited too long: they may come back for what their job will have found.
 */
static void lose_patience(struct jobs *jobs, struct job *job, int64_t now)
{
    struct waiter **link = &job->waiters;

    while (*link) {
        struct waiter *w = *link;
        bool glances = w->glances && now - job->heard >= JOBS_GLANCE_MS;

        if (now < patience_end(jobs, job, w)) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->resume(w, glances ? -EAGAIN : -EINTR);
        if (!job->waiters) /* they have as long again to come back in */
            job->left_at = now + (glances ? JOBS_GLANCE_MS : jobs->patience_ms);
    }
}

/* Does what is due to a job without an event. */
static void look_after(struct jobs *jobs, struct job *job, int64_t now)
{
    lose_patience(jobs, job, now);
    if (job_is_held_up(jobs, job) && jobs->stall_ms && now - job->heard >= jobs->stall_ms) {
        fail(jobs, job, "could not be started: others that were killed hang");
        return;
    }
    if (job->id && jobs->stall_ms && now - job->heard >= jobs->stall_ms) {
        fail_running(jobs, job, "told nothing for %d s, and was given up",
                     (int)(jobs->stall_ms / 1000));
        return;
    }
    if (now >= job_overdue_at(job)) {
        fail_running(jobs, job, "lasted %d times its cpu-limit, and was given up", JOBS_LASTING);
        return;
    }
    if (job->left_at < 0 || now - job->left_at < JOBS_LINGER_MS)
        return;
    stop(jobs, job);
    job_free(jobs, job);
}

/* That this process was stopped, or its machine, is no stall of its jobs. */
static void forgive(struct jobs *jobs, int64_t ms)
{
    for (struct job *job = jobs->all; job; job = job->next)
        job->heard += ms;
}

void jobs_handle(struct jobs *jobs, const struct pollfd *fds, nfds_t count)
{
    int64_t now = now_ms();
    struct job *next;

    if (now > jobs->wakes_at && now - jobs->wakes_at > JOBS_LATE_MS)
        forgive(jobs, now - jobs->wakes_at);
    if (fds[0].revents && jobs->monitor >= 0)
        read_monitor(jobs);
    for (nfds_t i = 1; i < count; i++) {
        struct job *job = fds[i].revents ? find_writer(jobs, fds[i].fd) : NULL;

        if (job)
            read_job(jobs, job);
    }
    if (now >= lookers_deadline(jobs))
        lookers_resume(jobs, 0);
    for (struct job *job = jobs->all; job; job = next) {
        next = job->next;
        look_after(jobs, job, now);
    }
    start_waiting(jobs);
}
