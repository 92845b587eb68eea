// SPDX-License-Identifier: Apache-2.0
/*
 * The block allocation table (BAT) of a VHD ("Block Allocation Table and Data Blocks"), big endian:
 * for each block, 4 bytes with the sector of its bitmap; the data follows the bitmap. Peculiar: the
 * allocated blocks of a dynamic disk are whole, whatever their bitmaps contain, as in qemu. In a
 * differencing disk a set bit means that the sector is in this file, a clear bit that it is in the
 * parent.
 */
#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "formats/sector-bitmap.h"
#include "formats/unit-map.h"
#include "vhd.h"

#define UNALLOCATED UINT32_MAX

/* The file counts as padded to whole sectors. */
int vhd_open_blocks(struct disk *disk, struct vhd *vhd)
{
    uint64_t end, file_end, block = vhd->bitmap_size + vhd->block_size;

    checked_round_up(image_size(disk->img), SECTOR, &file_end);
    if (!checked_add(vhd->bat.offset, vhd->bat.entries * VHD_BAT_ENTRY_BYTES, &end) ||
        end > file_end)
        return image_fail(disk->img, EUCLEAN,
                          "vpc: block allocation table of %llu entries at offset %llu is past the "
                          "end of the file",
                          (unsigned long long)vhd->bat.entries,
                          (unsigned long long)vhd->bat.offset);
    vhd->has_room = block <= file_end;
    if (vhd->has_room)
        vhd->last_block_sectors = (file_end - block) / SECTOR;
    return 0;
}

/* A block must lie in the file. */
static bool vhd_is_bat_entry_valid(const struct vhd *vhd, uint32_t entry)
{
    return entry == UNALLOCATED || (vhd->has_room && entry <= vhd->last_block_sectors);
}

/* How many of bat[0..count) are like the first one: unallocated, or valid blocks. */
static uint64_t vhd_bat_run(const struct vhd *vhd, const uint8_t *bat, uint64_t count)
{
    bool hole = be32(bat) == UNALLOCATED;
    uint64_t n = 1;

    while (n < count && (be32(bat + VHD_BAT_ENTRY_BYTES * n) == UNALLOCATED) == hole &&
           vhd_is_bat_entry_valid(vhd, be32(bat + VHD_BAT_ENTRY_BYTES * n)))
        n++;
    return n;
}

/*
 * Sets kind and length of extent from the bitmap of a block, which is at sector entry of the file:
 * for the byte at offset within of the block, up to the end of the run. A long bitmap is read in
 * pieces, at which a run ends.
 */
static int vhd_sectors_at(struct disk *disk, uint32_t entry, uint64_t within, struct extent *extent)
{
    struct vhd *vhd = disk->state;
    uint64_t sectors = vhd->block_size / SECTOR, sector = within / SECTOR;
    uint64_t piece = image_window_share(disk->img, (size_t)div_up(sectors, 8));
    uint64_t first = sector / 8 / piece * piece * 8, count = min_u64(8 * piece, sectors - first);
    const uint8_t *bits;
    int error = vhd->bitmap.bytes ? 0 : image_window_begin(disk->img, &vhd->bitmap, (size_t)piece);

    if (!error)
        error = image_window_at(disk->img, &vhd->bitmap, (uint64_t)entry * SECTOR + first / 8,
                                (size_t)div_up(count, 8), &bits);
    if (error)
        return error;
    extent->kind = sector_bit(bits, sector - first, MSB_FIRST) ? EXTENT_DATA : EXTENT_HOLE;
    extent->length =
        (first + sector_run_end(bits, sector - first, count, MSB_FIRST)) * SECTOR - within;
    return 0;
}

/* The extent at offset within one block, or over several blocks with like BAT entries. */
static int vhd_block_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct vhd *vhd = disk->state;
    uint64_t index = offset / vhd->block_size, within = offset % vhd->block_size;
    uint64_t count, run = 1;
    const uint8_t *bat = NULL;
    uint32_t entry;
    int error = image_table_at(disk->img, &vhd->bat, index, &bat, &count);

    if (error)
        return error;
    entry = be32(bat);
    if (!vhd_is_bat_entry_valid(vhd, entry))
        return image_fail(disk->img, EUCLEAN,
                          "vpc: block %llu at sector %u ends past the end of the file",
                          (unsigned long long)index, entry);
    if (entry == UNALLOCATED || (!disk->backing_reference && !(want & EXTENTS_WANT_HOST)))
        run = vhd_bat_run(vhd, bat, count);
    extent->length = run * vhd->block_size - within;
    extent->kind = entry != UNALLOCATED      ? EXTENT_DATA
                   : disk->backing_reference ? EXTENT_HOLE
                                             : EXTENT_ZERO;
    if (entry != UNALLOCATED && disk->backing_reference)
        error = vhd_sectors_at(disk, entry, within, extent);
    if (extent->kind == EXTENT_DATA)
        extent->host = (uint64_t)entry * SECTOR + vhd->bitmap_size + within;
    return error;
}

static inline enum unit_bits vhd_classify(const void *vhd, const uint8_t *entry)
{
    uint32_t sector = be32(entry);

    if (sector == UNALLOCATED)
        return UNIT_EMPTY;
    return vhd_is_bat_entry_valid(vhd, sector) ? UNIT_DATA : UNIT_ODD;
}

int vhd_map_blocks(struct disk *disk, uint64_t offset, struct unit_map *map)
{
    struct vhd *vhd = disk->state;
    const uint8_t *bat;
    uint64_t count;
    int error;

    if (offset % vhd->block_size)
        return 0;
    error = image_table_at(disk->img, &vhd->bat, offset / vhd->block_size, &bat, &count);
    if (error)
        return error;
    map->unit = vhd->block_size;
    unit_map_fill(map, bat, VHD_BAT_ENTRY_BYTES, (uint32_t)min_u64(count, UNIT_MAP_UNITS),
                  vhd_classify, vhd);
    return 1;
}

int vhd_block_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    return sector_runs_at(disk, offset, want, extent, vhd_block_at);
}
