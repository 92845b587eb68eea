/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: what is computed together. Run by a job of the daemon, or by a program that has no mount.
 */
#ifndef FS_PASSES_H
#define FS_PASSES_H

#include "nodes.h"

/* Takes the text of one file, or the -errno that reading it says. Returns 0 or -errno, which ends
 * the pass. */
typedef int (*pass_emit)(void *context, const struct node *node, int error,
                         const struct text *text);

/* What a pass says besides its files. */
struct pass_report {
    char problems[IMAGE_PROBLEMS_MAX];
    uint64_t bytes_read;
};

/*
 * Runs a pass (PASS_HEADER or later) over the image in fd, taken as the options say, and emits
 * every file of it. PASS_CONTENT emits those of PASS_HEADER, too, PASS_SCAN those of PASS_MEASURE,
 * and PASS_MEASURE those of PASS_SCAN unless it could save work. What is wrong with the image is
 * what its files say. Returns 0 or -errno (the session cannot begin, emit's).
 */
int pass_run(enum pass pass, int fd, const struct open_options *options, pass_emit emit,
             void *context, struct pass_report *report);

/* Whether a job that runs the pass may emit files of that one. */
bool pass_may_emit(enum pass pass, enum pass file);

#endif
