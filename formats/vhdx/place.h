/* SPDX-License-Identifier: Apache-2.0 */
/* Where blocks may lie in the file: behind the headers, outside of the regions. */
#ifndef FORMATS_VHDX_PLACE_H
#define FORMATS_VHDX_PLACE_H

#include <stdint.h>

struct disk;

/*
 * Checks that bytes bytes at host lie in the file and overlap neither headers nor regions; what and
 * number name the block in a message. Sets [*low, *high) to the gap between regions around them. 0
 * or EUCLEAN, reported.
 */
int vhdx_check_place(struct disk *disk, const char *what, uint64_t number, uint64_t host,
                     uint64_t bytes, uint64_t *low, uint64_t *high);

#endif
