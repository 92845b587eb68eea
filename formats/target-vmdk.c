// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the files that `qemu-img convert -O vmdk` writes (Virtual Disk Format 5.0). Of
 * formats with a descriptor file it is what the extents take: the descriptor's length depends on
 * names.
 */
#include <errno.h>
#include <string.h>

#include "checked.h"
#include "target-options.h"

enum {
    GRAIN = 65536,
    GRAIN_SECTORS = GRAIN / 512,
    TABLE_ENTRIES = 512, /* of a grain table; that is 4 sectors */
    HEAD_SECTORS = 21,   /* the header and 20 sectors of descriptor */

    /* A marker of 12 bytes and deflated bytes in whole sectors: zlib's own bound for a grain, where
     * it cannot make it smaller, is 65569 bytes (compressBound()). */
    STREAM_GRAIN = 66048,
};

#define SPLIT         (UINT64_C(1) << 31) /* twoGbMaxExtent... */
#define EXTENT_MAX    (UINT64_C(1) << 41) /* grains are addressed by sectors of 32 bits */
#define DIRECTORY_MAX (UINT64_C(1) << 25) /* entries; as many qemu opens */

enum subformat { SPARSE, STREAM, FLAT, SPLIT_SPARSE, SPLIT_FLAT };
static const char *const subformat_names[] = {"monolithicSparse",   "streamOptimized",
                                              "monolithicFlat",     "twoGbMaxExtentSparse",
                                              "twoGbMaxExtentFlat", NULL};
static const char *const adapter_names[] = {"ide", "buslogic", "lsilogic", "legacyESX", NULL};

static const struct target_key keys[] = {
    {"adapter_type", KEY_TEXT}, {"backing_file", KEY_TEXT}, {"backing_fmt", KEY_TEXT},
    {"compat6", KEY_BOOL},      {"hwversion", KEY_TEXT},    {"subformat", KEY_TEXT},
    {"toolsversion", KEY_TEXT}, {"zeroed_grain", KEY_BOOL}, {NULL, KEY_TEXT},
};

static bool is_flat(unsigned subformat)
{
    return subformat == FLAT || subformat == SPLIT_FLAT;
}

/* The values of keys that stand for one of several, in the order in which qemu looks. */
static int check_choices(const struct target_values *v, struct target_options *o,
                         struct reason *why)
{
    const char *format = target_value(v, "backing_fmt")->text;
    int choice = target_choice(v, "adapter_type", adapter_names, 0);

    if (format && strcmp(format, "vmdk") != 0)
        return target_refuse(why, EINVAL, "backing_file must be a vmdk image");
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "adapter_type")->text);
    choice = target_choice(v, "subformat", subformat_names, SPARSE);
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "subformat")->text);
    o->subformat = (unsigned)choice;
    return 0;
}

static int check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int error = check_choices(v, o, why);

    if (error)
        return error;
    if (target_number(v, "compat6", 0) && target_value(v, "hwversion")->text)
        return target_refuse(why, EINVAL, "compat6 cannot be enabled with hwversion set");
    if (is_flat(o->subformat) && target_number(v, "zeroed_grain", 0))
        return target_refuse(why, EINVAL, "Flat image can't enable zeroed grain");
    if (is_flat(o->subformat) && target_value(v, "backing_file")->text)
        return target_refuse(why, EINVAL, "Flat image can't have backing file");
    o->whole = target_value(v, "backing_file")->text;
    return target_check_preallocation(v, why);
}

static size_t units(const struct target_options *o, uint64_t virtual_size,
                    uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = GRAIN;
    return is_flat(o->subformat) ? 0 : 1;
}

/* Header, descriptor, and two grain directories, each with the tables for a disk of so many bytes
 * (below 2^51), up to the first grain. */
static uint64_t overhead(uint64_t bytes)
{
    uint64_t tables = div_up(div_up(bytes, GRAIN), TABLE_ENTRIES);
    uint64_t directory_sectors = div_up(tables * 4, 512);

    return div_up(HEAD_SECTORS + 2 * (directory_sectors + 4 * tables), GRAIN_SECTORS) * GRAIN;
}

static int size(const struct target_options *o, uint64_t virtual_size,
                const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                struct reason *why)
{
    uint64_t disk, before, grain = o->subformat == STREAM ? STREAM_GRAIN : GRAIN;

    if (!virtual_size)
        return target_refuse(why, ENOTSUP, "an empty disk cannot be read again");
    if (!checked_round_up(virtual_size, 512, &disk))
        return target_too_large(why, virtual_size);
    if (is_flat(o->subformat)) {
        *size = (struct target_size){disk, disk};
        return 0;
    }
    if (o->subformat == SPLIT_SPARSE && disk < UINT64_C(1) << 60)
        before = disk / SPLIT * overhead(SPLIT) + (disk % SPLIT ? overhead(disk % SPLIT) : 0);
    else if (o->subformat != SPLIT_SPARSE && div_up(disk, GRAIN * TABLE_ENTRIES) <= DIRECTORY_MAX)
        before = overhead(disk);
    else
        return target_refuse(why, EFBIG, "L1 size too big");
    size->fully_allocated = before + div_up(disk, GRAIN) * grain;
    size->required = o->whole ? size->fully_allocated : before + touched[0] * grain;
    if (o->subformat == SPARSE && size->required > EXTENT_MAX)
        return target_refuse(why, EFBIG, "a sparse extent has at most 2 TiB");
    return 0;
}

const struct target vmdk_target = {
    .name = "vmdk",
    .keys = keys,
    .check = check,
    .units = units,
    .size = size,
};
