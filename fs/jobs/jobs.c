// SPDX-License-Identifier: Apache-2.0
/* Jobs, as the front sees them. */
#include "jobs.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deadlines.h"
#include "failures.h"
#include "fs/tree/clock.h"
#include "received.h"
#include "recheck.h"

void jobs_begin(struct jobs *jobs, const struct jobs_config *config)
{
    *jobs = (struct jobs){.config = *config, .monitor = config->monitor};
}

void jobs_end(struct jobs *jobs)
{
    recheck_end(jobs, -EIO);
    while (jobs->all)
        job_finish(jobs, jobs->all, -EIO);
    jobs_resume(jobs);
    while (jobs->processes)
        jobs_reap(jobs, jobs->processes->job);
    if (jobs->monitor >= 0)
        close(jobs->monitor);
}

bool jobs_await_set(const struct jobs *jobs, uint32_t set)
{
    const struct job *jobs_with_waiters[] = {jobs->all, jobs->finished};
    const struct waiter *others[] = {jobs->recheck_waiters, jobs->dismissed};

    for (size_t i = 0; i < 2; i++)
        for (const struct job *job = jobs_with_waiters[i]; job; job = job->next)
            if (job->task.set == set)
                return true;
    for (size_t i = 0; i < 2; i++)
        for (const struct waiter *w = others[i]; w; w = w->next)
            if (w->task.set == set)
                return true;
    return false;
}

uint64_t jobs_set_bytes(const struct jobs *jobs)
{
    return jobs->set_bytes;
}

void jobs_reset_set_bytes(struct jobs *jobs)
{
    jobs->set_bytes = 0;
}

const struct sandbox_state *jobs_sandbox(const struct jobs *jobs)
{
    return &jobs->sandbox;
}

void jobs_set_sandbox(struct jobs *jobs, const struct sandbox_state *sandbox)
{
    jobs->sandbox = *sandbox;
}

/* The job is over: its results are published, unless it failed. */
static void finish(struct jobs *jobs, struct job *job, int error)
{
    if (job->is_torn && !error)
        text_add(&job->problems, "the image kept changing while it was read: the results may mix "
                                 "several of its states\n");
    if (job->task.set)
        jobs->set_bytes += job->frames.total;
    if (!error) {
        jobs->sandbox = job->sandbox;
        error = job_publish(job);
    }
    job_finish(jobs, job, error);
}

static void request(struct jobs *jobs, enum wire_request_kind kind, struct job *job)
{
    const struct option_set *set = option_sets_get(jobs->config.sets, job->task.set);
    struct wire_request r = {.kind = kind,
                             .job = job->id,
                             .view = job->task.view,
                             .pass = (uint32_t)job->task.pass,
                             .recheck = now_ms() < jobs->recheck_until,
                             .set = job->task.set};

    if (set) {
        r.directory = (uint32_t)node_index(set->directory);
        r.target = (uint32_t)target_row(set->target);
        r.options = set->options;
    }
    if (jobs->monitor < 0 || wire_send(jobs->monitor, &r, sizeof r, -1) < 0)
        job->state = JOB_LOST;
}

/* Ends a job that the monitor could not run, or lost: its readers get EIO, `problems` the words. */
static void fail(struct jobs *jobs, struct job *job, const char *words)
{
    job_report_failure(job, words);
    finish(jobs, job, -EIO);
}

/* Kills a running job for a fault of its own. */
static void __attribute__((format(printf, 3, 4)))
fail_running(struct jobs *jobs, struct job *job, const char *format, ...)
{
    char words[128];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    request(jobs, WIRE_KILL, job);
    job_count_failure(job, "%s", words);
    finish(jobs, job, -EIO);
}

static void fail_to_start(struct jobs *jobs, struct job *job, int error)
{
    char words[128];

    snprintf(words, sizeof words, "could not be started: %s", strerror(error));
    fail(jobs, job, words);
}

/* Starts a queued job if it need not wait. It may be finished then. */
static void start(struct jobs *jobs, struct job *job)
{
    if (job_is_given_up(job)) {
        finish(jobs, job, -EIO);
        return;
    }
    if (job_must_wait(jobs, job) || !jobs_can_ask(jobs))
        return;
    if (!job_begin(jobs, job)) {
        fail_to_start(jobs, job, ENOMEM);
        return;
    }
    request(jobs, WIRE_START, job);
    if (job->state != JOB_LOST)
        return;
    jobs_reap(jobs, job->id);
    fail(jobs, job, "could not be started: the monitor is gone");
}

static void start_queued(struct jobs *jobs)
{
    struct job *next;

    for (struct job *job = jobs->all; job; job = next) {
        next = job->next;
        if (job->state == JOB_QUEUED)
            start(jobs, job);
    }
}

