/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: one thread that answers the kernel from what jobs have computed. Opens nothing, parses
 * nothing, waits for nothing but the next event.
 */
#ifndef FS_FRONT_H
#define FS_FRONT_H

#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include "fs/tree/bar.h"
#include "fs/jobs/collect.h"
#include "inodes.h"
#include "fs/jobs/jobs.h"
#include "options.h"
#include "watch.h"

enum {
    LOOK_MS = 500,        /* so often it is looked whether another file has the image's name */
    LOOK_AGAIN_MS = 5000, /* if nobody has answered */
};

struct front {
    const struct options *options;
    struct fuse_session *session;
    struct open_options open; /* of jobs */
    struct layers layers;
    struct collected known;   /* of view 0, before it was mounted */
    unsigned request_timeout; /* seconds after which the kernel ends a mount that has not answered;
                                 0: never */
    char *options_text;
    struct watch watch;
    struct sandbox_state sandbox; /* of this process */
    struct sandbox_filter filters[SANDBOX_KINDS];
    struct bar bar;      /* on a terminal, if it was asked for */
    uint64_t generation; /* from 1 on; another when a file has changed */
    bool waits_for_kernel;
    bool has_answered; /* FUSE_INIT */
    bool changed;      /* it has, and the kernel was not told yet */
    bool is_away;      /* nothing that may be opened has the image's name */
    bool is_looking;   /* whether something has, as it had not; not yet answered */
    int64_t looked_at; /* ms */
    struct inodes inodes;
    struct option_sets sets;
    struct jobs jobs;
};

/* The operations for fuse_session_new(); its user data is the struct front. */
extern const struct fuse_lowlevel_ops front_operations;

/*
 * Enters the sandbox, and serves the session until it is unmounted. monitor: the socket to the
 * monitor; ready: where it writes a byte to, and what it closes, once it serves; -1: nobody waits
 * for that. Returns the process's exit status.
 */
int front_run(struct front *front, int monitor, int ready);

/* The image that a view tells of. */
struct layer *front_layer(struct front *front, unsigned view);

/* Whether what is known is of a file that is gone, and it is being looked for another one: that
 * takes no time, unless storage hangs. */
bool front_is_looking(const struct front *front);

/* Makes room for other sets of options: forgets all for which nobody waits, and what is known of
 * files with them. */
void front_reclaim_sets(struct front *front);

/* Returns whether a file that is open has changed; if so, everything is computed anew. */
bool front_refresh(struct front *front);

#endif
