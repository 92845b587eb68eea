/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data pass: one walk over the guest data feeds the conversions to all targets. Sizes that do
 * not depend on the data are computed by the header pass.
 */
#ifndef FS_TREE_CONVERSIONS_H
#define FS_TREE_CONVERSIONS_H

#include "findings.h"

/*
 * Begin the conversions for the files of the pass in convert_size/; compute their sizes, after the
 * walk if the pass needs one (error: 0 or -errno of the walk); end all that were begun.
 */
void conversions_begin(struct findings *findings, enum pass_id pass);
void conversions_finish(struct findings *findings, enum pass_id pass, int error);
void conversions_close(struct findings *findings);

#endif
