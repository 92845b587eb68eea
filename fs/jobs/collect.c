// SPDX-License-Identifier: Apache-2.0
/* The job that collects the references of an image. */
#include "collect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "children.h"
#include "fs/tree/clock.h"
#include "fs/tree/limits.h"
#include "job.h"
#include "received.h"

enum { END_MS = 200 }; /* how long a killed job is waited for */

/* The strings of a frame, without terminators. */
struct strings {
    const char *bytes;
    size_t length;
};

/* Copies the next length bytes as a string. NULL: there are not as many, or out of memory. */
static char *take_string(struct strings *strings, size_t length)
{
    char *string = length <= strings->length ? malloc(length + 1) : NULL;

    if (!string)
        return NULL;
    memcpy(string, strings->bytes, length);
    string[length] = '\0';
    strings->bytes += length;
    strings->length -= length;
    return string;
}

/* Adds the reference in a frame. Returns 0 or -errno. */
static int take_reference(struct reference_list *references, const char *bytes, size_t length)
{
    struct wire_reference head;
    struct strings strings;
    char *kind, *source, *format = NULL, *path;
    int error = -EPROTO;

    if (length < sizeof head)
        return -EPROTO;
    memcpy(&head, bytes, sizeof head);
    strings = (struct strings){bytes + sizeof head, length - sizeof head};
    kind = take_string(&strings, head.kind);
    source = take_string(&strings, head.source);
    if (head.format != UINT32_MAX)
        format = take_string(&strings, head.format);
    path = take_string(&strings, head.path);
    if (kind && source && path && (format || head.format == UINT32_MAX) &&
        head.role <= REFERENCE_OTHER && !strings.length)
        error = reference_list_add(references, &(struct reference){
                                                   .role = (enum reference_role)head.role,
                                                   .kind = kind,
                                                   .source = source,
                                                   .format = format,
                                                   .path = path,
                                                   .length = head.path,
                                                   .is_windows = head.is_windows != 0,
                                               });
    free(kind);
    free(source);
    free(format);
    free(path);
    return error;
}

/* Takes the whole frames that were received: those that the front takes, and references. Returns 1
 * after the last frame; 0 or -errno. */
static int take_frames(struct job *job, struct reference_list *references)
{
    struct wire_frame frame;
    const char *bytes;
    int error = 0, more;

    while (!error && (more = frames_next(&job->frames, &frame, &bytes)) != 0) {
        if (more < 0)
            error = more;
        else if (frame.kind == WIRE_REFERENCE)
            error = take_reference(references, bytes, frame.length);
        else
            error = job_take_frame(job, &frame, bytes);
    }
    return error;
}

/* Moves the job's results. */
static void move_results(struct collected *collected, struct job *job)
{
    collected->results = job->results;
    collected->problems = job->problems;
    collected->cost = job->cost;
    job->results = (struct results){.lists = NULL};
    job->problems = (struct text){.bytes = NULL};
}

int collect_frames(int fd, struct reference_list *references, struct collected *collected)
{
    int64_t end = now_ms() + COLLECT_TIMEOUT_MS, rest;
    struct job job = {.task = {.pass = PASS_HEADER}, .fd = -1, .bytes_limit = FRAMES_BYTES_MAX};
    int taken = 0, more = 1;

    while (taken == 0 && more > 0 && (rest = end - now_ms()) > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        if (poll(&wait, 1, (int)rest) <= 0)
            continue;
        do
            more = frames_read(&job.frames, fd);
        while (more == -EINTR);
        if (more > 0)
            taken = take_frames(&job, references);
    }
    if (collected)
        collected->sandbox = job.sandbox;
    if (collected && taken == 1)
        move_results(collected, &job);
    frames_end(&job.frames);
    text_free(&job.problems);
    results_forget(&job.results);
    return taken;
}

void collected_end(struct collected *collected)
{
    results_forget(&collected->results);
    text_free(&collected->problems);
    collected->cost = (struct wire_cost){.bytes = 0};
}

int collect_references(struct layers *layers, unsigned layer, const struct open_options *options,
                       const struct sandbox_options *sandbox, struct reference_list *references,
                       struct collected *collected)
{
    struct job_order order = {.task = {.view = view_named(VIEW_LAYER, layer), .pass = PASS_HEADER},
                              .layers = layers,
                              .options = options,
                              .sends_references = true,
                              .sandbox = *sandbox};
    int pipe_fds[2], taken;
    pid_t pid, parent = getpid();

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(pipe_fds[0]);
        order.out = pipe_fds[1];
        job_run(&order);
    }
    close(pipe_fds[1]);
    taken = pid < 0 ? -EAGAIN : collect_frames(pipe_fds[0], references, collected);
    close(pipe_fds[0]);
    if (pid < 0)
        return taken;
    kill(pid, SIGKILL);
    children_await(pid, END_MS);
    if (taken != 1) {
        reference_list_end(references);
        if (collected)
            collected_end(collected);
    }
    return taken == -ENOMEM ? taken : taken == 1;
}
