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

#include "passes.h"
#include "wire.h"

enum {
    READ_BYTES = 64 << 10,
    ERRNOS = 512, /* the kernel takes no answer with an errno from here on */
};

static const char *const pass_names[PASSES] = {
    [PASS_HEADER] = "header",
    [PASS_CONTENT] = "content",
    [PASS_MEASURE] = "measure",
    [PASS_SCAN] = "scan",
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int jobs_begin(struct jobs *jobs, int monitor)
{
    *jobs = (struct jobs){.monitor = monitor};
    jobs->results = calloc(nodes_count(), sizeof(struct result *));
    if (!jobs->results)
        return -ENOMEM;
    for (size_t i = 0; i < PASSES; i++) {
        struct pass_job *p = &jobs->passes[i];

        *p = (struct pass_job){.fd = -1, .left_at = -1};
        p->results = calloc(nodes_count(), sizeof(struct result *));
        if (!p->results)
            return -ENOMEM;
    }
    return 0;
}

static void drop_results(struct result **results)
{
    for (size_t i = 0; results && i < nodes_count(); i++) {
        result_drop(results[i]);
        results[i] = NULL;
    }
}

/* Forgets what has come from the job so far, and its pipe. */
static void forget_job(struct pass_job *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->length = 0;
    p->at_end = p->ended = false;
    p->bytes_read = 0;
    text_free(&p->problems);
    drop_results(p->results);
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

void jobs_end(struct jobs *jobs)
{
    for (size_t i = 0; i < PASSES; i++) {
        resume_all(&jobs->passes[i], -EIO);
        forget_job(&jobs->passes[i]);
        free(jobs->passes[i].results);
        free(jobs->passes[i].buffer);
    }
    drop_results(jobs->results);
    free(jobs->results);
    text_free(&jobs->problems);
    if (jobs->monitor >= 0)
        close(jobs->monitor);
}

bool jobs_is_known(const struct jobs *jobs, const struct node *node)
{
    return node->pass < PASS_HEADER || jobs->results[node_index(node)];
}

/* Publishes what the job computed. */
static void publish(struct jobs *jobs, struct pass_job *p)
{
    for (size_t i = 0; i < nodes_count(); i++)
        if (p->results[i]) {
            result_drop(jobs->results[i]);
            jobs->results[i] = p->results[i];
            p->results[i] = NULL;
        }
    text_add_lines_once(&jobs->problems, p->problems.bytes, p->problems.length);
    jobs->bytes_read += p->bytes_read;
}

/* Forgets what a pass has published. */
static void forget_published(struct jobs *jobs, enum pass pass)
{
    for (size_t i = 0; i < nodes_count(); i++)
        if (pass_may_emit(pass, nodes[i].pass)) {
            result_drop(jobs->results[i]);
            jobs->results[i] = NULL;
        }
}

/* The job is over. */
static void finish(struct jobs *jobs, struct pass_job *p, int error)
{
    bool torn = p->torn;

    if (torn && !error)
        text_add(&p->problems, "the image changed while it was read, again and again: what was "
                               "read may not fit together\n");
    if (!error)
        publish(jobs, p);
    forget_job(p);
    p->is_running = p->restarted = p->torn = false;
    p->left_at = -1;
    resume_all(p, error);
    if (torn)
        forget_published(jobs, (enum pass)(p - jobs->passes));
}

static void request(struct jobs *jobs, enum wire_request_kind kind, struct pass_job *p)
{
    struct wire_request r = {kind, p->id, (uint32_t)(p - jobs->passes)};

    if (jobs->monitor < 0 || wire_send(jobs->monitor, &r, sizeof r, -1) < 0)
        p->ended = p->at_end = true;
}

/* Ends a job whose monitor, process or words have failed: its readers get EIO, `problems` says why.
 */
static void fail(struct jobs *jobs, struct pass_job *p, const char *format, int number)
{
    text_add(&p->problems, "the %s job ", pass_names[p - jobs->passes]);
    text_add(&p->problems, format, number);
    text_add_lines_once(&jobs->problems, p->problems.bytes, p->problems.length);
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
    struct pass_job *p;

    /* A full scan that runs will tell what measure/ has to know. */
    if (waiter->pass == PASS_MEASURE && jobs->passes[PASS_SCAN].is_running)
        waiter->pass = PASS_SCAN;
    p = &jobs->passes[waiter->pass];
    waiter->next = p->waiters;
    waiter->since = now_ms();
    p->waiters = waiter;
    p->left_at = -1;
    if (!p->is_running)
        start(jobs, p);
}

void jobs_leave(struct jobs *jobs, struct waiter *waiter)
{
    struct pass_job *p = &jobs->passes[waiter->pass];
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
    drop_results(jobs->results);
    text_free(&jobs->problems);
    for (size_t i = PASS_HEADER; i < PASSES; i++) {
        struct pass_job *p = &jobs->passes[i];

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

/* Takes one whole frame. Returns 0; 1: it was the last; -EPROTO: it makes no sense. */
static int take_frame(struct jobs *jobs, struct pass_job *p, const struct wire_frame *f,
                      const char *bytes)
{
    switch (f->kind) {
    case WIRE_FILE:
        if (f->node >= nodes_count() ||
            !pass_may_emit((enum pass)(p - jobs->passes), nodes[f->node].pass) || f->error > 0 ||
            f->error <= -ERRNOS)
            return -EPROTO;
        result_drop(p->results[f->node]);
        p->results[f->node] = result_new(f->error, bytes, f->length);
        return p->results[f->node] ? 0 : -EPROTO;
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

/* Takes all whole frames in the buffer. As take_frame(). */
static int take_frames(struct jobs *jobs, struct pass_job *p)
{
    struct wire_frame frame;
    size_t used = 0;
    int taken = 0;

    while (!taken && p->length - used >= sizeof frame) {
        memcpy(&frame, p->buffer + used, sizeof frame);
        if (frame.length > TEXT_BYTES_MAX)
            return -EPROTO;
        if (p->length - used - sizeof frame < frame.length)
            break;
        taken = take_frame(jobs, p, &frame, p->buffer + used + sizeof frame);
        used += sizeof frame + frame.length;
    }
    memmove(p->buffer, p->buffer + used, p->length - used);
    p->length -= used;
    return taken;
}

/* Makes room for another piece. The buffer never holds more than one frame and a piece. */
static int grow_buffer(struct pass_job *p)
{
    size_t capacity = p->length + READ_BYTES;
    char *buffer = p->buffer;

    if (capacity > p->capacity) {
        buffer = realloc(p->buffer, capacity);
        if (!buffer)
            return -ENOMEM;
        p->buffer = buffer;
        p->capacity = capacity;
    }
    return 0;
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
    ssize_t n = grow_buffer(p) < 0 ? -1 : read(p->fd, p->buffer + p->length, READ_BYTES);
    int taken;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close(p->fd);
        p->fd = -1;
        p->at_end = true;
        if (p->ended)
            fail_ended(jobs, p);
        return;
    }
    p->length += (size_t)n;
    taken = take_frames(jobs, p);
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
    for (size_t i = 0; i < PASSES; i++)
        if (jobs->passes[i].is_running && jobs->passes[i].id == id)
            return &jobs->passes[i];
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
    for (size_t i = 0; i < PASSES; i++)
        if (jobs->passes[i].is_running)
            fail(jobs, &jobs->passes[i], "was lost: the monitor is gone", 0);
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

int jobs_poll(struct jobs *jobs, struct pollfd *fds)
{
    int64_t first = INT64_MAX, rest;

    for (size_t i = 0; i < PASSES; i++) {
        const struct pass_job *p = &jobs->passes[i];
        int64_t next = p->is_running ? deadline(jobs, p) : INT64_MAX;

        fds[i] = (struct pollfd){.fd = p->fd, .events = POLLIN};
        first = next < first ? next : first;
    }
    fds[PASSES] = (struct pollfd){.fd = jobs->monitor, .events = POLLIN};
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

    if (fds[PASSES].revents && jobs->monitor >= 0)
        read_monitor(jobs);
    for (size_t i = 0; i < PASSES; i++) {
        struct pass_job *p = &jobs->passes[i];

        if (fds[i].revents && p->fd >= 0 && p->fd == fds[i].fd)
            read_job(jobs, p);
        if (p->is_running && jobs->patience_ms)
            lose_patience(jobs, p, now);
        if (p->is_running && p->left_at >= 0 && now - p->left_at >= JOBS_LINGER_MS)
            cancel(jobs, p);
    }
}
