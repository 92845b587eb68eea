/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the processes of a mount, as structs of fixed size. Every receiver checks
 * them: a job may be taken over by a hostile image.
 *
 * front -> monitor (socket of sequenced packets)   struct wire_request
 * monitor -> front (the same)                      struct wire_answer; WIRE_STARTED comes with the
 *                                                  read end of the job's pipe
 * process that rechecks -> monitor (socket)        struct wire_rechecked, with the file it opened
 * job -> front (pipe)                              struct wire_frame, each followed by its bytes
 * job -> its opener (socket)                       struct wire_open_request
 * opener -> job (the same)                         struct wire_open_answer, with the file
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
    WIRE_RECHECK, /* check whether another file has the image's name */
};

struct wire_request {
    uint32_t kind;
    uint32_t job;     /* its id, chosen by the front */
    uint32_t view;    /* WIRE_START */
    uint32_t pass;    /* WIRE_START: enum pass_id */
    uint32_t recheck; /* WIRE_START: as WIRE_RECHECK first; the job reads that file */

    /* WIRE_START: for files with that option set; set 0: for files without options. */
    uint32_t set;
    uint32_t directory; /* index in nodes[] */
    uint32_t target;    /* row of targets[] */
    struct target_options options;
};

enum wire_answer_kind {
    WIRE_STARTED = 1,
    WIRE_ENDED,     /* the job's process has ended */
    WIRE_GONE,      /* after WIRE_ENDED: the last of the job's processes has ended */
    WIRE_RECHECKED, /* status: of layers_recheck(); 0: the descriptor is the image now */
};

struct wire_rechecked {
    int32_t status;   /* as in WIRE_RECHECKED */
    uint32_t storage; /* enum storage, of the file */
};

struct wire_answer {
    uint32_t kind;
    uint32_t job;
    int32_t status; /* WIRE_STARTED: 0 or -errno, then without a pipe; WIRE_ENDED: of waitpid(2) */
    uint32_t is_gone; /* WIRE_STARTED, WIRE_ENDED, WIRE_GONE: no process of the job is left */
    uint32_t storage; /* WIRE_RECHECKED: enum storage, of the image */
};

enum wire_frame_kind {
    WIRE_FILE = 1,  /* a node's text, or its error */
    WIRE_COUNT,     /* a numbered directory has number entries */
    WIRE_REFERENCE, /* a struct wire_reference and its strings: for collect_references() alone */
    WIRE_PROBLEMS,  /* lines for `problems` */
    WIRE_COST,      /* a struct wire_cost */
    WIRE_PROGRESS,  /* a struct wire_progress */
    WIRE_ALIVE,     /* the job is running, and has nothing else to send */
    WIRE_SANDBOX,   /* a struct sandbox_state: the first frame */
    WIRE_END,       /* the last frame: the pass is done */
};

struct wire_frame {
    uint32_t kind;
    uint32_t node;   /* WIRE_FILE, WIRE_COUNT: index in nodes[] */
    uint32_t number; /* WIRE_FILE: of the place; WIRE_COUNT: entries */
    uint32_t set;    /* WIRE_FILE: of the place */
    int32_t error;   /* WIRE_FILE: 0 or -errno */
    uint32_t length; /* of the bytes that follow, at most TEXT_BYTES_MAX */
    uint64_t value;  /* WIRE_FILE: the number, if the text is one */
};

/* How much of the disk was examined. */
struct wire_progress {
    uint64_t done, total; /* bytes */
};

/* What the task has read from the image. */
struct wire_cost {
    uint64_t bytes, reads;
};

/* A reference. Its strings follow, without terminators: kind, source, format, path. */
struct wire_reference {
    uint32_t role;
    uint32_t is_windows;
    uint32_t kind, source, format, path; /* bytes of each; format UINT32_MAX: the image has none */
};

/* A job requests a data file that is not held open. The answer: 0 and a descriptor, or -errno. */
struct wire_open_request {
    uint32_t layer;
    uint32_t reference;
};

struct wire_open_answer {
    int32_t status;
};

/* Writes all of length bytes. Returns 0 or -errno. */
int wire_write(int fd, const void *bytes, size_t length);

/* Sends a message, with descriptor fd unless that is -1. Never waits. Returns 0 or -errno (EAGAIN:
 * the socket is full). */
int wire_send(int socket, const void *message, size_t length, int fd);

/* Whether most of the socket's send buffer is free; true if the other side is gone. */
bool wire_has_room(int socket);

/*
 * Receives a message of exactly length bytes. *fd is set to the descriptor that came with it, or
 * -1. fd NULL: the kernel drops a descriptor without opening it here, as closing a file may wait
 * for storage that hangs. Never waits. Returns 1; 0: no message; -errno (EPIPE: the other side is
 * gone; EPROTO: another length).
 */
int wire_receive(int socket, void *message, size_t length, int *fd);

#endif
