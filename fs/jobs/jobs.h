/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs, as the front sees them: at most one for each task, shared by all who wait for it, killed
 * when the last of them has been gone for a moment. Never waits; what jobs send is taken as
 * possibly wrong (job-frames.c).
 */
#ifndef FS_JOBS_JOBS_H
#define FS_JOBS_JOBS_H

#include <poll.h>
#include <stdint.h>

#include "frames.h"
#include "fs/tree/option-sets.h"
#include "fs/tree/results.h"
#include "fs/sandbox/sandbox.h"
#include "fs/tree/text.h"

enum {
    /* A signal makes open() fail with EINTR, and most callers then call it again: their job should
       still be there. */
    JOBS_LINGER_MS = 500,

    /* So often a job is begun anew as the image changed; after that it goes on with what it has,
       lest an image that is being written starves its readers. Twice, as one change may be seen as
       two: of the file, and that another has its name. */
    JOBS_RESTARTS_MAX = 2,

    /* So long after a change jobs look whether another file has the image's name. */
    JOBS_LOOK_MS = 1000,

    /* So many walks, and jobs about options, run at a time; others wait for their turn, as each
       takes memory and the disk. What looks at headers never waits. */
    JOBS_TURNS_MAX = 16,

    /* So many processes of a view that were to end, but have not, as their storage hangs, hold up
       other jobs of the view. */
    JOBS_LINGERING_MAX = 4,

    /* Where there are layers no view has more turns: storage that hangs holds up two, its layer and
       the whole, and some are left. */
    JOBS_VIEW_TURNS_MAX = 7,

    /* So often the jobs of a pass may fail in so long a time: after that it is not tried again
       until the image changes. */
    JOBS_FAILURES_MAX = 3,
    JOBS_FAILURES_MS = 60000,

    /* Who only looks goes on, with what is known, when a job has told nothing for so long. */
    JOBS_GLANCE_MS = 5000,

    /* So many times the processor time that a job may take it may last: storage is slow, but the
       job of a hostile image could say for ever that it goes on. */
    JOBS_LASTING = 16,

    JOBS_LATE_MS = 1000, /* who is later than that was stopped himself, and jobs with him */

    /* Bytes that are kept of what jobs tell of files. Those that look at headers, of which a view
       has two, have theirs together; each view has its share of a quarter as much in any case,
       whatever others have told. Jobs that tell numbers need little. */
    JOBS_HEADERS_BYTES = 256 << 20,
    JOBS_NUMBERS_BYTES = 1 << 20,

    /* Bytes that are kept of what jobs say; and of that together with how jobs failed, which is
       told whatever they said before. */
    VIEW_SAID_MAX = 64 << 10,
    VIEW_PROBLEMS_MAX = VIEW_SAID_MAX + (16 << 10),

    JOBS_MAX = 4096, /* that run or wait for their turn; each is somebody who waits */

    /* Descriptors that jobs_poll() fills in at most: the monitor's, and those of jobs. */
    JOBS_POLLFDS = 1 + VIEWS_MAX * (PASS_MEASURE - PASS_HEADER) + JOBS_TURNS_MAX,
};

/* Somebody who waits for a task. resume is called once: with 0 when it is done, with -errno when
 * its job died; with -EAGAIN, if he glances, when it seems to hang. */
struct waiter {
    struct waiter *next;
    struct task task;
    struct place place; /* of what the task has to tell him; no node: of nothing */
    bool glances;       /* what he asks can be answered with what is known */
    void (*resume)(struct waiter *waiter, int error);
    pid_t pid;     /* of whoever waits; 0: not known */
    int64_t since; /* ms; set by jobs_wait() */
};

struct job {
    struct job *next;
    struct task task;
    uint32_t id; /* 0: it waits for its turn to be started */
    int fd;      /* of its pipe; -1: not here yet, or at its end */
    bool at_end; /* of the pipe */
    bool ended;  /* the process; status is set */
    int status;
    struct frames frames;   /* what has come and is no whole frame yet */
    struct results results; /* what came; published when all has */
    struct text problems;
    size_t problem_bytes; /* that have come */
    size_t bytes, room;   /* that files take, and may take now */
    struct wire_cost cost;
    struct sandbox_state sandbox;
    bool is_held;         /* it has told of that: the first that it has to tell */
    int64_t heard;        /* when something came from it, or it was started; ms */
    uint64_t done, total; /* bytes of the disk; total 0: not known */
    int64_t started;      /* ms */
    struct waiter *waiters;
    unsigned restarts; /* as the image changed */
    bool torn; /* it changed again: what the job finds is for those who wait, and then forgotten */
    int64_t left_at; /* when the last of them left, ms; -1: some are there, or will come back */
};

/* What the jobs of a pass took that ended well. */
struct pass_cost {
    uint64_t runs, bytes, reads;
    int64_t ms;
};

