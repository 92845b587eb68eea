// SPDX-License-Identifier: Apache-2.0
/* inotify(7), by a signal. */
#include "watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "fs/tree/clock.h"

static volatile sig_atomic_t has_report; /* set by SIGIO */

static void on_sigio(int number)
{
    (void)number;
    has_report = 1;
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
    const struct sigaction action = {.sa_handler = on_sigio};

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

/* Reads the reports: until they are read, there is no further signal. */
static void read_reports(struct watch *watch)
{
    char events[4096];

    has_report = 0;
    while (read(watch->fd, events, sizeof events) > 0)
        ;
}

bool watch_is_due(struct watch *watch)
{
    int64_t now = now_ms();

    if (watch->fd >= 0 && !has_report && now - watch->checked_at < WATCH_CHECK_MS)
        return false;
    if (has_report)
        read_reports(watch);
    watch->checked_at = now;
    return true;
}
