/* SPDX-License-Identifier: Apache-2.0 */
/* Which places of the tree exist, as far as is known. */
#ifndef FS_PRESENCE_H
#define FS_PRESENCE_H

#include "mounted.h"

/* The file whose pass decides whether the place exists: itself, or the one that its node names. */
struct place presence_decider(const struct place *place);

/* The place whose pass must be known before a directory is listed; the directory itself: none. */
struct place presence_listing_decider(const struct place *directory);

/* The number of entries of a numbered directory; 0 if it is not known. */
uint32_t presence_entries(const struct mounted *m, const struct place *directory);

/* Whether a file is known not to apply to the image; or a directory not to exist: there are not as
 * many, or none of its entries applies. */
bool presence_is_absent(const struct mounted *m, const struct place *place);

/* The number of files and directories of the whole image's view. */
uint64_t presence_count(const struct mounted *m);

#endif
