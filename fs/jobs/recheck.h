/* SPDX-License-Identifier: Apache-2.0 */
/* Rechecks whether another file has the image's name, by the monitor. */
#ifndef FS_JOBS_RECHECK_H
#define FS_JOBS_RECHECK_H

#include "list.h"

/* Asks for a recheck of the image's name, and of the file systems of open files for changes. false:
 * the monitor cannot be asked. */
bool jobs_recheck(struct jobs *jobs);

/* Queues the waiter for the answer: it is resumed with 0 then, or after JOBS_RECHECK_MS; with -EIO
 * if the monitor is gone. */
void jobs_wait_recheck(struct jobs *jobs, struct waiter *waiter);

/* Takes the waiter out. false: it is not one of these. */
bool recheck_leave(struct jobs *jobs, const struct waiter *waiter);

/* Resumes all of them with the error. */
void recheck_end(struct jobs *jobs, int error);

/* When the first of them is due, ms; INT64_MAX: there is none. */
int64_t recheck_deadline(const struct jobs *jobs);

#endif
