/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front: one thread that answers the kernel from what jobs have computed. It opens nothing,
 * parses nothing, and waits only for events.
 */
#ifndef FS_FRONT_H
#define FS_FRONT_H

#include <fuse_lowlevel.h>

#include "fs/jobs/collect.h"
#include "fs/jobs/jobs.h"
#include "fs/tree/bar.h"
#include "inodes.h"
#include "mounted.h"
#include "options.h"

struct front {
    const struct options *options;
    struct fuse_session *session;
    struct mounted image;
    struct collected known;   /* collected from the image before it was mounted */
    unsigned request_timeout; /* seconds until the kernel aborts a mount that does not answer; 0: it
                                 never does */
    char *options_text;
    struct sandbox_state sandbox; /* of this process */
    struct sandbox_filter filters[SANDBOX_KINDS];
    struct bar bar; /* on a terminal, with -o progress */
    bool waits_for_kernel;
    bool has_answered; /* FUSE_INIT was answered */
    struct inodes inodes;
    struct option_sets sets;
    struct jobs jobs;
};

/* The operations for fuse_session_new(); its user data is the struct front. */
extern const struct fuse_lowlevel_ops front_operations;

/*
 * Enters the sandbox and serves the session until it is unmounted. monitor: the socket to the
 * monitor; ready: a byte is written to it, and it is closed, once the front serves; -1: none.
 * Returns the exit status of the process.
 */
int front_run(struct front *front, int monitor, int ready);

/* Drops option sets that no reader waits for, and files with these options. */
void front_reclaim_sets(struct front *front);

/* Checks for changes of the image. Returns whether there was one since the last call. */
bool front_refresh(struct front *front);

#endif
