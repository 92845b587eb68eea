/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as the front sees them: at most one per task and image, shared by all readers that wait for
 * it. This is the list of them, with what the other files of jobs have in common.
 */
#ifndef FS_JOBS_LIST_H
#define FS_JOBS_LIST_H

#include <poll.h>

#include "frames.h"
#include "fs/sandbox/sandbox.h"
#include "fs/tree/option-sets.h"
#include "fs/tree/passes.h"
#include "fs/tree/views.h"

enum {
    /* A signal makes open() fail with EINTR, and most callers call it again: a job is killed only
     * when its last reader has been gone this long. */
    JOBS_LINGER_MS = 500,

    /* Restarts allowed when the image changes; after that the job finishes with what it has, so
     * that an image that is being written has readers. Two, as one change may be seen as two: the
     * file's and its name's. */
    JOBS_RESTARTS_MAX = 2,

    /* After a change, jobs check for this long whether another file has the image's name. */
    JOBS_RECHECK_MS = 1000,

    /* Maximum concurrent scans; each uses memory and disk bandwidth. */
    JOBS_SLOTS_MAX = 16,

    /* The same for one view where there are layers: storage that hangs holds up two views, its
     * layer and the whole image, and slots are left for others. */
    JOBS_VIEW_SLOTS_MAX = 7,

    /* Maximum concurrent jobs of other passes: the header and content passes of the whole image
     * and of all layers never wait. */
    JOBS_QUICK_MAX = 2 * (1 + LAYERS_MAX) + 30,

    /* Killed processes of a view that have not ended, as their storage hangs: with more than this
     * its jobs are not started. */
    JOBS_LINGERING_MAX = 4,

    /* A lookup stops waiting for a silent job after this long: it gets what is known. */
    JOBS_LOOKUP_MS = 5000,

    /* A job may last this many times its limit of processor time. Storage is slow, but a job taken
     * over by a hostile image could send WIRE_ALIVE for ever. */
    JOBS_LASTING = 16,

    /* If poll returns this late, this process was suspended, and its jobs with it. */
    JOBS_LATE_MS = 1000,

    /* Jobs that run or are queued; each has at least one reader. */
    JOBS_MAX = 4096,

    /* Descriptors that jobs_poll() fills in at most: the monitor's and those of jobs. */
    JOBS_POLLFDS = 1 + JOBS_QUICK_MAX + JOBS_SLOTS_MAX,
};

/* A reader that waits for a task. */
struct waiter {
    struct waiter *next;
    struct views *views; /* of its image */
    struct task task;
    struct place place; /* the file that it needs from the task; no node: any */
    bool is_lookup;     /* LOOKUP, OPENDIR: can be answered with what is known */

    /* Called once, by jobs_handle(): 0: the task is done; -errno: its job failed; -EAGAIN, if
     * is_lookup: the job is silent; -EINTR: patience_ms is over. */
    void (*resume)(struct waiter *waiter, int error);
    pid_t pid;     /* of the reader; 0: not known */
    int64_t since; /* ms; set by jobs_wait() */
    int error;     /* for resume */
};

enum job_state {
    JOB_QUEUED,  /* waits for a slot */
    JOB_RUNNING, /* requested from the monitor */
    JOB_CLOSED,  /* its pipe is at its end; its exit status is not known yet */
    JOB_ENDED,   /* its exit status is known; its pipe may still hold frames */
    JOB_LOST,    /* the monitor cannot be reached any more */
    JOB_FINISHED /* its waiters are to be resumed; no longer in the list */
};

struct job {
    struct job *next;
    struct views *views; /* of its image */
    struct view *view;
    struct task task;
    enum job_state state;
    uint32_t id; /* for the monitor; 0: it was not started */
    int fd;      /* of its pipe; -1: not received yet, or at its end */
    int status;  /* JOB_ENDED: as of waitpid(2) */
    int error;   /* JOB_FINISHED: for its waiters */

    struct frames frames;   /* received, not a whole frame yet */
    struct results results; /* received; published when the job is done */
    struct text problems;
    size_t problem_bytes;      /* received */
    size_t bytes, bytes_limit; /* of results */
    struct wire_cost cost;
    struct sandbox_state sandbox;
    bool has_sandbox;     /* received: its first frame */
    uint64_t done, total; /* bytes of the disk; total 0: not known */

