/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor: small, parses nothing. It takes the signals, forks the jobs that the front asks for
 * (and, where a job needs parts that are not open, a process that opens them), reaps, and unmounts
 * when the front ends, however it ends.
 */
#ifndef FS_MONITOR_H
#define FS_MONITOR_H

#include "front.h"
#include "mount.h"

/*
 * Blocks the signals that the monitor will take: before anything is mounted, so that none of them
 * can end the program with a mount left behind.
 */
void monitor_block_signals(void);

/*
 * Forks the front and watches over it until it ends; then the mount is gone. ready: a descriptor to
 * which a byte is written as soon as the front runs, or -1. Returns the exit status.
 */
int monitor_run(struct front *front, const struct mount *mount, int ready);

/* Whether a request to start a job names a pass, a view and a target that exist. It is untrusted.
 */
bool monitor_can_start(const struct wire_request *request, const struct layers *layers);

#endif
