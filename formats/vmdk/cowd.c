// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: COWD extents (VMware, "Virtual Disk Format 5.0", "ESX Server Sparse Extents"), little
 * endian.
 *
 * A header of 2 KiB, then, in sectors: a grain directory, and grain tables of 4096 grains each.
 * There is no compression, and there are no zeroed grains.
 */
#include "cowd.h"

#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/image.h"
#include "tables.h"

enum { GTES = 4096 };

int vmdk_cowd_open(struct disk *disk, const uint8_t *head)
{
    uint32_t sectors = le32(head + COWD_NUM_SECTORS);
    uint32_t grain_sectors = le32(head + COWD_GRAIN_SIZE);
    uint32_t gd_entries = le32(head + COWD_NUM_GD_ENTRIES);
    struct vmdk_layout layout = {.gd_offset = (uint64_t)le32(head + COWD_GD_OFFSET) * SECTOR,
                                 .gtes = GTES,
                                 .grain_size = (uint64_t)grain_sectors * SECTOR};

    disk->subformat = "vmfsSparse";
    disk->virtual_size = (uint64_t)sectors * SECTOR;
    /* As for the other kinds of extents. qemu does not check it. */
    if (!is_power_of_two(grain_sectors))
        return image_fail(disk->img, EUCLEAN, "vmdk: grainSize %u is not a power of two",
                          grain_sectors);
    if (grain_sectors > VMDK_GRAIN_SECTORS_MAX)
        return image_fail(disk->img, EFBIG, "vmdk: grainSize %u is more than %d sectors",
                          grain_sectors, VMDK_GRAIN_SECTORS_MAX);
    if (gd_entries > VMDK_GD_ENTRIES_MAX)
        return image_fail(disk->img, EFBIG, "vmdk: numGDEntries %u is more than %d", gd_entries,
                          VMDK_GD_ENTRIES_MAX);
    /* qemu opens the disk, and fails to read what the tables do not cover. */
    if (gd_entries < div_up(sectors, (uint64_t)GTES * grain_sectors))
        return image_fail(
            disk->img, EUCLEAN,
            "vmdk: numGDEntries %u is too small: tables of %d grains do not cover numSectors %u",
            gd_entries, GTES, sectors);
    return vmdk_tables_begin(disk, &layout);
}
