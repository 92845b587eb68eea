/* SPDX-License-Identifier: Apache-2.0 */
/* Rechecks by the monitor whether another file has the image's name. */
#ifndef FS_JOBS_RECHECK_H
#define FS_JOBS_RECHECK_H

#include "list.h"

/* Requests a recheck of the image's name, and a refresh of open files' attributes. Returns false if
 * the monitor cannot be reached. */
bool jobs_recheck(struct jobs *jobs);

/* Queues the waiter for the answer: it is resumed with 0 then, or after JOBS_RECHECK_MS; with -EIO
 * by jobs_end(). */
void jobs_wait_recheck(struct jobs *jobs, struct waiter *waiter);

/* Takes the waiter out. Returns false if it does not wait for a recheck. */
bool recheck_leave(struct jobs *jobs, const struct waiter *waiter);

/* Resumes all waiters for a recheck with the error. */
void recheck_end(struct jobs *jobs, int error);

/* When the first waiter for a recheck is due, ms; INT64_MAX: there is none. */
int64_t recheck_deadline(const struct jobs *jobs);

#endif