/* Kills the job's process, and drops what was received from it. */
static void stop(struct jobs *jobs, struct job *job)
{
    if (job->id)
        request(jobs, WIRE_KILL, job);
    job_reset(jobs, job);
}

/* The job with that id; NULL: it is finished. */
static struct job *find_job(const struct jobs *jobs, uint32_t id)
{
    struct job *job = jobs->all;

    while (job && job->id != id)
        job = job->next;
    return job;
}

/* The job has sent its last frame. */
static void end_done(struct jobs *jobs, struct job *job)
{
    if (!job_has_results(job)) {
        fail_running(jobs, job, "ended without the result that it was started for");
        return;
    }
    if (jobs->config.kills_done)
        request(jobs, WIRE_KILL, job);
    finish(jobs, job, 0);
}

/* Whether the image has changed under the job, which was restarted or is finished then. */
static bool is_outdated(struct jobs *jobs, const struct job *job)
{
    uint32_t id = job->id;

    if (jobs->config.changed && jobs->config.changed(jobs->config.context, job->views))
        jobs_restart(jobs, job->views);
    return job->id != id;
}

/* Takes the frames that were received. The job may be finished then. */
static void take_frames(struct jobs *jobs, struct job *job)
{
    int taken;

    job->bytes_limit = job_bytes_limit(jobs, job);
    taken = job_take_frames(job);
    if (taken == 1 && is_outdated(jobs, job))
        return;
    if (taken == 1)
        end_done(jobs, job);
    else if (taken == -EFBIG)
        fail_running(jobs, job, "exceeded its limit of result bytes");
    else if (taken < 0)
        fail_running(jobs, job, "violated its protocol (error %d)", -taken);
}

/* The task to wait for: that of a job which also yields the task's files, or the task itself. */
static struct task joined(const struct jobs *jobs, const struct views *views, struct task task)
{
    for (enum pass_id pass = PASS_NONE; pass < PASSES && !task.set; pass++) {
        const struct task other = {task.view, pass, 0};

        if (passes[task.pass].joins & PASS_BIT(pass) && job_find(jobs, views, &other))
            return other;
    }
    return task;
}

bool jobs_is_running(const struct jobs *jobs, const struct views *views, const struct place *place)
{
    const struct task task = joined(jobs, views, place_task(place));

    return job_find(jobs, views, &task);
}

void jobs_wait(struct jobs *jobs, struct waiter *waiter)
{
    struct job *job;

    waiter->task = joined(jobs, waiter->views, waiter->task);
    job = job_find(jobs, waiter->views, &waiter->task);
    if (!job)
        job = job_new(jobs, waiter->views, &waiter->task);
    if (!job) {
        jobs_dismiss(jobs, waiter, -EAGAIN);
        return;
    }
    waiter->next = job->waiters;
    waiter->since = now_ms();
    job->waiters = waiter;
    job->left_at = -1;
    if (job->state == JOB_QUEUED)
        start(jobs, job);
}

void jobs_leave(struct jobs *jobs, struct waiter *waiter)
{
    struct job *job = job_find(jobs, waiter->views, &waiter->task);
    struct waiter **link = job ? &job->waiters : NULL;

    if (recheck_leave(jobs, waiter) || jobs_recall(jobs, waiter))
        return;
    while (link && *link && *link != waiter)
        link = &(*link)->next;
    if (link && *link)
        *link = waiter->next;
    if (job && !job->waiters)
        job->left_at = now_ms();
}

static void restart(struct jobs *jobs, struct job *job)
{
    if (job->restarts == JOBS_RESTARTS_MAX) {
        job->is_torn = true;
        return;
    }
    stop(jobs, job);
    if (!job->waiters) {
        job_finish(jobs, job, -EIO);
        return;
    }
    job->restarts++;
    start(jobs, job);
}

void jobs_restart(struct jobs *jobs, const struct views *views)
{
    struct job *next;

    jobs->recheck_until = now_ms() + JOBS_RECHECK_MS;
    for (struct job *job = jobs->all; job; job = next) {
        next = job->next;
        if (job->views == views)
            restart(jobs, job);
    }
}

/* The job's process ended before its last frame. */
static void fail_ended(struct jobs *jobs, struct job *job)
{
    job_count_end(job);
    finish(jobs, job, -EIO);
}

/* Reads a piece of what the job has sent. */
static void read_job(struct jobs *jobs, struct job *job)
{
    int more = frames_read(&job->frames, job->fd);

    if (more == -EINTR || more == -EAGAIN)
        return;
    if (more > 0) {
        job->received_at = now_ms();
        take_frames(jobs, job);
        return;
    }
    close(job->fd);
    job->fd = -1;
    if (job->state == JOB_ENDED)
        fail_ended(jobs, job);
    else
        job->state = JOB_CLOSED;
}

