// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the file that `qemu-img convert -O vpc` writes (Virtual Hard Disk Image Format
 * Specification 1.0). qemu enlarges the disk to a size that a CHS geometry can express, unless
 * force_size is on or the disk is too large for any.
 */
#include <errno.h>

#include "formats/checked.h"
#include "formats/vhd/vhd.h"
#include "options.h"

enum {
    BLOCK = 2 << 20,
    BLOCK_SECTORS = BLOCK / SECTOR,
    BITMAP = 512,         /* in front of each block */
    HEADERS = 512 + 1024, /* the copy of the footer, and the dynamic disk header */
    FOOTER = 512,
};

enum subformat { DYNAMIC, FIXED };
static const char *const vhd_subformat_names[] = {"dynamic", "fixed", NULL};

static const struct target_key vhd_keys[] = {
    {"force_size", KEY_BOOL},
    {"subformat", KEY_TEXT},
    {NULL, KEY_TEXT},
};

static int vhd_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int choice = target_choice(v, "subformat", vhd_subformat_names, DYNAMIC);

    if (choice < 0)
        return target_not_accepted(v, "subformat", "subformat", why);
    o->subformat = (unsigned)choice;
    o->force_size = target_number(v, "force_size", 0);
    return target_check_preallocation(v, why);
}

static size_t vhd_units(const struct target_options *o, uint64_t virtual_size,
                        uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = BLOCK;
    return o->subformat == FIXED ? 0 : 1;
}

/* Returns the sectors of the CHS geometry for a disk of so many sectors, which may be fewer ("CHS
 * Calculation" in the specification's appendix). */
static uint64_t vhd_chs_sectors(uint64_t sectors)
{
    uint64_t per_track = 255, heads = 16, tracks = sectors / 255;

    if (sectors < UINT64_C(65535) * 16 * 63) {
        per_track = 17;
        tracks = sectors / per_track;
        heads = max_u64(4, div_up(tracks, 1024));
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = sectors / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            tracks = sectors / per_track;
        }
    }
    return tracks / heads * heads * per_track;
}

/* Returns the sectors of the disk as a VHD: the smallest CHS size of at least `sectors`. It is at
 * most one cylinder larger, or two where the numbers of heads or sectors per track change. */
static uint64_t vhd_disk_sectors(const struct target_options *o, uint64_t sectors)
{
    uint64_t wanted = sectors, found = 0;

    if (o->force_size || sectors >= VHD_GEOMETRY_SECTORS_MAX)
        return sectors;
    while (found < sectors && wanted < VHD_GEOMETRY_SECTORS_MAX)
        found = vhd_chs_sectors(wanted++);
    return found < sectors || found == VHD_GEOMETRY_SECTORS_MAX ? sectors : found;
}

static int vhd_size(const struct target_options *o, uint64_t virtual_size,
                    const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                    struct reason *why)
{
    uint64_t sectors = div_up(virtual_size, SECTOR), blocks, before;

    if (sectors > VHD_SECTORS_MAX)
        return target_refuse(why, EFBIG, "Disk size is too large, max size is 2040 GiB");
    if (o->subformat == FIXED && !sectors)
        return target_refuse(why, ENOTSUP, "qemu-img cannot open a fixed image of an empty disk");
    sectors = vhd_disk_sectors(o, sectors);
    if (o->subformat == FIXED) {
        size->required = size->fully_allocated = sectors * SECTOR + FOOTER;
        return 0;
    }
    blocks = div_up(sectors, BLOCK_SECTORS);
    before = HEADERS + div_up(blocks * 4, SECTOR) * SECTOR + FOOTER;
    size->required = before + touched[0] * (BITMAP + BLOCK);
    size->fully_allocated = before + blocks * (BITMAP + BLOCK);
    return 0;
}

const struct target vhd_target = {
    .name = "vpc",
    .keys = vhd_keys,
    .check = vhd_check,
    .units = vhd_units,
    .size = vhd_size,
};
