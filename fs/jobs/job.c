// SPDX-License-Identifier: Apache-2.0
/* A job: reads the image, and writes frames to its pipe. */
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "fs/sandbox/sanitizers.h"
#include "fs/tree/clock.h"
#include "fs/tree/run.h"
#include "wire.h"

enum { PROGRESS_MS = 100, ALIVE_MS = 1000 };

/* Frames are written in blocks: a pass has hundreds, most of them short. */
struct out {
    int fd;
    int64_t progress_at; /* when progress was sent last; ms */
    int64_t sent_at;     /* when anything was; ms */
    size_t used;
    char buffer[16 << 10];
};

static int flush(struct out *out)
{
    int error = out->used ? wire_write(out->fd, out->buffer, out->used) : 0;

    out->used = 0;
    out->sent_at = now_ms();
    return error;
}

static int write_bytes(struct out *out, const void *bytes, size_t length)
{
    int error = 0;

    if (length > sizeof out->buffer - out->used)
        error = flush(out);
    if (error || !length)
        return error;
    if (length > sizeof out->buffer)
        return wire_write(out->fd, bytes, length);
    memcpy(out->buffer + out->used, bytes, length);
    out->used += length;
    return 0;
}

static int write_frame(struct out *out, struct wire_frame frame, const void *bytes)
{
    int failed = write_bytes(out, &frame, sizeof frame);

    return failed ? failed : write_bytes(out, bytes, frame.length);
}

static int write_file(void *context, const struct place *place, int error, const struct text *text)
{
    return write_frame(context,
                       (struct wire_frame){.kind = WIRE_FILE,
                                           .node = (uint32_t)node_index(place->node),
                                           .number = place->number,
                                           .set = place->set,
                                           .value = error ? 0 : text->number,
                                           .error = error,
                                           .length = error ? 0 : (uint32_t)text->length},
                       text->bytes);
}

static int write_count(void *context, const struct place *directory, uint32_t count)
{
    return write_frame(context,
                       (struct wire_frame){.kind = WIRE_COUNT,
                                           .node = (uint32_t)node_index(directory->node),
                                           .number = count},
                       NULL);
}

/* Sends progress every PROGRESS_MS, without buffering it: a reader may be watching. */
static int write_progress(void *context, uint64_t done, uint64_t total)
{
    const struct wire_frame frame = {.kind = WIRE_PROGRESS, .length = sizeof(struct wire_progress)};
    const struct wire_progress progress = {done, total};
    struct out *out = context;
    int error;

    if (now_ms() - out->progress_at < PROGRESS_MS)
        return 0;
    out->progress_at = now_ms();
    error = write_frame(out, frame, &progress);
    return error ? error : flush(out);
}

/* Reports that the job is running if it has sent nothing for ALIVE_MS. An error is left to the next
 * frame, which fails too. */
static void write_alive(void *context)
{
    struct out *out = context;

    if (now_ms() - out->sent_at >= ALIVE_MS &&
        write_frame(out, (struct wire_frame){.kind = WIRE_ALIVE}, NULL) == 0)
        flush(out);
}

static int write_reference(void *context, const struct reference *r)
{
    struct wire_reference head = {.role = (uint32_t)r->role,
                                  .is_windows = r->is_windows,
                                  .kind = (uint32_t)strlen(r->kind),
                                  .source = (uint32_t)strlen(r->source),
                                  .format = r->format ? (uint32_t)strlen(r->format) : UINT32_MAX,
                                  .path = (uint32_t)r->length};
    uint32_t format = r->format ? head.format : 0;
    struct wire_frame frame = {.kind = WIRE_REFERENCE,
                               .length = (uint32_t)sizeof head + head.kind + head.source + format +
                                         head.path};
    int error = write_bytes(context, &frame, sizeof frame);

    if (!error)
        error = write_bytes(context, &head, sizeof head);
    if (!error)
        error = write_bytes(context, r->kind, head.kind);
    if (!error)
        error = write_bytes(context, r->source, head.source);
    if (!error)
        error = write_bytes(context, r->format, format);
    return error ? error : write_bytes(context, r->path, head.path);
}