/* The job that writes to that descriptor, or NULL. */
static struct job *find_writer(const struct jobs *jobs, int fd)
{
    struct job *job = jobs->all;

    while (job && job->fd != fd)
        job = job->next;
    return job;
}

static void take_started(struct jobs *jobs, struct job *job, const struct wire_answer *a, int fd)
{
    if (fd >= 0)
        job->fd = fd;
    else
        fail_to_start(jobs, job, -a->status);
}

static void take_ended(struct jobs *jobs, struct job *job, const struct wire_answer *a)
{
    job->status = a->status;
    if (job->state == JOB_CLOSED)
        fail_ended(jobs, job);
    else
        job->state = JOB_ENDED;
}

static void take_rechecked(struct jobs *jobs, const struct wire_answer *a, int fd)
{
    const struct views *changed = jobs->config.rechecked(jobs->config.context, a, fd);

    if (changed)
        jobs_restart(jobs, changed);
    recheck_end(jobs, 0);
}

static void take_answer(struct jobs *jobs, const struct wire_answer *a, int fd)
{
    struct job *job = a->job ? find_job(jobs, a->job) : NULL;

    if (a->kind == WIRE_RECHECKED && jobs->config.rechecked) {
        take_rechecked(jobs, a, fd);
        return;
    }
    if (a->is_gone)
        jobs_reap(jobs, a->job);
    if (fd >= 0 && !(job && a->kind == WIRE_STARTED && job->fd < 0)) {
        close(fd);
        return;
    }
    if (job && a->kind == WIRE_STARTED)
        take_started(jobs, job, a, fd);
    else if (job && a->kind == WIRE_ENDED)
        take_ended(jobs, job, a);
}

/* The monitor is gone: the ends of its jobs will not be reported. */
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

bool jobs_are_idle(const struct jobs *jobs)
{
    return !jobs->all && !jobs->recheck_waiters && !jobs->finished && !jobs->dismissed &&
           now_ms() >= jobs->recheck_until;
}

int jobs_poll(struct jobs *jobs, struct pollfd *fds, nfds_t *count)
{
    int64_t first = recheck_deadline(jobs), now = now_ms();
    bool is_ready = false;

    if (jobs->finished || jobs->dismissed)
        first = now;
    *count = 0;
    fds[(*count)++] = (struct pollfd){.fd = jobs->monitor, .events = POLLIN};
    for (const struct job *job = jobs->all; job; job = job->next) {
        first = min_ms(first, job_deadline(jobs, job));
        is_ready |= job->state == JOB_QUEUED && !job_must_wait(jobs, job);
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

/* Does what is due for a job. It may be finished then. */
static void do_due(struct jobs *jobs, struct job *job, int64_t now)
{
    job_dismiss_late(jobs, job, now);
    if (job_is_held_up(jobs, job) && jobs->config.stall_ms &&
        now - job->received_at >= jobs->config.stall_ms) {
        fail(jobs, job, "could not be started: processes that were killed before have not ended");
        return;
    }
    if (job->id && jobs->config.stall_ms && now - job->received_at >= jobs->config.stall_ms) {
        fail_running(jobs, job, "was killed: it sent nothing for %d s",
                     (int)(jobs->config.stall_ms / 1000));
        return;
    }
    if (now >= job_overdue_at(job)) {
        fail_running(jobs, job, "was killed: it lasted %d times its cpu-limit", JOBS_LASTING);
        return;
    }
    if (job->left_at < 0 || now - job->left_at < JOBS_LINGER_MS)
        return;
    stop(jobs, job);
    job_finish(jobs, job, -EIO);
}

/* Does not count a suspension of this process, or of the machine, as silence of jobs. */
static void add_grace(struct jobs *jobs, int64_t ms)
{
    for (struct job *job = jobs->all; job; job = job->next)
        job->received_at += ms;
}

void jobs_handle(struct jobs *jobs, const struct pollfd *fds, nfds_t count)
{
    int64_t now = now_ms();
    struct job *next;

    if (now > jobs->wakes_at && now - jobs->wakes_at > JOBS_LATE_MS)
        add_grace(jobs, now - jobs->wakes_at);
    if (fds[0].revents && jobs->monitor >= 0)
        read_monitor(jobs);
    for (nfds_t i = 1; i < count; i++) {
        struct job *job = fds[i].revents ? find_writer(jobs, fds[i].fd) : NULL;

        if (job)
            read_job(jobs, job);
        jobs_resume(jobs);
    }
    if (now >= recheck_deadline(jobs))
        recheck_end(jobs, 0);
    for (struct job *job = jobs->all; job; job = next) {
        next = job->next;
        do_due(jobs, job, now);
    }
    start_queued(jobs);
    jobs_resume(jobs);
}
