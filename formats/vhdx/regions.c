// SPDX-License-Identifier: Apache-2.0
/*
 * The region tables of VHDX (MS-VHDX 2.2.3), little endian: they locate the BAT and the metadata,
 * each with a GUID, which may lie anywhere in the file. Of the two tables only the first is used,
 * as in qemu.
 */
#include "regions.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/image.h"
#include "header.h"

enum {
    REGIONS_SIGNATURE = 0x69676572, /* "regi" */
    REGION_REQUIRED = 1,
};

const uint8_t vhdx_bat_guid[VHDX_GUID] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                          0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
const uint8_t vhdx_metadata_guid[VHDX_GUID] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                               0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};

static struct vhdx_region vhdx_region(const uint8_t *table, uint32_t i)
{
    const uint8_t *entry = table + REGIONS_ENTRIES + (size_t)i * REGION_BYTES;

    return (struct vhdx_region){le64(entry + REGION_FILE_OFFSET), le32(entry + REGION_LENGTH)};
}

/* Both must end below 2^64. */
static bool vhdx_regions_overlap(struct vhdx_region a, struct vhdx_region b)
{
    return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

/* Fails if region i overlaps the log or an earlier region: at most 2047 * 2046 / 2 comparisons for
 * the table. */
static int vhdx_check_overlap(struct image *img, const struct vhdx *v, const uint8_t *table,
                              uint32_t i)
{
    struct vhdx_region region = vhdx_region(table, i);
    bool overlaps;
    uint64_t end;

    if (!checked_add(region.offset, region.length, &end))
        return image_fail(img, EUCLEAN, "vhdx: region %u ends past 2^64 bytes", i);
    overlaps = vhdx_regions_overlap(region, v->log);
    for (uint32_t k = 0; !overlaps && k < i; k++)
        overlaps = vhdx_regions_overlap(region, vhdx_region(table, k));
    if (overlaps)
        return image_fail(
            img, EUCLEAN,
            "vhdx: region %u (%llu bytes at offset %llu) overlaps another region or the log", i,
            (unsigned long long)region.length, (unsigned long long)region.offset);
    return 0;
}

/* Sets *region to region i, of the kind name. */
static int vhdx_take_region(struct image *img, const uint8_t *table, uint32_t i, const char *name,
                            struct vhdx_region *region)
{
    if (region->offset)
        return image_fail(img, EUCLEAN, "vhdx: the region table has two %s regions", name);
    *region = vhdx_region(table, i);
    if (region->offset < VHDX_MIB || region->offset % VHDX_MIB)
        return image_fail(img, EUCLEAN,
                          "vhdx: %s region offset %llu is not a positive multiple of 1 MiB", name,
                          (unsigned long long)region->offset);
    return 0;
}

static int vhdx_take_regions(struct image *img, struct vhdx *v, const uint8_t *table,
                             uint32_t count)
{
    int error = 0;

    for (uint32_t i = 0; !error && i < count; i++) {
        const uint8_t *entry = table + REGIONS_ENTRIES + (size_t)i * REGION_BYTES;

        error = vhdx_check_overlap(img, v, table, i);
        if (error)
            return error;
        if (memcmp(entry + REGION_GUID, vhdx_bat_guid, VHDX_GUID) == 0)
            error = vhdx_take_region(img, table, i, "BAT", &v->bat);
        else if (memcmp(entry + REGION_GUID, vhdx_metadata_guid, VHDX_GUID) == 0)
            error = vhdx_take_region(img, table, i, "metadata", &v->metadata);
        else if (le32(entry + REGION_FLAGS) & REGION_REQUIRED)
            return image_fail(img, ENOTSUP, "vhdx: region %u is required, but not supported", i);
    }
    return error;
}

int vhdx_read_regions(struct image *img, struct vhdx *v)
{
    const uint8_t *table;
    uint32_t count;
    int error = image_get(img, VHDX_REGIONS1_AT, VHDX_REGIONS_BYTES, &table);

    if (error)
        return error;
    if (le32(table) != REGIONS_SIGNATURE)
        return image_fail(img, EUCLEAN, "vhdx: the region table has no signature");
    if (!vhdx_is_checksum_valid(table, VHDX_REGIONS_BYTES))
        return image_fail(img, EUCLEAN, "vhdx: the region table has a wrong checksum");
    count = le32(table + REGIONS_ENTRY_COUNT);
    if (count > VHDX_TABLE_ENTRIES)
        return image_fail(img, EUCLEAN, "vhdx: region table has %u entries: at most %d fit", count,
                          VHDX_TABLE_ENTRIES);
    error = vhdx_take_regions(img, v, table, count);
    if (error)
        return error;
    if (!v->bat.offset || !v->metadata.offset)
        return image_fail(img, EUCLEAN, "vhdx: the region table has no %s region",
                          v->bat.offset ? "metadata" : "BAT");
    return 0;
}