    int64_t received_at; /* when something was received, or it was started; ms */
    int64_t started;     /* ms */
    int64_t left_at; /* when its last waiter left, ms; -1: it has waiters, or they may come back */
    struct waiter *waiters;
    unsigned restarts; /* as the image changed */
    bool is_torn;      /* it changed once more: the results are only for its waiters */
};

/* How jobs are run. */
struct jobs_config {
    int monitor; /* socket; jobs_end() closes it */
    const struct option_sets *sets;
    bool kills_done;     /* kill a job after its last frame: it has nothing left to do */
    int64_t stall_ms;    /* a job that is silent this long is killed; 0: none is */
    int64_t patience_ms; /* a waiter is resumed with -EINTR after this long; 0: never */

    /* Takes the answer to WIRE_RECHECK with its descriptor, if it is one. Returns the views of the
     * image that has changed, NULL: none has. NULL: nothing is rechecked. */
    const struct views *(*rechecked)(void *context, const struct wire_answer *answer, int fd);
    /* Whether the open files of the image have changed. NULL: they never do. */
    bool (*changed)(void *context, const struct views *views);
    void *context;
};

/* A process that was started for a job, until it has ended. */
struct process {
    struct process *next;
    uint32_t job; /* its id */
    struct view *view;
};

struct jobs {
    struct jobs_config config;
    int monitor;                  /* -1: it is gone */
    struct sandbox_state sandbox; /* of the last job that was done */
    uint32_t last_id;
    unsigned count;        /* of the list, at most JOBS_MAX */
    unsigned slots, quick; /* running jobs of both kinds */
    uint64_t set_bytes;    /* received from jobs with option sets */
    int64_t wakes_at;      /* when poll(2) should return; ms */
    int64_t recheck_until; /* jobs started until then recheck the image's name first; ms */
    struct job *all;       /* the oldest first */
    struct process *processes;
    struct job *finished;
    struct waiter *dismissed;       /* to be resumed without their job */
    struct waiter *recheck_waiters; /* wait for the answer to WIRE_RECHECK */
};

/* The job of the task, or NULL. */
struct job *job_find(const struct jobs *jobs, const struct views *views, const struct task *task);

/* Adds a queued job. NULL: out of memory, or there are too many. */
struct job *job_new(struct jobs *jobs, struct views *views, const struct task *task);

/* Drops what was received from the job and closes its pipe: it may be started again. */
void job_reset(struct jobs *jobs, struct job *job);

/* Takes the job out of the list; its waiters will be resumed with the error, by jobs_resume(). */
void job_finish(struct jobs *jobs, struct job *job, int error);

/* Resumes a waiter, which is in no list, with the error: by jobs_resume(). */
void jobs_dismiss(struct jobs *jobs, struct waiter *waiter, int error);

/* Takes a waiter out that is to be resumed. false: it is not. */
bool jobs_recall(struct jobs *jobs, const struct waiter *waiter);

/* Resumes all waiters that are to be resumed, and frees finished jobs. No caller may hold a job. */
void jobs_resume(struct jobs *jobs);

/* Gives the job an id, a slot and a process. false: out of memory. */
bool job_begin(struct jobs *jobs, struct job *job);

/* The process of a job, which may be finished, has ended. */
void jobs_reap(struct jobs *jobs, uint32_t id);

/* The bytes that the job's files may take: fewer, the more others have taken. */
size_t job_bytes_limit(const struct jobs *jobs, const struct job *job);

/* Whether the job is not started as killed processes of its view have not ended. */
bool job_is_held_up(const struct jobs *jobs, const struct job *job);

/* Whether the job stays queued: no slot is free, or it is held up. */
bool job_must_wait(const struct jobs *jobs, const struct job *job);

/* When the job is killed whatever it sends, ms; INT64_MAX: never. */
int64_t job_overdue_at(const struct job *job);

/* Whether the monitor's socket has room: enough is kept to have all jobs killed. */
bool jobs_can_ask(const struct jobs *jobs);

#endif