/* When the last jobs of a pass failed, ms; 0: not so many have. */
struct failures {
    int64_t at[JOBS_FAILURES_MAX]; /* the last first */
    bool given_up;
};

/* What is known of a view. */
struct view {
    struct results results;
    struct text problems; /* of all its jobs, each line once */
    struct pass_cost costs[PASSES];
    struct failures failures[PASSES][2]; /* of the pass, and of sets of options */
    int running;                         /* jobs that were started, and are not forgotten */
    int processes;                       /* of jobs, that were started, and may not be gone */
    unsigned turns;                      /* of its jobs */
};

struct jobs {
    int monitor;         /* socket; -1: the monitor is gone */
    int64_t patience_ms; /* a waiter is resumed with -EINTR after that long, and its job goes on; 0:
                            never */
    bool kills_done;     /* jobs that have told all: they have no reason to go on */
    int64_t wakes_at;    /* when poll(2) is to return; ms */
    int64_t stall_ms;    /* a job that tells nothing for so long is killed; 0: none is */
    struct sandbox_state sandbox; /* of the last job that told of it */
    uint32_t last_id;
    unsigned views_count;
    struct view *views;
    const struct option_sets *sets;
    unsigned count;     /* of all, at most JOBS_MAX */
    uint64_t set_bytes; /* that have come from jobs about sets of options */
    unsigned turns;     /* that run of those that take turns */
    /* Somebody has looked whether another file has the image's name; takes the descriptor, if it is
     * one. NULL: nobody wants to know. */
    void (*looked)(void *context, const struct wire_answer *answer, int fd);
    /* Looks whether the image has changed, and if so calls jobs_forget(). NULL: it never does. */
    bool (*changed)(void *context);
    void *context;
    int64_t look_until;     /* so long jobs look for another file, or somebody does; ms */
    struct waiter *lookers; /* they wait until somebody has */
    struct job *all;        /* that run, or are to run: the oldest first */
};

/* monitor: the socket, which becomes the jobs'; sets: those that tasks are about. Returns 0 or
 * -ENOMEM. */
int jobs_begin(struct jobs *jobs, int monitor, unsigned views_count,
               const struct option_sets *sets);
void jobs_end(struct jobs *jobs);

/* Whether no pass is needed for the place, or what its pass says of it is known: its view's
 * results. */
bool jobs_is_known(const struct jobs *jobs, const struct place *place);

/* Whether a job computes what the place contains, or is to. */
bool jobs_is_running(const struct jobs *jobs, const struct place *place);

/* Bytes that the jobs of a view have read. */
uint64_t view_bytes_read(const struct view *view);

/* Whether the job has told all that those who wait for it want to know. */
bool job_told_all(const struct job *job);

/* Keeps what a job has found, which leaves it. 0 or -ENOMEM. */
int view_publish(struct view *view, struct job *job);

/* Keeps lines of what is wrong, each once, unless there would be more than so many bytes of them.
 */
void view_add_problems(struct view *view, const struct text *lines, size_t most);

/* Forgets what such a task has told, or all that is known. */
void view_forget_told(struct view *view, const struct task *task);
void view_forget(struct view *view);

/* Queues the waiter and sees to it that a job runs. May resume it before it returns, with -EAGAIN:
 * too many wait. */
void jobs_wait(struct jobs *jobs, struct waiter *waiter);

/* Takes the waiter out again: it is not resumed. */
void jobs_leave(struct jobs *jobs, struct waiter *waiter);

/*
 * Forgets all results, as the image has changed. Who waits goes on to wait, for a new job; but only
 * JOBS_RESTARTS_MAX times: after that they get what the job finds, and `problems` says so.
 */
void jobs_forget(struct jobs *jobs);

/* Has somebody look whether another file has the image's name by now, and ask the file system
 * whether those that are open have changed. false: nobody can be asked. */
bool jobs_look(struct jobs *jobs);

/* Resumes the waiter, with 0, when somebody has looked, or has not within JOBS_LOOK_MS; with -EIO
 * if nobody will. */
void jobs_wait_look(struct jobs *jobs, struct waiter *waiter);

/* Whether there is nothing to wait for. */
bool jobs_are_idle(const struct jobs *jobs);

/* Fills in fds (JOBS_POLLFDS of them) for poll(2), and how many that are. Returns how long it may
 * wait, in ms, -1: for ever. */
int jobs_poll(struct jobs *jobs, struct pollfd *fds, nfds_t *count);

/* Does what poll(2) found to do. */
void jobs_handle(struct jobs *jobs, const struct pollfd *fds, nfds_t count);

/* Takes one whole frame. 0; 1: it was the last; -errno: it makes no sense, or no memory. */
int job_take_frame(struct job *job, const struct wire_frame *frame, const char *bytes);

/* Takes all whole frames that have come from a job. 0; 1: the last one did; -errno: they make no
 * sense, or no memory. */
int job_take_frames(struct job *job);

#endif
