/* SPDX-License-Identifier: Apache-2.0 */
/* How far the jobs are. */
#ifndef FS_JOBS_PROGRESS_H
#define FS_JOBS_PROGRESS_H

#include "fs/tree/bar.h"
#include "list.h"

/*
 * Adds a line for each job: bytes of the disk that it has looked at, bytes of the disk, percent,
 * seconds left, and what it computes; a number that is not known is -.
 */
void progress_add(struct text *text, const struct jobs *jobs);

/* Adds what a task computes, a line: a pass, or the file whose name has options. */
void progress_add_name(struct text *text, const struct jobs *jobs, const struct task *task);

/* Adds a line for each job: whether it runs or waits for its turn, seconds since it was started,
 * the processes that wait for it, and what it computes; - is what is not known, or nobody. */
void progress_add_waiting(struct text *text, const struct jobs *jobs);

/* Adds a line for each pass that was done: how often, bytes read, reads, seconds, and its name. */
void progress_add_done(struct text *text, const struct jobs *jobs, const struct views *views);

/* Shows the progress of the first job that has reported it, or none. */
void progress_show(struct bar *bar, const struct jobs *jobs);

#endif