/* Closes descriptors that the job does not need. */
static void close_others(const struct job_order *order)
{
    int keep[LAYERS_MAX + LAYERS_DATA_FILES_HELD + 3];
    unsigned count = layers_descriptors(order->layers, keep);

    _Static_assert(sizeof keep / sizeof *keep <= SANDBOX_KEPT_MAX, "room for all of them");
    keep[count++] = STDOUT_FILENO;
    if (order->layers->fetch)
        keep[count++] = order->layers->fetch_context;
    if (HAS_SANITIZERS)
        keep[count++] = STDERR_FILENO;
    sandbox_close_others(keep, count);
}

/* Enters the sandbox, and sends its state. Returns 0 or -errno. */
static int enter_sandbox(const struct job_order *order, struct out *out)
{
    const struct sandbox_options *options = &order->sandbox;
    const struct wire_frame frame = {.kind = WIRE_SANDBOX, .length = sizeof(struct sandbox_state)};
    const struct sandbox_process process = {
        .kind = order->layers->fetch ? SANDBOX_ASKING_JOB : SANDBOX_JOB,
        .keeps_user = order->layers->storage & STORAGE_ONE_USER,
        .filters = options->filters,
        .cpu_seconds =
            options->has_cpu_limit ? options->cpu_seconds : passes[order->task.pass].cpu_seconds};
    struct sandbox_state state;
    int failed = sandbox_enter(options->mode, &process, &state);
    int error = write_frame(out, frame, &state);

    if (!error) /* now: a job that was taken over later could change the buffer */
        error = flush(out);
    return failed ? failed : error;
}

/* Runs the task, and writes its frames. Returns 0 or -errno. */
static int run(const struct job_order *order, struct out *out)
{
    const struct pass_sink sink = {
        .context = out,
        .file = write_file,
        .count = write_count,
        .reference = order->sends_references ? write_reference : NULL,
        .progress = write_progress,
        .read = write_alive,
    };
    const struct wire_frame cost = {.kind = WIRE_COST, .length = sizeof(struct wire_cost)};
    struct wire_frame problems = {.kind = WIRE_PROBLEMS};
    struct pass_report report;
    int error = task_run(&order->task, order->set, order->layers, order->options, &sink, &report);

    problems.length = (uint32_t)strlen(report.problems);
    if (!error)
        error = write_frame(out, problems, report.problems);
    if (!error)
        error = write_frame(out, cost, &(struct wire_cost){report.bytes_read, report.reads});
    if (!error)
        error = write_frame(out, (struct wire_frame){.kind = WIRE_END}, NULL);
    return error ? error : flush(out);
}

void job_run(const struct job_order *order)
{
    struct out out = {.fd = STDOUT_FILENO, .sent_at = now_ms()};
    int error = dup2(order->out, STDOUT_FILENO) < 0 ? -errno : 0;

    close_others(order);
    if (!error && passes[order->task.pass].prepare)
        error = passes[order->task.pass].prepare();
    if (!error)
        error = enter_sandbox(order, &out);
    if (!error)
        error = run(order, &out);
    sandbox_exit(order->sandbox.mode, error ? 1 : 0);
}

int job_fetch_data_file(const struct layers *layers, unsigned layer, size_t reference)
{
    int socket = layers->fetch_context, fd = -1, received;
    const struct wire_open_request request = {layer, (uint32_t)reference};
    struct wire_open_answer answer;
    struct pollfd wait = {.fd = socket, .events = POLLIN};

    if (wire_send(socket, &request, sizeof request, -1) < 0)
        return -EIO;
    do {
        if (poll(&wait, 1, -1) < 0 && errno != EINTR)
            return -EIO;
        received = wire_receive(socket, &answer, sizeof answer, &fd);
    } while (received == 0);
    if (received < 0)
        return -EIO;
    return fd >= 0 ? fd : answer.status < 0 ? answer.status : -EIO;
}
