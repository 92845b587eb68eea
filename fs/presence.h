/* SPDX-License-Identifier: Apache-2.0 */
/* Which places of the tree exist, as far as is known. */
#ifndef FS_PRESENCE_H
#define FS_PRESENCE_H

#include "mounted.h"

/* The file whose pass decides whether the place exists: that of node->after, or itself. */
struct place presence_decider(const struct place *place);

/* The file whose pass must be done before a directory is listed; none: the directory itself. */
struct place presence_listing_decider(const struct place *directory);

/* The number of entries of a numbered directory; 0 if it is not known yet. */
uint32_t presence_entries(const struct mounted *m, const struct place *directory);

/* Whether it is known that a file does not apply to the image, or that a directory does not exist:
 * its number is too large, or none of its entries applies. */
bool presence_is_absent(const struct mounted *m, const struct place *place);

/* The number of files and directories of the whole image's view. */
uint64_t presence_count(const struct mounted *m);

#endif
