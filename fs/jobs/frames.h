/* SPDX-License-Identifier: Apache-2.0 */
/* The frames that a job writes, as they are read: whatever comes, a frame is whole and not too
 * long. */
#ifndef FS_JOBS_FRAMES_H
#define FS_JOBS_FRAMES_H

#include "wire.h"

/* What has come and was not taken yet. All zero: nothing. */
struct frames {
    char *buffer;
    size_t start, length, capacity; /* length: behind start */
    uint64_t total;                 /* that has come */
};

/* Reads a piece of what there is. 1; 0: the end; -errno (EAGAIN, EINTR: nothing now). */
int frames_read(struct frames *frames, int fd);

/* Takes the next whole frame, whose bytes live until the next read. 1; 0: there is none yet;
 * -EPROTO: it is too long, or too much has come. */
int frames_next(struct frames *frames, struct wire_frame *frame, const char **bytes);

/* Forgets what has come, and frees the buffer. */
void frames_end(struct frames *frames);

#endif
