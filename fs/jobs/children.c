// SPDX-License-Identifier: Apache-2.0
/* The monitor's table of jobs' processes. */
#include "children.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

struct child *children_find(struct children *children, pid_t pid)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        if (children->all[i].pid == pid || children->all[i].opener == pid)
            return &children->all[i];
    return NULL;
}

struct child *children_room(struct children *children)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        if (!children->all[i].pid && !children->all[i].opener)
            return &children->all[i];
    return NULL;
}

void child_kill(const struct child *child)
{
    if (child->pid)
        kill(child->pid, SIGKILL);
    if (child->opener)
        kill(child->opener, SIGKILL);
}

void children_kill_job(const struct children *children, uint32_t job)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        if (children->all[i].job == job)
            child_kill(&children->all[i]);
}

void children_kill(const struct children *children)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        child_kill(&children->all[i]);
}

void children_await(pid_t pid, unsigned ms)
{
    const struct timespec moment = {.tv_nsec = 100000};

    for (unsigned i = 0; i < 10 * ms; i++) {
        pid_t ended = waitpid(pid, NULL, WNOHANG);

        if (ended < 0)
            return;
        if (ended == 0)
            nanosleep(&moment, NULL);
    }
}
