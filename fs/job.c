// SPDX-License-Identifier: Apache-2.0
/* A job: only reads the image, and only writes to its pipe. */
#include "job.h"

#include <string.h>

#include "passes.h"
#include "wire.h"

/* Frames on their way: a pass has hundreds, most of them short. */
struct frames {
    int out;
    size_t used;
    char buffer[16 << 10];
};

static int flush(struct frames *frames)
{
    int error = frames->used ? wire_write(frames->out, frames->buffer, frames->used) : 0;

    frames->used = 0;
    return error;
}

static int write_bytes(struct frames *frames, const void *bytes, size_t length)
{
    int error = 0;

    if (length > sizeof frames->buffer - frames->used)
        error = flush(frames);
    if (error || !length)
        return error;
    if (length > sizeof frames->buffer)
        return wire_write(frames->out, bytes, length);
    memcpy(frames->buffer + frames->used, bytes, length);
    frames->used += length;
    return 0;
}

static int write_frame(struct frames *frames, enum wire_frame_kind kind, uint32_t node, int error,
                       const void *bytes, size_t length)
{
    struct wire_frame frame = {kind, node, error, (uint32_t)length};
    int failed = write_bytes(frames, &frame, sizeof frame);

    return failed ? failed : write_bytes(frames, bytes, length);
}

static int emit_file(void *context, const struct node *node, int error, const struct text *text)
{
    return write_frame(context, WIRE_FILE, (uint32_t)node_index(node), error, text->bytes,
                       error ? 0 : text->length);
}

int job_run(enum pass pass, int fd, const struct open_options *options, int out)
{
    struct frames frames = {.out = out};
    struct pass_report report;
    int error = pass_run(pass, fd, options, emit_file, &frames, &report);

    if (!error)
        error = write_frame(&frames, WIRE_PROBLEMS, 0, 0, report.problems, strlen(report.problems));
    if (!error)
        error = write_frame(&frames, WIRE_BYTES_READ, 0, 0, &report.bytes_read,
                            sizeof report.bytes_read);
    if (!error)
        error = write_frame(&frames, WIRE_END, 0, 0, NULL, 0);
    if (!error)
        error = flush(&frames);
    return error ? 1 : 0;
}
