/* SPDX-License-Identifier: Apache-2.0 */
/* The mount point: checking it, mounting, unmounting. */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdbool.h>

#include "options.h"

struct mount {
    char directory[PATH_MAX]; /* absolute */
    char device[32]; /* major:minor of the mount, as in /proc/self/mountinfo; "": not mounted */
};

/*
 * Checks that options->directory is a directory that can be mounted on: empty (unless nonempty) and
 * not a mount point, dead or alive. Returns 0, or an exit status after printing the reason.
 */
int mount_check(struct mount *mount, const struct options *options);

/* Mounts session on the directory. Returns 0, or an exit status after printing the reason. */
int mount_begin(struct mount *mount, struct fuse_session *session);

/*
 * Fills args with the mount options for fuse_session_new(); source is the image's absolute path, as
 * /proc/mounts will show it. Returns 0, or an exit status after printing the reason.
 */
int mount_arguments(struct fuse_args *args, const struct options *options, const char *source);

/*
 * The time in seconds after which this kernel aborts the whole mount if a request has had no reply
 * (/proc/sys/fs/fuse/{default,max}_request_timeout, since Linux 6.15); 0: never.
 */
unsigned mount_request_timeout(void);

/* Unmounts lazily, unless the mount is gone already. Open files stay usable. */
void mount_end(const struct mount *mount);

/*
 * Unmounts the dead mount that a front leaves when it ends without unmounting. After a proper
 * unmount the directory may be a mount point again, and the new mount may have the old one's device
 * number: a mount that still replies is left alone.
 */
void mount_end_dead(const struct mount *mount);

#endif
