/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: what is computed together. Run by a job of the daemon, or by a program that has no mount.
 */
#ifndef FS_TREE_PASSES_H
#define FS_TREE_PASSES_H

#include "formats/image.h"
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
    /* So much of the disk has been looked at, of total bytes. Told often; NULL: nobody cares. */
    int (*progress)(void *context, uint64_t done, uint64_t total);
    /* Something was read. Told very often; NULL: nobody cares. */
    void (*read)(void *context);
};

/* What a pass says besides its files. */
struct pass_report {
    char problems[IMAGE_PROBLEMS_MAX];
    uint64_t bytes_read, reads;
};

/*
 * Does a task (of PASS_HEADER or later) over the layers, of which the image is taken as the options
 * say, and tells the sink every file of it; set: that of the task, NULL: none. Without a set,
 * PASS_CONTENT tells the files of PASS_HEADER, too, PASS_SCAN those of PASS_MEASURE, and
 * PASS_MEASURE those of PASS_SCAN unless it could save work. What is wrong with the image is what
 * its files say. Returns 0 or -errno (the session cannot begin, the sink's).
 */
int task_run(const struct task *task, const struct option_set *set, const struct layers *layers,
             const struct open_options *options, const struct pass_sink *sink,
             struct pass_report *report);

/* Whether such a task tells of headers, and how many entries numbered directories have. */
bool task_tells_headers(const struct task *task);

/* Whether the task may tell what the file contains. */
bool task_may_tell(const struct task *task, const struct place *place);

#endif
