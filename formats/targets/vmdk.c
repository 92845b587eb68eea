// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the files that `qemu-img convert -O vmdk` writes (Virtual Disk Format 5.0). The
 * length of a descriptor file depends on file names, so it is counted as long as it can become.
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
    GRAIN_SECTORS = GRAIN / SECTOR,
    TABLE_ENTRIES = 512, /* of a grain table */
    TABLE_SECTORS = 4,   /* of a grain table */
    HEAD_SECTORS = 21,   /* the header, and 20 sectors of descriptor */

    /* The largest compressed grain: a marker of 12 bytes and at most 65569 bytes of zlib data
     * (compressBound() of a grain), in whole sectors. */
    STREAM_GRAIN = 66048,
};

#define EXTENT_MAX    (UINT64_C(1) << 41) /* bytes; grain table entries are sectors in 32 bits */
#define DIRECTORY_MAX (UINT64_C(1) << 25) /* entries of a directory that qemu opens */

static const char *const vmdk_subformat_names[] = {"monolithicSparse",   "streamOptimized",
                                                   "monolithicFlat",     "twoGbMaxExtentSparse",
                                                   "twoGbMaxExtentFlat", NULL};
static const char *const vmdk_adapter_names[] = {"ide", "buslogic", "lsilogic", "legacyESX", NULL};

static const struct target_key vmdk_keys[] = {
    {"adapter_type", KEY_TEXT}, {"backing_file", KEY_TEXT}, {"backing_fmt", KEY_TEXT},
    {"compat6", KEY_BOOL},      {"hwversion", KEY_TEXT},    {"subformat", KEY_TEXT},
    {"toolsversion", KEY_TEXT}, {"zeroed_grain", KEY_BOOL}, {NULL, KEY_TEXT},
};

static bool vmdk_is_flat(unsigned subformat)
{
    return subformat == VMDK_FLAT || subformat == VMDK_SPLIT_FLAT;
}

static bool vmdk_has_descriptor_file(unsigned subformat)
{
    return vmdk_is_flat(subformat) || subformat == VMDK_SPLIT_SPARSE;
}

/* Checks keys that take one of several names, in qemu's order. */
static int vmdk_check_choices(const struct target_values *v, struct target_options *o,
                              struct reason *why)
{
    const char *format = target_value(v, "backing_fmt")->text;
    int choice = target_choice(v, "adapter_type", vmdk_adapter_names, 0);

    if (format && strcmp(format, "vmdk") != 0)
        return target_refuse(why, EINVAL, "backing_file must be a vmdk image");
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "adapter_type")->text);
    choice = target_choice(v, "subformat", vmdk_subformat_names, VMDK_SPARSE);
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "subformat")->text);
    o->subformat = (unsigned)choice;
    return 0;
}

/* Sets the options that decide the length of the descriptor. */
static void vmdk_set_descriptor(const struct target_values *v, struct target_options *o)
{
    const char *adapter = target_value(v, "adapter_type")->text;
    const char *version = target_value(v, "hwversion")->text;
    const char *tools = target_value(v, "toolsversion")->text;

    o->has_255_heads = adapter && strcmp(adapter, "ide") != 0;
    o->descriptor_bytes = strlen(adapter ? adapter : "ide") + strlen(version ? version : "4") +
                          strlen(tools ? tools : "2147483647");
}

static const struct conversion_model *vmdk_model(const struct target_options *o)
{
    if (vmdk_has_descriptor_file(o->subformat))
        return &vmdk_extents;
    return o->subformat == VMDK_STREAM ? &vmdk_stream : NULL;
}

