/* SPDX-License-Identifier: Apache-2.0 */
/* The bitmaps of sectors that differencing disks have: a bit for each sector, set: it is in this
 * file. */
#ifndef FORMATS_SECTOR_BITMAP_H
#define FORMATS_SECTOR_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct extent;

/* Which bit of a byte is its first sector. */
enum bit_order { MSB_FIRST, LSB_FIRST };

/* The bit of a sector. */
bool sector_bit(const uint8_t *bits, uint64_t sector, enum bit_order order);

/* The first sector from first on, before end, whose bit is another than that of first; end: there
 * is none. Needs the bytes up to the one that holds the bit of end - 1. */
uint64_t sector_run_end(const uint8_t *bits, uint64_t first, uint64_t end, enum bit_order order);

/*
 * extent_at of a disk that may have such bitmaps: what block_at, which tells of one block or of
 * several alike, tells of offset. Of a differencing disk, where nobody wants host offsets, runs of
 * blocks that are told alike are one. 0 or -errno, said.
 */
int sector_runs_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent,
                   int (*block_at)(struct disk *disk, uint64_t offset, unsigned want,
                                   struct extent *extent));

#endif
