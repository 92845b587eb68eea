/* SPDX-License-Identifier: Apache-2.0 */
/* The sector bitmaps of a differencing VHDX (MS-VHDX 2.5.1.2). */
#ifndef FORMATS_VHDX_BITMAP_H
#define FORMATS_VHDX_BITMAP_H

#include <stdint.h>

struct disk;
struct extent;

/* Sets kind and length of extent for the byte at inside of a partially present block: DATA or HOLE,
 * up to the end of the run of sectors within the block. 0 or -errno, reported. */
int vhdx_sectors_at(struct disk *disk, uint64_t block, uint64_t inside, struct extent *extent);

#endif
