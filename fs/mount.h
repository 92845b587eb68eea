/* SPDX-License-Identifier: Apache-2.0 */
/* The mount point: whether it may be used, mounting, unmounting. */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdbool.h>

#include "options.h"

struct mount {
    char directory[PATH_MAX]; /* absolute */
    char device[32]; /* major:minor of the mount, as in /proc/self/mountinfo; "" before it is
                        mounted */
};

/*
 * Checks that options->directory can be mounted on: a directory, empty (unless nonempty), not a
 * mount point already, not a stale one. Returns 0 or an exit status, said.
 */
int mount_check(struct mount *mount, const struct options *options);

/*
 * Mounts session on the directory; source is the image's absolute path, as it is to appear in
 * /proc/mounts. Returns 0 or an exit status, said.
 */
int mount_begin(struct mount *mount, struct fuse_session *session);

/* The mount options for fuse_session_new(): args is filled. Returns 0 or an exit status, said. */
int mount_arguments(struct fuse_args *args, const struct options *options, const char *source);

/*
 * The seconds after which this kernel ends the whole mount if a request has not been answered
 * (/proc/sys/fs/fuse/{default,max}_request_timeout, since Linux 6.15); 0: never.
 */
unsigned mount_request_timeout(void);

/* Unmounts lazily, if the directory is still ours. What is open stays usable. */
void mount_end(const struct mount *mount);

/*
 * Unmounts what a front that has ended left behind, if anything. Where it was unmounted properly,
 * the directory may be a mount point again, and the new mount may have got the old one's device
 * number: that one answers, and is left alone.
 */
void mount_end_dead(const struct mount *mount);

#endif
