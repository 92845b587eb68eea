// SPDX-License-Identifier: Apache-2.0
/*
 * vpc: Virtual Hard Disk (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0). Big
 * endian.
 *
 * A fixed disk is the guest's bytes and a footer in the last 512 bytes of the file. A dynamic or
 * differencing disk begins with a copy of the footer, which is the one that is used. Then follow a
 * dynamic header, a block allocation table (BAT) and blocks, each behind a bitmap of its sectors.
 */
#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "formats/image.h"
#include "vhd.h"

#define DYNAMIC_COOKIE "cxsparse"

static int vhd_open_dynamic_header(struct disk *disk, struct vhd *vhd, uint64_t data_offset,
                                   bool is_differencing)
{
    struct image *img = disk->img;
    const uint8_t *header;
    int error = image_require(img, data_offset, DYNAMIC_BYTES, "vpc: dynamic disk header");

    if (!error)
        error = image_get(img, data_offset, DYNAMIC_BYTES, &header);
    if (error)
        return error;
    if (memcmp(header, DYNAMIC_COOKIE, 8) != 0)
        return image_fail(img, EUCLEAN, "vpc: no dynamic disk header (%s) at offset %llu",
                          DYNAMIC_COOKIE, (unsigned long long)data_offset);
    vhd->block_size = be32(header + DYNAMIC_BLOCK_SIZE);
    if (!is_power_of_two(vhd->block_size) || vhd->block_size < SECTOR)
        return image_fail(img, EUCLEAN,
                          "vpc: block size %llu is not a power of two of at least 512",
                          (unsigned long long)vhd->block_size);
    vhd->bitmap_size = div_up(vhd->block_size / SECTOR, 8 * SECTOR) * SECTOR;
    vhd->bat.offset = be64(header + DYNAMIC_TABLE_OFFSET);
    vhd->bat.entries = be32(header + DYNAMIC_MAX_TABLE_ENTRIES);
    vhd->bat.entry_bytes = VHD_BAT_ENTRY_BYTES;
    if (vhd->bat.entries * vhd->block_size < disk->virtual_size)
        return image_fail(img, EUCLEAN,
                          "vpc: max_table_entries %llu is too small: blocks of %llu bytes do not "
                          "cover the disk of %llu bytes",
                          (unsigned long long)vhd->bat.entries, (unsigned long long)vhd->block_size,
                          (unsigned long long)disk->virtual_size);
    error = is_differencing ? vhd_read_parent(disk, vhd, header) : 0;
    return error ? error : vhd_open_blocks(disk, vhd);
}

static int vhd_open_dynamic(struct disk *disk, const uint8_t *footer)
{
    uint32_t type = be32(footer + FOOTER_DISK_TYPE);
    struct vhd *vhd = image_alloc(disk->img, sizeof *vhd);

    if (!vhd)
        return -ENOMEM;
    disk->state = vhd;
    disk->subformat = type == TYPE_DIFFERENCING ? "differencing" : "dynamic";
    if (type != TYPE_DYNAMIC && type != TYPE_DIFFERENCING)
        image_note(disk->img, "vpc: disk type %u of the leading footer is read as dynamic (3)",
                   type);
    return vhd_open_dynamic_header(disk, vhd, be64(footer + FOOTER_DATA_OFFSET),
                                   type == TYPE_DIFFERENCING);
}

/* The last footer, where there is no leading one, must be that of a fixed disk. */
static int vhd_open_fixed(struct disk *disk, const struct vhd_footer *footer)
{
    uint32_t type = be32(footer->bytes + FOOTER_DISK_TYPE);

    if (!footer->has_cookie)
        return image_fail(disk->img, EUCLEAN,
                          "vpc: no footer (%s) at the start or in the last 512 bytes",
                          FOOTER_COOKIE);
    if (type != TYPE_FIXED)
        return image_fail(disk->img, EUCLEAN,
                          "vpc: disk type %u is not fixed (2), but there is no leading footer",
                          type);
    disk->subformat = "fixed";
    return 0;
}

static int vhd_open(struct disk *disk)
{
    struct vhd_footer footer;
    uint64_t sectors;
    uint32_t checksum;
    int error = vhd_find_footer(disk->img, &footer);

    if (!error && !footer.is_leading)
        error = vhd_open_fixed(disk, &footer);
    if (error)
        return error;
    checksum = vhd_footer_checksum(footer.bytes);
    if (be32(footer.bytes + FOOTER_CHECKSUM) != checksum)
        return image_fail(
            disk->img, EUCLEAN, "vpc: checksum 0x%08x of the %s footer is wrong: computed 0x%08x",
            be32(footer.bytes + FOOTER_CHECKSUM), footer.is_leading ? "leading" : "last", checksum);
    sectors = vhd_footer_sectors(footer.bytes, disk->qemu);
    if (sectors > VHD_SECTORS_MAX)
        return image_fail(disk->img, EFBIG,
                          "vpc: the disk has %llu sectors, more than %llu (2040 GiB)",
                          (unsigned long long)sectors, (unsigned long long)VHD_SECTORS_MAX);
    disk->virtual_size = sectors * SECTOR;
    return footer.is_leading ? vhd_open_dynamic(disk, footer.bytes) : 0;
}

static int vhd_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    if (disk->state)
        return vhd_block_extent_at(disk, offset, want, extent);
    extent->kind = EXTENT_DATA;
    extent->host = offset;
    extent->length = disk->virtual_size - offset;
    extent->flags = EXTENT_HOST_HOLES;
    return 0;
}

static int vhd_map_units(struct disk *disk, uint64_t offset, struct unit_map *map)
{
    return disk->state ? vhd_map_blocks(disk, offset, map) : 0;
}

const struct format_driver vhd_driver = {
    .name = "vpc",
    .sections = vhd_sections,
    .signatures = {{HEAD, 0, FOOTER_COOKIE, 8}, {TAIL, FOOTER_BYTES, FOOTER_COOKIE, 8}},
    .probe = vhd_probe,
    .open = vhd_open,
    .extent_at = vhd_extent_at,
    .map_units = vhd_map_units,
    .check_parent = vhd_check_parent,
};
