/* SPDX-License-Identifier: Apache-2.0 */
/* How far the jobs are. */
#ifndef FS_PROGRESS_H
#define FS_PROGRESS_H

#include "jobs.h"

/*
 * Adds a line for each job: bytes of the disk that it has looked at, bytes of the disk, percent,
 * seconds left, and what it computes; a number that is not known is -.
 */
void progress_add(struct text *text, const struct jobs *jobs);

#endif
