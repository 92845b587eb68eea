/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's table of jobs' processes. */
#ifndef FS_JOBS_CHILDREN_H
#define FS_JOBS_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

#include "list.h"

/* As many as run at a time, and some that are done or killed and have not ended yet. */
enum { CHILDREN_MAX = JOBS_POLLFDS + 64 };

struct child {
    pid_t pid;    /* 0: it has ended, or there was none */
    pid_t opener; /* the process that opens data files for it; 0: none */
    uint32_t job; /* its id, chosen by the front */
};

struct children {
    struct child all[CHILDREN_MAX];
};

/* Finds the child with this pid, or NULL. */
struct child *children_find(struct children *children, pid_t pid);

/* Returns a free entry; NULL: the table is full. */
struct child *children_room(struct children *children);

/* Kills the job's process and its opener. */
void child_kill(const struct child *child);

/* Kills the processes of that job, if there are any; and all. */
void children_kill_job(const struct children *children, uint32_t job);
void children_kill(const struct children *children);

/* Waits until the child process has ended (-1: all children), for at most ms: a process that hangs
 * in a read of the image ends when the read does. */
void children_await(pid_t pid, unsigned ms);

#endif
