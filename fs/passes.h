/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: what is computed together. Run by a job of the daemon, or by a program that has no mount.
 */
#ifndef FS_PASSES_H
#define FS_PASSES_H

#include "nodes.h"

/* Takes what a pass finds. Each returns 0 or -errno, which ends the pass. */
struct pass_sink {
    void *context;
    /* The text of one file, or the -errno that reading it says. */
    int (*file)(void *context, const struct place *place, int error, const struct text *text);
    /* How many numbered entries a directory has. Told before what is in them. */
    int (*count)(void *context, const struct place *directory, uint32_t count);
    /* A reference of the image, in their order; NULL: nobody wants them. PASS_HEADER tells them. */
    int (*reference)(void *context, const struct reference *reference);
};

/* What a pass says besides its files. */
struct pass_report {
    char problems[IMAGE_PROBLEMS_MAX];
    uint64_t bytes_read;
};

/*
 * Runs a pass (PASS_HEADER or later) over a view of the layers, of which the image is taken as the
 * options say, and tells the sink every file of it. PASS_CONTENT tells those of PASS_HEADER, too,
 * PASS_SCAN those of PASS_MEASURE, and PASS_MEASURE those of PASS_SCAN unless it could save work.
 * What is wrong with the image is what its files say. Returns 0 or -errno (the session cannot
 * begin, the sink's).
 */
int pass_run(enum pass pass, unsigned view, const struct layers *layers,
             const struct open_options *options, const struct pass_sink *sink,
             struct pass_report *report);

/* Whether a job that runs the pass may emit files of that one. */
bool pass_may_emit(enum pass pass, enum pass file);

#endif
