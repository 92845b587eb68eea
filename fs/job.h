/* SPDX-License-Identifier: Apache-2.0 */
/* A job: a process that runs one pass over the image and ends. */
#ifndef FS_JOB_H
#define FS_JOB_H

#include "nodes.h"

/*
 * Runs the pass over the image in fd, taken as the options say, in a process of its own, and writes
 * its frames (wire.h) to out. Returns the process's exit status.
 */
int job_run(enum pass pass, int fd, const struct open_options *options, int out);

#endif
