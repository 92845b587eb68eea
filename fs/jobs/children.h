/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of jobs, as their monitor knows them. */
#ifndef FS_JOBS_CHILDREN_H
#define FS_JOBS_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

#include "list.h"

/* So many run; others have said all and are ending, which may take them a moment. */
enum { CHILDREN_MAX = JOBS_POLLFDS + 64 };

struct child {
    pid_t pid;    /* 0: it has ended, or there was none */
    pid_t opener; /* the process that opens parts for it; 0: none */
    uint32_t job; /* the front's number for it */
};

struct children {
    struct child all[CHILDREN_MAX];
};

/* The one of which that is a process; NULL: none is. */
struct child *children_find(struct children *children, pid_t pid);

/* A free place; NULL: none is. */
struct child *children_room(struct children *children);

/* Kills its processes. */
void child_kill(const struct child *child);

/* Kills those with that number, of which there may be none; or all. */
void children_kill_job(const struct children *children, uint32_t job);
void children_kill(const struct children *children);

/* Waits until that child of this process has ended, -1: all have, and at most so long: one that
 * hangs in a read of the image ends when the read does. */
void children_await(pid_t pid, unsigned ms);

#endif
