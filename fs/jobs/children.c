// SPDX-License-Identifier: Apache-2.0
/* The monitor's table of jobs' processes. */
#include "children.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

/* Blocks until the process has ended, up to ms. false: the kernel has no such descriptors. */
static bool await_exit(pid_t pid, unsigned ms)
{
    struct pollfd wait = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

    if (wait.fd < 0)
        return false;
    poll(&wait, 1, (int)ms);
    close(wait.fd);
    return true;
}

void children_await(pid_t pid, unsigned ms)
{
    const struct timespec moment = {.tv_nsec = 100000};

    if (pid > 0 && await_exit(pid, ms)) {
        waitpid(pid, NULL, WNOHANG);
        return;
    }
    for (unsigned i = 0; i < 10 * ms; i++) {
        pid_t ended = waitpid(pid, NULL, WNOHANG);

        if (ended < 0)
            return;
        if (ended == 0)
            nanosleep(&moment, NULL);
    }
}
