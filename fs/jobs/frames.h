/* SPDX-License-Identifier: Apache-2.0 */
/* Splits what a job writes into frames. Checks their lengths, and the total. */
#ifndef FS_JOBS_FRAMES_H
#define FS_JOBS_FRAMES_H

#include "wire.h"

/* What was received and not taken yet. All zero: nothing. */
struct frames {
    char *buffer;
    size_t start, length, capacity; /* length: of what is at start */
    uint64_t total;                 /* bytes received */
};

/* Reads a piece. Returns 1; 0 at the end of file; -errno (EAGAIN, EINTR: nothing was read). */
int frames_read(struct frames *frames, int fd);

/* Takes the next whole frame; its bytes are valid until the next read. Returns 1; 0: not received
 * yet; -EPROTO: it is longer than TEXT_BYTES_MAX, or more than FRAMES_BYTES_MAX were received. */
int frames_next(struct frames *frames, struct wire_frame *frame, const char **bytes);

/* Drops what was received, and frees the buffer. */
void frames_end(struct frames *frames);

#endif
