// SPDX-License-Identifier: Apache-2.0
/*
 * The sector bitmaps of a differencing VHDX (MS-VHDX 2.5.1.2): one block of 1 MiB for the payload
 * blocks of each chunk, with a bit for each logical sector, least significant bit first. A set bit
 * means that the sector is in this file, a clear bit that it is in the parent. Peculiar: only
 * partially present payload blocks use it.
 */
#include "bitmap.h"

#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/sector-bitmap.h"
#include "place.h"
#include "state.h"

enum { BITMAP_PRESENT = 6 };

/* Finds the bitmap of a chunk: its entry is the last one of the chunk. The entry is read by itself,
 * so that the window on the BAT stays with the payload entries. */
static int vhdx_find_bitmap(struct disk *disk, uint64_t block, uint64_t chunk)
{
    struct vhdx *v = disk->state;
    uint64_t index = chunk * (v->chunk_ratio + 1) + v->chunk_ratio, entry, low, high;
    uint8_t bytes[BAT_ENTRY_BYTES];
    int error;

    if (v->bitmap_chunk == chunk + 1)
        return 0;
    error = image_read(disk->img, v->bat.offset + index * BAT_ENTRY_BYTES, sizeof bytes, bytes);
    if (error)
        return error;
    entry = le64(bytes);
    if ((entry & BAT_STATE_MASK) != BITMAP_PRESENT)
        return image_fail(
            disk->img, EUCLEAN,
            "vhdx: block %llu is partially present, but its sector bitmap block has state "
            "%u, not %d (present)",
            (unsigned long long)block, (unsigned)(entry & BAT_STATE_MASK), BITMAP_PRESENT);
    v->bitmap_offset = entry >> BAT_OFFSET_SHIFT << BAT_OFFSET_SHIFT;
    error = vhdx_check_place(disk, "sector bitmap block of chunk", chunk, v->bitmap_offset,
                             VHDX_MIB, &low, &high);
    if (!error)
        v->bitmap_chunk = chunk + 1;
    return error;
}

int vhdx_sectors_at(struct disk *disk, uint64_t block, uint64_t inside, struct extent *extent)
{
    struct vhdx *v = disk->state;
    /* A block has 256 to 2^19 sectors: its bits are whole bytes, which fit in the window. */
    uint64_t sectors = v->block_size / v->sector, sector = inside / v->sector;
    uint64_t first = block % v->chunk_ratio * (sectors / 8);
    const uint8_t *bits;
    int error = vhdx_find_bitmap(disk, block, block / v->chunk_ratio);

    if (!error && !v->bitmap.bytes)
        error = image_window_begin(disk->img, &v->bitmap, IMAGE_WINDOW_MIN);
    if (!error)
        error = image_window_ahead(disk->img, &v->bitmap, v->bitmap_offset + first,
                                   (size_t)(sectors / 8), VHDX_MIB - first, &bits);
    if (error)
        return error;
    extent->kind = sector_bit(bits, sector, LSB_FIRST) ? EXTENT_DATA : EXTENT_HOLE;
    extent->length = sector_run_end(bits, sector, sectors, LSB_FIRST) * v->sector - inside;
    return 0;
}
