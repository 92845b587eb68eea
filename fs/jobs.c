// SPDX-License-Identifier: Apache-2.0
/* Jobs, as the front sees them. */
#include "jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "passes.h"
#include "wire.h"

enum { ERRNOS = 512 }; /* the kernel takes no answer with an errno from here on */

static const char *const pass_names[PASSES] = {
    [PASS_HEADER] = "header",
    [PASS_CONTENT] = "content",
    [PASS_MEASURE] = "measure",
    [PASS_SCAN] = "scan",
};

/* The running or idle job of number i, over all views. */
static struct pass_job *job_at(const struct jobs *jobs, size_t i)
{
    return &jobs->views[i / PASSES].passes[i % PASSES];
}

static size_t jobs_count(const struct jobs *jobs)
{
    return (size_t)jobs->views_count * PASSES;
}

int jobs_begin(struct jobs *jobs, int monitor, unsigned views_count)
{
    *jobs = (struct jobs){.monitor = monitor, .views_count = views_count};
    jobs->views = calloc(views_count, sizeof *jobs->views);
    if (!jobs->views)
        return -ENOMEM;
    for (size_t i = 0; i < jobs_count(jobs); i++)
        *job_at(jobs, i) = (struct pass_job){.view = (unsigned)(i / PASSES),
                                             .pass = (enum pass)(i % PASSES),
                                             .fd = -1,
                                             .left_at = -1};
    return 0;
}

/* Forgets what has come from the job so far, and its pipe. */
static void forget_job(struct pass_job *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    frames_end(&p->frames);
    p->at_end = p->ended = false;
    p->bytes_read = 0;
    text_free(&p->problems);
    results_forget(&p->results);
}

/* All who wait for the pass go on. */
static void resume_all(struct pass_job *p, int error)
{
    struct waiter *waiters = p->waiters;

    p->waiters = NULL;
    while (waiters) {
        struct waiter *w = waiters;

        waiters = w->next;
        w->resume(w, error);
    }
}

static void forget_view(struct view *view)
{
    results_forget(&view->results);
    text_free(&view->problems);
}

void jobs_end(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs_count(jobs); i++) {
        resume_all(job_at(jobs, i), -EIO);
        forget_job(job_at(jobs, i));
    }
    for (unsigned i = 0; i < jobs->views_count; i++)
        forget_view(&jobs->views[i]);
    free(jobs->views);
    if (jobs->monitor >= 0)
        close(jobs->monitor);
}

bool jobs_is_known(const struct jobs *jobs, const struct place *place)
{
    const struct node *node = place->node;
    const struct place known = {place->view, place->number, node};

    return node->pass < PASS_HEADER || results_get(&jobs->views[place->view].results, &known);
}

/* Publishes what the job computed. 0 or -ENOMEM. */
static int publish(struct jobs *jobs, struct pass_job *p)
{
    struct view *view = &jobs->views[p->view];

    text_add_lines_once(&view->problems, p->problems.bytes, p->problems.length);
    view->bytes_read += p->bytes_read;
    return results_move(&view->results, &p->results);
}

/* Forgets what a pass has published. */
static void forget_published(struct jobs *jobs, const struct pass_job *p)
{
    for (const struct node *n = nodes; n->path; n++)
        if (pass_may_emit(p->pass, n->pass))
            results_forget_node(&jobs->views[p->view].results, n);
}

/* The job is over. */
static void finish(struct jobs *jobs, struct pass_job *p, int error)
{
    bool torn = p->torn;

    if (torn && !error)
        text_add(&p->problems, "the image changed while it was read, again and again: what was "
                               "read may not fit together\n");
    if (!error)
        error = publish(jobs, p);
    forget_job(p);
    p->is_running = p->restarted = p->torn = false;
    p->left_at = -1;
    resume_all(p, error);
    if (torn)
        forget_published(jobs, p);
}

static void request(struct jobs *jobs, enum wire_request_kind kind, struct pass_job *p)
{
    struct wire_request r = {kind, p->id, p->view, (uint32_t)p->pass};

    if (jobs->monitor < 0 || wire_send(jobs->monitor, &r, sizeof r, -1) < 0)
        p->ended = p->at_end = true;
}

/* Ends a job whose monitor, process or words have failed: its readers get EIO, `problems` says why.
 */
static void fail(struct jobs *jobs, struct pass_job *p, const char *format, int number)
{
    text_add(&p->problems, "the %s job ", pass_names[p->pass]);
    text_add(&p->problems, format, number);
    text_add_lines_once(&jobs->views[p->view].problems, p->problems.bytes, p->problems.length);
    finish(jobs, p, -EIO);
}

