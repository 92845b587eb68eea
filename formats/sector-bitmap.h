/* SPDX-License-Identifier: Apache-2.0 */
/* The sector bitmaps of differencing disks: a bit for each sector, set if the sector is in this
 * file and not in the parent. */
#ifndef FORMATS_SECTOR_BITMAP_H
#define FORMATS_SECTOR_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct extent;

/* Which bit of a byte stands for its first sector. */
enum bit_order { MSB_FIRST, LSB_FIRST };

/* The bit of a sector. */
bool sector_bit(const uint8_t *bits, uint64_t sector, enum bit_order order);

/* The first sector after first and before end whose bit differs from that of first; end if there is
 * none. Reads the bytes up to the one with the bit of end - 1. */
uint64_t sector_run_end(const uint8_t *bits, uint64_t first, uint64_t end, enum bit_order order);

/*
 * extent_at for a disk that may have such bitmaps. block_at returns the extent at offset within one
 * block, or within several that are alike. If the disk is differencing and host offsets are not
 * wanted, following extents of the same kind are joined. Returns 0 or -errno, reported.
 */
int sector_runs_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent,
                   int (*block_at)(struct disk *disk, uint64_t offset, unsigned want,
                                   struct extent *extent));

#endif
