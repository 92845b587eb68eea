// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the file that `qemu-img convert -O vpc` writes (Virtual Hard Disk Image Format
 * Specification 1.0). The disk grows to what cylinders, heads and sectors can tell, unless that is
 * refused by force_size, or cannot be since it is too large.
 */
#include <errno.h>

#include "formats/checked.h"
#include "formats/vhd/vhd.h"
#include "options.h"

enum {
    BLOCK = 2 << 20,
    BLOCK_SECTORS = BLOCK / 512,
    BITMAP = 512,         /* in front of each block */
    HEADERS = 512 + 1024, /* the copy of the footer, and the dynamic header */
    FOOTER = 512,
};

enum subformat { DYNAMIC, FIXED };
static const char *const subformat_names[] = {"dynamic", "fixed", NULL};

static const struct target_key keys[] = {
    {"force_size", KEY_BOOL},
    {"subformat", KEY_TEXT},
    {NULL, KEY_TEXT},
};

static int check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int choice = target_choice(v, "subformat", subformat_names, DYNAMIC);

    if (choice < 0)
        return target_not_accepted(v, "subformat", "subformat", why);
    o->subformat = (unsigned)choice;
    o->force_size = target_number(v, "force_size", 0);
    return target_check_preallocation(v, why);
}

static size_t units(const struct target_options *o, uint64_t virtual_size,
                    uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = BLOCK;
    return o->subformat == FIXED ? 0 : 1;
}

/* The sectors of the geometry for so many (CHS Calculation, in the specification's appendix), at
 * most VHD_GEOMETRY_SECTORS_MAX. */
static uint64_t geometry_sectors(uint64_t sectors)
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

/* The sectors that the disk has as a VHD: the first geometry for so many sectors or more that has
 * as many. It has them at the latest a cylinder later, or two where it changes its form. */
static uint64_t disk_sectors(const struct target_options *o, uint64_t sectors)
{
    uint64_t asked = sectors, found = 0;

    if (o->force_size || sectors >= VHD_GEOMETRY_SECTORS_MAX)
        return sectors;
    while (found < sectors && asked < VHD_GEOMETRY_SECTORS_MAX)
        found = geometry_sectors(asked++);
    return found < sectors || found == VHD_GEOMETRY_SECTORS_MAX ? sectors : found;
}

static int size(const struct target_options *o, uint64_t virtual_size,
                const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                struct reason *why)
{
    uint64_t sectors = div_up(virtual_size, 512), blocks, before;

    if (sectors > VHD_SECTORS_MAX)
        return target_refuse(why, EFBIG, "Disk size is too large, max size is 2040 GiB");
    if (o->subformat == FIXED && !sectors)
        return target_refuse(why, ENOTSUP, "a fixed disk that is empty cannot be read again");
    sectors = disk_sectors(o, sectors);
    if (o->subformat == FIXED) {
        size->required = size->fully_allocated = sectors * 512 + FOOTER;
        return 0;
    }
    blocks = div_up(sectors, BLOCK_SECTORS);
    before = HEADERS + div_up(blocks * 4, 512) * 512 + FOOTER;
    size->required = before + touched[0] * (BITMAP + BLOCK);
    size->fully_allocated = before + blocks * (BITMAP + BLOCK);
    return 0;
}

const struct target vhd_target = {
    .name = "vpc",
    .keys = keys,
    .check = check,
    .units = units,
    .size = size,
};
