/* SPDX-License-Identifier: Apache-2.0 */
/* The measure and scan passes: one walk over the extents counts for all targets, and adds up the
 * allocated size. */
#ifndef FS_TREE_MEASURES_H
#define FS_TREE_MEASURES_H

#include "findings.h"

/*
 * The smallest unit, in bytes, that the measure pass counts; targets with smaller ones need the
 * scan pass. Once all units that an extent touches are counted, the walk skips to their end. With
 * smaller units it would read tables that `qemu-img measure` skips, and fail where qemu-img does
 * not.
 */
enum { MEASURED_UNIT = 65536 };

/* Computes the sizes in measure/ that do not depend on the data, for the pass; error: of opening
 * the image, which becomes theirs. */
void measures_compute(struct findings *findings, enum pass_id pass, int error);

#endif
