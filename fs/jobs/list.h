/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs.c is made of: the list of jobs, and how they fail. */
#ifndef FS_JOBS_LIST_H
#define FS_JOBS_LIST_H

#include "jobs.h"

/* The job that does the task, or NULL. */
struct job *job_find(const struct jobs *jobs, const struct task *task);

/* A new job, which is not started yet. NULL: out of memory, or there are too many. */
struct job *job_new(struct jobs *jobs, const struct task *task);

/* The bytes that files may take that the job tells of: less, the more others have told. */
size_t job_room(const struct jobs *jobs, const struct job *job);

/* Whether the job is one of those that take turns: walks, and what there may be any number of. */
bool job_takes_turns(const struct job *job);

/* Forgets what has come from the job so far, and its pipe: it may be started again. */
void job_forget(struct jobs *jobs, struct job *job);

/* Whether the job is not started as others of its view hang, although they were killed. */
bool job_is_held_up(const struct jobs *jobs, const struct job *job);

/* Whether the job has to wait: for its turn, or for the end of others that hang. */
bool job_must_wait(const struct jobs *jobs, const struct job *job);

/* The time after which the job is not waited for, whatever it tells, ms; INT64_MAX: none. */
int64_t job_overdue_at(const struct job *job);

/* Whether the monitor has not too much to do: it must be possible to have all jobs killed. */
bool jobs_can_ask(const struct jobs *jobs);

/* The job is no more. Returns those who wait for it. */
struct waiter *job_free(struct jobs *jobs, struct job *job);

/* All of them go on. */
void waiters_resume(struct waiter *waiters, int error);

/* Those who wait in jobs_wait_look() (jobs-look.c): takes one of them out again, if it is one; they
 * all go on, with the error; until when they may wait at most, ms, INT64_MAX: nobody does. */
bool lookers_leave(struct jobs *jobs, const struct waiter *waiter);
void lookers_resume(struct jobs *jobs, int error);
int64_t lookers_deadline(const struct jobs *jobs);

/* Adds to the problems, in words, why a job failed (jobs-failures.c). */
void job_tell_failure(struct jobs *jobs, const struct job *job, const char *words);

/* The same for one that failed by what it did: too often in too short a time, and its pass is given
 * up. */
void job_note_failure(struct jobs *jobs, const struct job *job, const char *format, int number);

/* The same for one whose process ended before it had told all. */
void job_note_end(struct jobs *jobs, struct job *job);

#endif
