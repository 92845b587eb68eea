/* SPDX-License-Identifier: Apache-2.0 */
/* The measure and scan passes: one walk over the extents feeds every consumer of allocation. */
#ifndef FS_TREE_MEASURES_H
#define FS_TREE_MEASURES_H

#include "findings.h"

/*
 * The smallest unit, in bytes, that the measure pass counts. With smaller ones it could skip
 * nothing that qemu skips when it measures, and would fail where qemu does not.
 */
enum { MEASURED_UNIT = 65536 };

/* Walks over the extents, as far as measure/ depends on them. */
void measures_run(struct findings *findings, const struct pass_sink *sink);

/* Walks over all of them. */
void measures_run_all(struct findings *findings, const struct pass_sink *sink);

/* Computes the sizes of the files in measure/ that the pass computes; error: of its walk. */
void measures_compute(struct findings *findings, enum pass_id pass, int error);

#endif
