/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether files may have changed, without a system call for each check: inotify(7) reports a change
 * by SIGIO, before the call that changed the file returns. It does not report writes through
 * mappings, nor writes by other machines; for these a check is due every WATCH_CHECK_MS.
 */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;             /* inotify's; -1: inotify is not available, and a check is always due */
    int64_t checked_at; /* ms */
};

enum { WATCH_CHECK_MS = 10 };

/* Begins a watch. Processes that are forked later share it. */
void watch_begin(struct watch *watch);
void watch_end(struct watch *watch);

/*
 * Adds an open file to the watch, for every process that shares it. May wait for the file system.
 * If the file cannot be watched, this process's watch ends: a check is then always due.
 */
void watch_file(struct watch *watch, int fd);

/* From now on this process, and no other, gets the reports. It must not use SIGIO otherwise. */
void watch_listen(struct watch *watch);

/* Whether the files must be checked now: a change was reported, or WATCH_CHECK_MS have passed. */
bool watch_is_due(struct watch *watch);

#endif
