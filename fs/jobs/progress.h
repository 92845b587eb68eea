/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs as status/ shows them: progress, readers, costs. */
#ifndef FS_JOBS_PROGRESS_H
#define FS_JOBS_PROGRESS_H

#include "fs/tree/bar.h"
#include "list.h"

/* Adds a line for each job: bytes of the disk that were examined, bytes of the disk, percent,
 * seconds left, name of the task. A number that is not known is -. */
void progress_add(struct text *text, const struct jobs *jobs);

/* Adds the name of a task and a newline: its pass, or the file whose name has the options. */
void progress_add_name(struct text *text, const struct jobs *jobs, const struct task *task);

/* Adds a line for each job: "running" or "waiting" (for a slot), seconds since it was started, pids
 * of its readers, name of the task. - is what is not known, or no reader. */
void progress_add_waiting(struct text *text, const struct jobs *jobs);

/* Adds a line for each pass that was done: how often, bytes read, reads, seconds, name. */
void progress_add_done(struct text *text, const struct jobs *jobs, const struct views *views);

/* Shows the progress of the first job that has reported it, or clears the bar. */
void progress_show(struct bar *bar, const struct jobs *jobs);

#endif
