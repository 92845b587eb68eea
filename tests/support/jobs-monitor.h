/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of jobs: the monitor's end of the socket, the write ends of jobs' pipes, and waiters
 * that keep the error that they are resumed with. */
#ifndef TESTS_SUPPORT_JOBS_MONITOR_H
#define TESTS_SUPPORT_JOBS_MONITOR_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fs/jobs/jobs.h"
#include "fs/jobs/recheck.h"
#include "fs/tree/limits.h"
#include "support.h"

/* A waiter that counts how often it was resumed, and keeps the error. */
struct reader {
    struct waiter waiter; /* first */
    unsigned resumed;
    int error;
};

enum { VIEWS = 3 };

static struct jobs jobs;
static struct views views;
static struct option_sets sets;
static int monitor; /* the monitor's end of the socket; -1: closed */

static inline void resume_reader(struct waiter *waiter, int error)
{
    struct reader *reader = (struct reader *)waiter;

    reader->resumed++;
    reader->error = error;
}

static inline int begin_jobs(void **state)
{
    int ends[2];

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    monitor = ends[1];
    views.sharers = VIEWS;
    jobs_begin(&jobs, &(struct jobs_config){.monitor = ends[0], .sets = &sets});
    return 0;
}

static inline int end_jobs(void **state)
{
    (void)state;
    jobs_end(&jobs);
    views_end(&views);
    option_sets_end(&sets);
    if (monitor >= 0)
        close(monitor);
    return 0;
}

static inline void wait_for(struct reader *reader, enum pass_id pass)
{
    *reader = (struct reader){
        .waiter = {.task = {.pass = pass}, .views = &views, .resume = resume_reader}};
    jobs_wait(&jobs, &reader->waiter);
}

static inline void assert_waits(const struct reader *reader)
{
    assert_int_equal(reader->resumed, 0);
}

static inline void assert_resumed(const struct reader *reader, int error)
{
    jobs_resume(&jobs);
    assert_int_equal(reader->resumed, 1);
    assert_int_equal(reader->error, error);
}

/* The image has changed. */
static inline void change_image(void)
{
    views_forget(&views);
    jobs_restart(&jobs, &views);
}

/* Handles everything that has arrived or is due. */
static inline void settle(void)
{
    struct pollfd fds[JOBS_POLLFDS];
    nfds_t count;

    jobs_poll(&jobs, fds, &count);
    while (poll(fds, count, 0) > 0) {
        jobs_handle(&jobs, fds, count);
        jobs_poll(&jobs, fds, &count);
    }
    jobs_handle(&jobs, fds, count);
}

/* Runs the event loop for that time. */
static inline void run_for(int ms)
{
    struct timespec now, until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    do {
        struct pollfd fds[JOBS_POLLFDS];
        nfds_t count;
        int timeout = jobs_poll(&jobs, fds, &count);

        poll(fds, count, timeout < 0 || timeout > 20 ? 20 : timeout);
        jobs_handle(&jobs, fds, count);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - until.tv_sec) * 1000000000L + (now.tv_nsec - until.tv_nsec) < 0);
}

/* Asserts the kind and pass of the next request. Returns its job. */
static inline uint32_t assert_request(enum wire_request_kind kind, enum pass_id pass)
{
    struct wire_request request;
    int fd;

    assert_int_equal(wire_receive(monitor, &request, sizeof request, &fd), 1);
    assert_int_equal(fd, -1);
    assert_int_equal(request.kind, kind);
    assert_int_equal(request.pass, pass);
    return request.job;
}

static inline void assert_no_request(void)
{
    struct wire_request request;
    int fd;

    assert_int_equal(wire_receive(monitor, &request, sizeof request, &fd), 0);
}

static inline void answer(enum wire_answer_kind kind, uint32_t job, int status, int fd)
{
    struct wire_answer a = {
        .kind = kind, .job = job, .status = status, .is_gone = kind == WIRE_ENDED || status < 0};

    assert_int_equal(wire_send(monitor, &a, sizeof a, fd), 0);
}

/* Sends the first frame of a job. */
static inline void send_sandbox(int out)
{
    const struct sandbox_state state = {.failed = SANDBOX_LAYERS};
    const struct wire_frame frame = {.kind = WIRE_SANDBOX, .length = sizeof state};

    assert_int_equal(write(out, &frame, sizeof frame), sizeof frame);
    assert_int_equal(write(out, &state, sizeof state), sizeof state);
}

