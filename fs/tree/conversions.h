/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data pass: all conversions of a job, fed by one walk over the guest's data. Those whose size
 * does not depend on the data are computed by the header pass.
 */
#ifndef FS_TREE_CONVERSIONS_H
#define FS_TREE_CONVERSIONS_H

#include "findings.h"

/* Computes the files in convert_size/ of the data pass. */
void conversions_run(struct findings *findings, const struct pass_sink *sink);

/*
 * Begins the conversions of the files in convert_size/ that the pass computes, and computes their
 * sizes after the walk that the pass needs; error: of that walk. conversions_close() ends them all.
 */
void conversions_begin(struct findings *findings, enum pass_id pass);
void conversions_finish(struct findings *findings, enum pass_id pass, int error);
void conversions_close(struct findings *findings);

#endif
