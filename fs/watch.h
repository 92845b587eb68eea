/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether files may have changed, without a system call for each look: the kernel tells by a signal
 * (inotify(7)) before whoever changed the file goes on. What it does not tell of (writes through
 * mappings, and on other machines) is looked for every few milliseconds.
 */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;            /* of inotify; -1: there is none, and it is always time to look */
    int64_t looked_at; /* ms */
};

enum { WATCH_LOOK_MS = 10 };

/* Begins; the processes that are forked share it. */
void watch_begin(struct watch *watch);
void watch_end(struct watch *watch);

/* Watches an open file from now on, for all who share the watch; it may wait for the file system. A
 * file that cannot be watched ends the watch of this process. */
void watch_file(struct watch *watch, int fd);

/* This process, and no other, is told from now on; SIGIO is its signal. */
void watch_listen(struct watch *watch);

/* Whether it is time to look. */
bool watch_is_due(struct watch *watch);

#endif
