// SPDX-License-Identifier: Apache-2.0
/* Splits what a job writes into frames. */
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree/limits.h"

enum { READ_BYTES = 64 << 10 };

/* Makes room for another piece. Callers take all whole frames before they read again, so the buffer
 * holds at most one frame and a piece. */
static int make_room(struct frames *frames)
{
    size_t capacity = frames->length + READ_BYTES;
    char *buffer;

    if (frames->length)
        memmove(frames->buffer, frames->buffer + frames->start, frames->length);
    frames->start = 0;
    if (capacity <= frames->capacity)
        return 0;
    buffer = realloc(frames->buffer, capacity);
    if (!buffer)
        return -ENOMEM;
    frames->buffer = buffer;
    frames->capacity = capacity;
    return 0;
}

int frames_read(struct frames *frames, int fd)
{
    int error = make_room(frames);
    ssize_t n;

    if (error)
        return error;
    n = read(fd, frames->buffer + frames->length, READ_BYTES);
    if (n < 0)
        return -errno;
    frames->length += (size_t)n;
    frames->total += (size_t)n;
    return n > 0;
}

int frames_next(struct frames *frames, struct wire_frame *frame, const char **bytes)
{
    if (frames->total > FRAMES_BYTES_MAX)
        return -EPROTO;
    if (frames->length < sizeof *frame)
        return 0;
    memcpy(frame, frames->buffer + frames->start, sizeof *frame);
    if (frame->length > TEXT_BYTES_MAX)
        return -EPROTO;
    if (frames->length - sizeof *frame < frame->length)
        return 0;
    *bytes = frames->buffer + frames->start + sizeof *frame;
    frames->start += sizeof *frame + frame->length;
    frames->length -= sizeof *frame + frame->length;
    return 1;
}

void frames_end(struct frames *frames)
{
    free(frames->buffer);
    *frames = (struct frames){.buffer = NULL};
}
