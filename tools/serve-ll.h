/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the minimal file systems of the benchmark. */
#ifndef TOOLS_SERVE_LL_H
#define TOOLS_SERVE_LL_H

#include <fuse_lowlevel.h>

/* The main function of such a program, whose one argument is the directory to mount on: mounts,
 * goes to the background, and serves until the file system is unmounted. Returns its exit status.
 */
int serve_ll(int argc, char **argv, const struct fuse_lowlevel_ops *operations);

#endif
