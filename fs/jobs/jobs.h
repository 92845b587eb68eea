/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs, as the front sees them: started for readers that wait, shared among them, killed when the
 * last of them has been gone for a moment. Never blocks. What jobs send is untrusted (received.c).
 * Waiters are resumed by jobs_handle() alone.
 */
#ifndef FS_JOBS_JOBS_H
#define FS_JOBS_JOBS_H

#include "list.h"

void jobs_begin(struct jobs *jobs, const struct jobs_config *config);
void jobs_end(struct jobs *jobs);

/* Whether a job computes the file at a place, or is queued to. */
bool jobs_is_running(const struct jobs *jobs, const struct views *views, const struct place *place);

/* Queues the waiter for its task, and starts a job if none runs. */
void jobs_wait(struct jobs *jobs, struct waiter *waiter);

/* Takes the waiter out: it is not resumed. */
void jobs_leave(struct jobs *jobs, struct waiter *waiter);

/*
 * Restarts the jobs of an image that has changed, whose views were forgotten. Waiters go on
 * waiting; after JOBS_RESTARTS_MAX restarts they get what the job finds, and `problems` has a line.
 */
void jobs_restart(struct jobs *jobs, const struct views *views);

/* Whether a reader waits for files with that option set. */
bool jobs_await_set(const struct jobs *jobs, uint32_t set);

/* Bytes received from jobs with option sets since they were last reset. */
uint64_t jobs_set_bytes(const struct jobs *jobs);
void jobs_reset_set_bytes(struct jobs *jobs);

/* The sandbox of the last job that was done; and sets it, for one that ran before the mount. */
const struct sandbox_state *jobs_sandbox(const struct jobs *jobs);
void jobs_set_sandbox(struct jobs *jobs, const struct sandbox_state *sandbox);

/* Whether there is nothing to wait for. */
bool jobs_are_idle(const struct jobs *jobs);

/* Fills fds (JOBS_POLLFDS of them) for poll(2), and their count. Returns its timeout in ms. */
int jobs_poll(struct jobs *jobs, struct pollfd *fds, nfds_t *count);

/* Handles what poll(2) found and what is due, and resumes waiters. */
void jobs_handle(struct jobs *jobs, const struct pollfd *fds, nfds_t count);

#endif
