// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the files that `qemu-img convert -O vmdk` writes (Virtual Disk Format 5.0). A
 * descriptor file is as long as it can become: its length depends on names.
 */
#include <errno.h>
#include <string.h>

#include "formats/checked.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "options.h"
#include "vmdk.h"

enum {
    GRAIN = VMDK_GRAIN,
    GRAIN_SECTORS = GRAIN / 512,
    TABLE_ENTRIES = 512, /* of a grain table; that is 4 sectors */
    HEAD_SECTORS = 21,   /* the header and 20 sectors of descriptor */

    /* A marker of 12 bytes and deflated bytes in whole sectors: zlib's own bound for a grain, where
     * it cannot make it smaller, is 65569 bytes (compressBound()). */
    STREAM_GRAIN = 66048,
};

#define EXTENT_MAX    (UINT64_C(1) << 41) /* grains are addressed by sectors of 32 bits */
#define DIRECTORY_MAX (UINT64_C(1) << 25) /* entries; as many qemu opens */

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
    return subformat == VMDK_FLAT || subformat == VMDK_SPLIT_FLAT;
}

static bool has_descriptor_file(unsigned subformat)
{
    return is_flat(subformat) || subformat == VMDK_SPLIT_SPARSE;
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
    choice = target_choice(v, "subformat", subformat_names, VMDK_SPARSE);
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "subformat")->text);
    o->subformat = (unsigned)choice;
    return 0;
}

/* What decides how long the descriptor is. */
static void describe(const struct target_values *v, struct target_options *o)
{
    const char *adapter = target_value(v, "adapter_type")->text;
    const char *version = target_value(v, "hwversion")->text;
    const char *tools = target_value(v, "toolsversion")->text;

    o->many_heads = adapter && strcmp(adapter, "ide") != 0;
    o->text_bytes = strlen(adapter ? adapter : "ide") + strlen(version ? version : "4") +
                    strlen(tools ? tools : "2147483647");
}

static const struct conversion_model *model(const struct target_options *o)
{
    if (has_descriptor_file(o->subformat))
        return &vmdk_extents;
    return o->subformat == VMDK_STREAM ? &vmdk_stream : NULL;
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
    if (has_descriptor_file(o->subformat))
        describe(v, o);
    return target_check_preallocation(v, why);
}

static size_t units(const struct target_options *o, uint64_t virtual_size,
                    uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = GRAIN;
    return is_flat(o->subformat) ? 0 : 1;
}

uint64_t vmdk_overhead(uint64_t bytes)
{
    uint64_t tables = div_up(div_up(bytes, GRAIN), TABLE_ENTRIES);
    uint64_t directory_sectors = div_up(tables * 4, 512);

    return div_up(HEAD_SECTORS + 2 * (directory_sectors + 4 * tables), GRAIN_SECTORS) * GRAIN;
}

static bool is_split(unsigned subformat)
{
    return subformat == VMDK_SPLIT_SPARSE || subformat == VMDK_SPLIT_FLAT;
}

/* Bytes in front of the data of all files, of a disk in whole sectors. 0, or -EFBIG: too large. */
static int overheads(const struct target_options *o, uint64_t disk, uint64_t *bytes,
                     struct reason *why)
{
    uint64_t whole = disk / VMDK_SPLIT_BYTES, rest = disk % VMDK_SPLIT_BYTES;

    *bytes = 0;
    if (is_split(o->subformat) && div_up(disk, VMDK_SPLIT_BYTES) > VMDK_EXTENTS_MAX)
        return target_refuse(why, EFBIG, "more than %d extents", VMDK_EXTENTS_MAX);
    if (has_descriptor_file(o->subformat))
        *bytes = div_up(vmdk_descriptor_bytes(o, disk, NULL), 512) * 512;
    if (is_flat(o->subformat))
        return 0;
    if (o->subformat == VMDK_SPLIT_SPARSE)
        *bytes += whole * vmdk_overhead(VMDK_SPLIT_BYTES) + (rest ? vmdk_overhead(rest) : 0);
    else if (div_up(disk, GRAIN * TABLE_ENTRIES) <= DIRECTORY_MAX)
        *bytes = vmdk_overhead(disk);
    else
        return target_refuse(why, EFBIG, "L1 size too big");
    return 0;
}

static int size(const struct target_options *o, uint64_t virtual_size,
                const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                struct reason *why)
{
    uint64_t disk, before, grain = o->subformat == VMDK_STREAM ? STREAM_GRAIN : GRAIN;
    int error;

    if (!virtual_size)
        return target_refuse(why, ENOTSUP, "an empty disk cannot be read again");
    if (!checked_round_up(virtual_size, 512, &disk) || disk > (uint64_t)INT64_MAX)
        return target_too_large(why, virtual_size);
    error = overheads(o, disk, &before, why);
    if (error)
        return error;
    if (is_flat(o->subformat)) {
        *size = (struct target_size){before + disk, before + disk};
        return 0;
    }
    size->fully_allocated = before + div_up(disk, GRAIN) * grain;
    size->required = o->whole ? size->fully_allocated : before + touched[0] * grain;
    if (o->subformat == VMDK_SPARSE && size->required > EXTENT_MAX)
        return target_refuse(why, EFBIG, "a sparse extent has at most 2 TiB");
    return 0;
}

const struct target vmdk_target = {
    .name = "vmdk",
    .keys = keys,
    .check = check,
    .model = model,
    .units = units,
    .size = size,
};