static void start(struct jobs *jobs, struct pass_job *p)
{
    forget_job(p);
    p->is_running = true;
    p->id = ++jobs->last_id;
    request(jobs, WIRE_START, p);
    if (p->ended)
        fail(jobs, p, "could not be started: the monitor is gone", 0);
}

/* Kills the job and forgets it. */
static void cancel(struct jobs *jobs, struct pass_job *p)
{
    request(jobs, WIRE_KILL, p);
    forget_job(p);
    p->is_running = false;
    p->left_at = -1;
}

void jobs_wait(struct jobs *jobs, struct waiter *waiter)
{
    struct pass_job *passes = jobs->views[waiter->view].passes, *p;

    /* A full scan that runs will tell what measure/ has to know. */
    if (waiter->pass == PASS_MEASURE && passes[PASS_SCAN].is_running)
        waiter->pass = PASS_SCAN;
    p = &passes[waiter->pass];
    waiter->next = p->waiters;
    waiter->since = now_ms();
    p->waiters = waiter;
    p->left_at = -1;
    if (!p->is_running)
        start(jobs, p);
}

void jobs_leave(struct jobs *jobs, struct waiter *waiter)
{
    struct pass_job *p = &jobs->views[waiter->view].passes[waiter->pass];
    struct waiter **link = &p->waiters;

    while (*link && *link != waiter)
        link = &(*link)->next;
    if (*link)
        *link = waiter->next;
    if (!p->waiters)
        p->left_at = now_ms();
}

void jobs_forget(struct jobs *jobs)
{
    for (unsigned i = 0; i < jobs->views_count; i++)
        forget_view(&jobs->views[i]);
    for (size_t i = 0; i < jobs_count(jobs); i++) {
        struct pass_job *p = job_at(jobs, i);

        if (!p->is_running)
            continue;
        if (p->restarted) {
            p->torn = true;
            continue;
        }
        cancel(jobs, p);
        if (p->waiters) {
            start(jobs, p);
            p->restarted = true;
        }
    }
}

/* Takes a file's text. */
static int take_file(struct pass_job *p, const struct place *place, const struct wire_frame *f,
                     const char *bytes)
{
    struct result *result;

    if (!pass_may_emit(p->pass, place->node->pass) || f->error > 0 || f->error <= -ERRNOS)
        return -EPROTO;
    result = result_new(f->error, bytes, f->length);
    return result ? results_put(&p->results, place, result) : -ENOMEM;
}

/* Takes one whole frame. Returns 0; 1: it was the last; -EPROTO: it makes no sense. */
static int take_frame(struct pass_job *p, const struct wire_frame *f, const char *bytes)
{
    struct place place = {.view = p->view, .number = f->number, .node = nodes};

    if (f->node >= nodes_count())
        return -EPROTO;
    place.node = &nodes[f->node];
    switch (f->kind) {
    case WIRE_FILE:
        return take_file(p, &place, f, bytes);
    case WIRE_COUNT:
        return results_set_count(&p->results, &place, f->number);
    case WIRE_REFERENCE: /* it was decided on them before */
        return 0;
    case WIRE_PROBLEMS:
        text_add_lines_once(&p->problems, bytes, f->length);
        return 0;
    case WIRE_BYTES_READ:
        if (f->length != sizeof p->bytes_read)
            return -EPROTO;
        memcpy(&p->bytes_read, bytes, sizeof p->bytes_read);
        return 0;
    case WIRE_END:
        return 1;
    default:
        return -EPROTO;
    }
}

/* Takes all whole frames that have come. As take_frame(). */
static int take_frames(struct pass_job *p)
{
    struct wire_frame frame;
    const char *bytes;
    int taken = 0, more;

    while (!taken && (more = frames_next(&p->frames, &frame, &bytes)) != 0)
        taken = more < 0 ? more : take_frame(p, &frame, bytes);
    return taken;
}

/* Says how a job without its last frame ended. */
static void fail_ended(struct jobs *jobs, struct pass_job *p)
{
    if (WIFSIGNALED(p->status))
        fail(jobs, p, "was killed by signal %d", WTERMSIG(p->status));
    else
        fail(jobs, p, "failed with status %d", WEXITSTATUS(p->status));
}

