// SPDX-License-Identifier: Apache-2.0
/* Whether files may have changed. */
#include "watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "fs/tree/clock.h"

static volatile sig_atomic_t told; /* something changed */

static void tell(int number)
{
    (void)number;
    told = 1;
}

void watch_begin(struct watch *watch)
{
    *watch = (struct watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
}

void watch_end(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

void watch_listen(struct watch *watch)
{
    const struct sigaction action = {.sa_handler = tell};

    if (watch->fd >= 0 &&
        (sigaction(SIGIO, &action, NULL) < 0 || fcntl(watch->fd, F_SETOWN, getpid()) < 0 ||
         fcntl(watch->fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0))
        watch_end(watch);
}

void watch_file(struct watch *watch, int fd)
{
    char path[64];

    if (watch->fd < 0)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (inotify_add_watch(watch->fd, path, IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF) <
        0)
        watch_end(watch);
}

/* What was told is read, as only then there is another signal. */
static void forget_told(struct watch *watch)
{
    char events[4096];

    told = 0;
    while (read(watch->fd, events, sizeof events) > 0)
        ;
}

bool watch_is_due(struct watch *watch)
{
    int64_t now = now_ms();

    if (watch->fd >= 0 && !told && now - watch->looked_at < WATCH_LOOK_MS)
        return false;
    if (told)
        forget_told(watch);
    watch->looked_at = now;
    return true;
}