static int vmdk_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int error = vmdk_check_choices(v, o, why);

    if (error)
        return error;
    if (target_number(v, "compat6", 0) && target_value(v, "hwversion")->text)
        return target_refuse(why, EINVAL, "compat6 cannot be enabled with hwversion set");
    if (vmdk_is_flat(o->subformat) && target_number(v, "zeroed_grain", 0))
        return target_refuse(why, EINVAL, "Flat image can't enable zeroed grain");
    if (vmdk_is_flat(o->subformat) && target_value(v, "backing_file")->text)
        return target_refuse(why, EINVAL, "Flat image can't have backing file");
    o->is_full = target_value(v, "backing_file")->text;
    if (vmdk_has_descriptor_file(o->subformat))
        vmdk_set_descriptor(v, o);
    return target_check_preallocation(v, why);
}

static size_t vmdk_units(const struct target_options *o, uint64_t virtual_size,
                         uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = GRAIN;
    return vmdk_is_flat(o->subformat) ? 0 : 1;
}

uint64_t vmdk_overhead(uint64_t bytes)
{
    uint64_t tables = div_up(div_up(bytes, GRAIN), TABLE_ENTRIES);
    uint64_t directory_sectors = div_up(tables * 4, SECTOR);

    return div_up(HEAD_SECTORS + 2 * (directory_sectors + TABLE_SECTORS * tables), GRAIN_SECTORS) *
           GRAIN;
}

static bool vmdk_is_split(unsigned subformat)
{
    return subformat == VMDK_SPLIT_SPARSE || subformat == VMDK_SPLIT_FLAT;
}

/* Sets *bytes to all that the files hold besides grains. disk: bytes, in whole sectors. Returns 0
 * or -EFBIG. */
static int vmdk_overheads(const struct target_options *o, uint64_t disk, uint64_t *bytes,
                          struct reason *why)
{
    uint64_t whole = disk / VMDK_SPLIT_BYTES, rest = disk % VMDK_SPLIT_BYTES;

    *bytes = 0;
    if (vmdk_is_split(o->subformat) && div_up(disk, VMDK_SPLIT_BYTES) > VMDK_EXTENTS_MAX)
        return target_refuse(why, EFBIG, "a disk of %llu bytes needs more than %d extents",
                             (unsigned long long)disk, VMDK_EXTENTS_MAX);
    if (vmdk_has_descriptor_file(o->subformat))
        *bytes = div_up(vmdk_descriptor_bytes(o, disk, NULL), SECTOR) * SECTOR;
    if (vmdk_is_flat(o->subformat))
        return 0;
    if (o->subformat == VMDK_SPLIT_SPARSE)
        *bytes += whole * vmdk_overhead(VMDK_SPLIT_BYTES) + (rest ? vmdk_overhead(rest) : 0);
    else if (div_up(disk, GRAIN * TABLE_ENTRIES) <= DIRECTORY_MAX)
        *bytes = vmdk_overhead(disk);
    else
        return target_refuse(why, EFBIG, "L1 size too big");
    return 0;
}

static int vmdk_size(const struct target_options *o, uint64_t virtual_size,
                     const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                     struct reason *why)
{
    uint64_t disk, before, grain = o->subformat == VMDK_STREAM ? STREAM_GRAIN : GRAIN;
    int error;

    if (!virtual_size)
        return target_refuse(why, ENOTSUP, "qemu-img cannot open an image of an empty disk");
    if (!checked_round_up(virtual_size, SECTOR, &disk) || disk > (uint64_t)INT64_MAX)
        return target_too_large(why, virtual_size);
    error = vmdk_overheads(o, disk, &before, why);
    if (error)
        return error;
    if (vmdk_is_flat(o->subformat)) {
        *size = (struct target_size){before + disk, before + disk};
        return 0;
    }
    size->fully_allocated = before + div_up(disk, GRAIN) * grain;
    size->required = o->is_full ? size->fully_allocated : before + touched[0] * grain;
    if (o->subformat == VMDK_SPARSE && size->required > EXTENT_MAX)
        return target_refuse(why, EFBIG, "the sparse extent is larger than 2 TiB");
    return 0;
}

const struct target vmdk_target = {
    .name = "vmdk",
    .keys = vmdk_keys,
    .check = vmdk_check,
    .model = vmdk_model,
    .units = vmdk_units,
    .size = vmdk_size,
};
