/* SPDX-License-Identifier: Apache-2.0 */
/* What of the tree is there, as far as is known. */
#ifndef FS_PRESENCE_H
#define FS_PRESENCE_H

#include "front.h"

/* What is known of a place, which stays; NULL: not computed, or not a file that is. */
struct result *tree_computed(const struct front *front, const struct place *place);

/* The file whose pass tells whether the place is there. */
struct place tree_told_by(const struct place *place);

/* The place whose pass has to be known before a directory can be listed. */
struct place tree_listed_after(const struct place *directory);

/* How many entries a numbered directory has. */
uint32_t tree_entries(const struct front *front, const struct place *directory);

/* Whether a file is known not to apply to this image, or a directory not to be there: for there are
 * not so many, or none of what is in it applies. */
bool tree_is_absent(const struct front *front, const struct place *place);

/* How many files and directories there are, but for layers alone. */
uint64_t tree_count(const struct front *front);

#endif