/* Reads a piece of what the job says. */
static void read_job(struct jobs *jobs, struct pass_job *p)
{
    int more = frames_read(&p->frames, p->fd), taken;

    if (more == -EINTR || more == -EAGAIN)
        return;
    if (more <= 0) {
        close(p->fd);
        p->fd = -1;
        p->at_end = true;
        if (p->ended)
            fail_ended(jobs, p);
        return;
    }
    taken = take_frames(p);
    if (taken == 1) {
        finish(jobs, p, 0);
    } else if (taken < 0) {
        request(jobs, WIRE_KILL, p);
        fail(jobs, p, "did not keep to its protocol (error %d)", -taken);
    }
}

/* The running pass with that job, or NULL: it was cancelled or is done. */
static struct pass_job *find_job(struct jobs *jobs, uint32_t id)
{
    for (size_t i = 0; i < jobs_count(jobs); i++)
        if (job_at(jobs, i)->is_running && job_at(jobs, i)->id == id)
            return job_at(jobs, i);
    return NULL;
}

static void take_answer(struct jobs *jobs, const struct wire_answer *a, int fd)
{
    struct pass_job *p = find_job(jobs, a->job);

    if (fd >= 0 && !(p && a->kind == WIRE_STARTED && p->fd < 0)) {
        close(fd);
        return;
    }
    if (!p)
        return;
    if (a->kind == WIRE_STARTED && fd >= 0) {
        p->fd = fd;
    } else if (a->kind == WIRE_STARTED) {
        fail(jobs, p, "could not be started (error %d)", -a->status);
    } else if (a->kind == WIRE_ENDED) {
        p->ended = true;
        p->status = a->status;
        if (p->at_end)
            fail_ended(jobs, p);
    }
}

/* The monitor is gone: what runs can still be read, but how it ends will not be told. */
static void lose_monitor(struct jobs *jobs)
{
    close(jobs->monitor);
    jobs->monitor = -1;
    for (size_t i = 0; i < jobs_count(jobs); i++)
        if (job_at(jobs, i)->is_running)
            fail(jobs, job_at(jobs, i), "was lost: the monitor is gone", 0);
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

/* The time at which something has to be done about a running job without an event; INT64_MAX:
 * never. */
static int64_t deadline(const struct jobs *jobs, const struct pass_job *p)
{
    int64_t first = INT64_MAX;

    if (p->left_at >= 0)
        first = p->left_at + JOBS_LINGER_MS;
    for (const struct waiter *w = p->waiters; w && jobs->patience_ms; w = w->next)
        first = w->since + jobs->patience_ms < first ? w->since + jobs->patience_ms : first;
    return first;
}

size_t jobs_pollfds(const struct jobs *jobs)
{
    return jobs_count(jobs) + 1;
}

int jobs_poll(struct jobs *jobs, struct pollfd *fds)
{
    int64_t first = INT64_MAX, rest;

    for (size_t i = 0; i < jobs_count(jobs); i++) {
        const struct pass_job *p = job_at(jobs, i);
        int64_t next = p->is_running ? deadline(jobs, p) : INT64_MAX;

        fds[i] = (struct pollfd){.fd = p->fd, .events = POLLIN};
        first = next < first ? next : first;
    }
    fds[jobs_count(jobs)] = (struct pollfd){.fd = jobs->monitor, .events = POLLIN};
    if (first == INT64_MAX)
        return -1;
    rest = first - now_ms();
    return rest < 0 ? 0 : (int)rest;
}

/* Sends those away who have waited too long: they may come back for what their job will have found.
 */
static void lose_patience(struct jobs *jobs, struct pass_job *p, int64_t now)
{
    struct waiter **link = &p->waiters;

    while (*link) {
        struct waiter *w = *link;

        if (now - w->since < jobs->patience_ms) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->resume(w, -EINTR);
    }
}

void jobs_handle(struct jobs *jobs, const struct pollfd *fds)
{
    int64_t now = now_ms();

    if (fds[jobs_count(jobs)].revents && jobs->monitor >= 0)
        read_monitor(jobs);
    for (size_t i = 0; i < jobs_count(jobs); i++) {
        struct pass_job *p = job_at(jobs, i);

        if (fds[i].revents && p->fd >= 0 && p->fd == fds[i].fd)
            read_job(jobs, p);
        if (p->is_running && jobs->patience_ms)
            lose_patience(jobs, p, now);
        if (p->is_running && p->left_at >= 0 && now - p->left_at >= JOBS_LINGER_MS)
            cancel(jobs, p);
    }
}
