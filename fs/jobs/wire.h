/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of a mount say to each other, in fixed frames.
 *
 * Front to monitor, on a sequenced-packet socket: struct wire_request. Monitor to front: struct
 * wire_answer, with the job's pipe as a descriptor when it says WIRE_STARTED. Whoever looks for
 * another file of the image's name to monitor: struct wire_news. Job to front, on that pipe: struct
 * wire_frame, each followed by its bytes; the last is WIRE_END. Each side takes what the other says
 * as possibly wrong. Job to its opener, on a socket of its own, where parts of the image are opened
 * when they are needed: struct wire_part, and struct wire_part_answer.
 */
#ifndef FS_JOBS_WIRE_H
#define FS_JOBS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "formats/targets/targets.h"

enum wire_request_kind {
    WIRE_START = 1,
    WIRE_KILL,
    WIRE_RECHECK, /* whether another file has the image's name now */
};

struct wire_request {
    uint32_t kind;
    uint32_t job;     /* a number that the front chose */
    uint32_t view;    /* WIRE_START */
    uint32_t pass;    /* WIRE_START: enum pass_id */
    uint32_t recheck; /* WIRE_START: WIRE_RECHECK first, and take that file */

    /* WIRE_START: for the files of that set of options alone; set is 0: of none. */
    uint32_t set;
    uint32_t directory; /* index in nodes[] */
    uint32_t target;    /* row of targets[] */
    struct target_options options;
};

enum wire_answer_kind {
    WIRE_STARTED = 1,
    WIRE_ENDED,
    WIRE_GONE,      /* the last process of a job whose end was told */
    WIRE_RECHECKED, /* status: as layers_recheck(); 0: the descriptor that comes with it is the image
                     */
};

struct wire_news {
    int32_t status;   /* as of WIRE_RECHECKED */
    uint32_t storage; /* of the descriptor's file */
};

struct wire_answer {
    uint32_t kind;
    uint32_t job;
    int32_t status;   /* WIRE_STARTED: 0 or -errno, without a pipe; WIRE_ENDED: as of waitpid(2) */
    uint32_t is_gone; /* WIRE_STARTED, WIRE_ENDED, WIRE_GONE: no process of the job is left */
    uint32_t storage; /* WIRE_RECHECKED: enum storage, of the image */
};

enum wire_frame_kind {
    WIRE_FILE = 1,  /* a node's text, or its error */
    WIRE_COUNT,     /* the entries of a numbered directory are number */
    WIRE_REFERENCE, /* a struct wire_reference and its words: for who decides on them */
    WIRE_PROBLEMS,  /* lines for `problems` */
    WIRE_COST,      /* a struct wire_cost */
    WIRE_PROGRESS,  /* a struct wire_progress */
    WIRE_ALIVE,     /* the job goes on */
    WIRE_SANDBOX,   /* a struct sandbox_state, first of all: how the job is held */
    WIRE_END,       /* nothing follows: the pass is done */
};

struct wire_frame {
    uint32_t kind;
    uint32_t node;   /* WIRE_FILE, WIRE_COUNT: index in nodes[] */
    uint32_t number; /* WIRE_FILE: of the place; WIRE_COUNT: entries */
    uint32_t set;    /* WIRE_FILE: of the place */
    int32_t error;   /* WIRE_FILE: 0 or -errno */
    uint32_t length; /* of the bytes that follow, at most TEXT_BYTES_MAX */
    uint64_t value;  /* WIRE_FILE: of a file that is one number */
};

/* How much of the disk has been looked at. */
struct wire_progress {
    uint64_t done, total; /* bytes */
};

/* What the task has read of the image. */
struct wire_cost {
    uint64_t bytes, reads;
};

/* A reference; behind it, one after the other: kind, source, format and path. */
struct wire_reference {
    uint32_t role;
    uint32_t is_windows;
    uint32_t kind, source, format, path; /* bytes; format: UINT32_MAX: not told */
};

/* A job asks its opener, on a socket of its own, for a part that is not open; the answer is the
 * descriptor and 0, or -errno. */
struct wire_part {
    uint32_t layer;
    uint32_t reference;
};

struct wire_part_answer {
    int32_t status;
};

/* Writes all of length bytes. Returns 0 or -errno. */
int wire_write(int fd, const void *bytes, size_t length);

/* Sends a message, with descriptor fd unless that is -1. Returns 0 or -errno (EAGAIN if it would
 * wait). */
int wire_send(int socket, const void *message, size_t length, int fd);

/* Whether most of the room for messages to the other side is free; true if it is gone. */
bool wire_has_room(int socket);

/*
 * Receives a message of exactly length bytes; *fd is a descriptor that came with it, or -1. Where
 * fd is NULL none is taken, and the kernel drops it: closing what somebody else has opened may wait
 * for a storage that hangs. Returns 1; 0 if there is none now; -errno (EPIPE: the other side is
 * gone; EPROTO: another length).
 */
int wire_receive(int socket, void *message, size_t length, int *fd);

#endif
