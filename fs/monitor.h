/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor: small, parses nothing. It handles signals, forks the jobs that the front requests
 * (and, for a job that needs data files that are not open, a process that opens them), reaps, and
 * unmounts when the front ends, however it ends.
 */
#ifndef FS_MONITOR_H
#define FS_MONITOR_H

#include "front.h"
#include "mount.h"

/* Blocks the signals that the monitor handles: before anything is mounted, so that none of them can
 * end the program and leave a mount behind. */
void monitor_block_signals(void);

/*
 * Forks the front and serves it until it ends; then the mount is gone. ready: the front writes a
 * byte to it as soon as it serves; -1: none. Returns the exit status.
 */
int monitor_run(struct front *front, const struct mount *mount, int ready);

/* Whether an untrusted request to start a job has a pass, a view and a target that exist. */
bool monitor_can_start(const struct wire_request *request, const struct layers *layers);

#endif