/* Reports the job as started. Returns the write end of its pipe, which is empty. */
static inline int report_started(uint32_t job)
{
    int pipe_fds[2];

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    answer(WIRE_STARTED, job, 0, pipe_fds[0]);
    close(pipe_fds[0]);
    assert_int_equal(fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK), 0);
    return pipe_fds[1];
}

/* The same, after the job has sent its sandbox frame. */
static inline int start_job(uint32_t job)
{
    int out = report_started(job);

    send_sandbox(out);
    return out;
}

/* Receives the request to start that pass, and starts the job. */
static inline int start_requested(enum pass_id pass, uint32_t *job)
{
    *job = assert_request(WIRE_START, pass);
    return start_job(*job);
}

/* Writes to the pipe, and lets the jobs read when it is full. */
static inline void send_bytes(int out, const void *bytes, size_t length)
{
    const char *p = bytes;

    for (unsigned tries = 0; length && tries < 1000; tries++) {
        ssize_t n = write(out, p, length);

        assert_true(n > 0 || errno == EAGAIN || errno == EPIPE);
        if (n < 0 && errno == EPIPE)
            return;
        if (n > 0) {
            p += n;
            length -= (size_t)n;
        }
        if (length)
            settle();
    }
    assert_int_equal(length, 0);
}

static inline void send_frame(int out, uint32_t kind, uint32_t node, int32_t error,
                              const void *bytes, size_t length)
{
    const struct wire_frame frame = {
        .kind = kind, .node = node, .error = error, .length = (uint32_t)length};

    send_bytes(out, &frame, sizeof frame);
    send_bytes(out, bytes, length);
}

static inline uint32_t index_of(const char *path)
{
    return (uint32_t)node_index(node_by_path(path));
}

static inline void send_file(int out, const char *path, const char *text)
{
    send_frame(out, WIRE_FILE, index_of(path), 0, text, strlen(text));
}

static inline void send_end(int out)
{
    send_frame(out, WIRE_END, 0, 0, NULL, 0);
}

/* The result of a file of view 0, or NULL. */
static inline const struct result *known(const char *path)
{
    const struct place place = {.node = node_by_path(path)};
    const struct result *result = results_get(&views_get(&views, 0)->results, &place);

    assert_int_equal(views_know(&views, &place), result != NULL);
    return result;
}

static inline void assert_known(const char *path, const char *text)
{
    const struct result *result = known(path);

    assert_non_null(result);
    assert_int_equal(result->error, 0);
    assert_int_equal(result->length, strlen(text));
    assert_memory_equal(result->bytes, text, strlen(text));
}

static inline void assert_problems(const char *expected)
{
    const struct text *problems = &views_get(&views, 0)->problems;

    if (problems->length != strlen(expected) ||
        (problems->length && memcmp(problems->bytes, expected, problems->length) != 0))
        fail_msg("problems are: %.*s", (int)problems->length, problems->bytes);
}

/* Asserts that `problems` has the key, which names one message. */
static inline void assert_problem(const char *key)
{
    const struct text *problems = &views_get(&views, 0)->problems;

    if (!problems->length || !memmem(problems->bytes, problems->length, key, strlen(key)))
        fail_msg("problems are: %.*s", (int)problems->length, problems->bytes);
}

/* Starts a job that has sent a file and a problem so far. Returns the write end of its pipe. */
static inline int half_a_job(struct reader *reader, enum pass_id pass, uint32_t *job)
{
    int out;

    wait_for(reader, pass);
    out = start_requested(pass, job);
    send_file(out, pass == PASS_HEADER ? "format" : "allocated_size", "half\n");
    send_frame(out, WIRE_PROBLEMS, 0, 0, "early\n", 6);
    settle();
    assert_waits(reader);
    return out;
}

static inline int timeout_now(void)
{
    struct pollfd fds[JOBS_POLLFDS];
    nfds_t count;

    return jobs_poll(&jobs, fds, &count);
}

/* The place of a file with options. */
static inline struct place place_of(const char *path)
{
    struct place place;
    struct reason why;

    assert_int_equal(option_sets_path(&sets, path, &place, &why), 0);
    return place;
}

static inline void wait_for_place(struct reader *reader, const struct place *place)
{
    *reader = (struct reader){
        .waiter = {.task = place_task(place), .views = &views, .resume = resume_reader}};
    jobs_wait(&jobs, &reader->waiter);
}

#endif
