// SPDX-License-Identifier: Apache-2.0
/* The size of the file that `qemu-img convert -O vhdx` writes ([MS-VHDX]). */
#include <errno.h>

#include "formats/checked.h"
#include "formats/format.h"
#include "options.h"

#define MIB      (UINT64_C(1) << 20)
#define GIB      (1024 * MIB)
#define DISK_MAX (64 * 1024 * GIB)

enum {
    BLOCK_MAX_MIB = 256,
    REGIONS_MIB = 6, /* qemu's other regions: the header section of 1 MiB, and 5 MiB from the end of
                        the block allocation table to the end of the metadata */
};

/* Guest bytes of a chunk: the payload blocks that one sector bitmap block covers ([MS-VHDX] 2.5.1),
 * with logical sectors of 512 bytes. */
#define CHUNK_BYTES (UINT64_C(1) << 32)

enum subformat { DYNAMIC, FIXED };
static const char *const vhdx_subformat_names[] = {"dynamic", "fixed", NULL};

static const struct target_key vhdx_keys[] = {
    {"block_size", KEY_SIZE}, {"block_state_zero", KEY_BOOL},
    {"log_size", KEY_SIZE},   {"subformat", KEY_TEXT},
    {NULL, KEY_TEXT},
};

static int vhdx_check_log_size(uint64_t *log, struct reason *why)
{
    if (*log >= 4 * GIB || !checked_round_up(*log, MIB, log) || *log >= 4 * GIB)
        return target_refuse(why, EINVAL, "Log size must be smaller than 4 GB");
    if (!*log)
        return target_refuse(why, EINVAL, "Log size must be a multiple of 1 MB");
    return 0;
}

static int vhdx_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int choice = target_choice(v, "subformat", vhdx_subformat_names, DYNAMIC), error;

    if (choice < 0)
        return target_not_accepted(v, "subformat", "subformat", why);
    o->subformat = (unsigned)choice;
    o->zero_blocks = target_number(v, "block_state_zero", 1);
    o->log_size = target_number(v, "log_size", MIB);
    error = vhdx_check_log_size(&o->log_size, why);
    if (error)
        return error;
    o->block_size = min_u64(target_number(v, "block_size", 0), BLOCK_MAX_MIB * MIB);
    o->block_size = div_up(o->block_size, MIB) * MIB;
    if (o->block_size && !is_power_of_two(o->block_size))
        return target_refuse(why, EINVAL, "Block size must be a power of two");
    return target_check_preallocation(v, why);
}

/* Returns the block size; qemu chooses the default by the size of the disk. */
static uint64_t vhdx_block_size(const struct target_options *o, uint64_t virtual_size)
{
    if (o->block_size)
        return o->block_size;
    if (virtual_size > 32 * 1024 * GIB)
        return 64 * MIB;
    if (virtual_size > 100 * GIB)
        return 32 * MIB;
    return virtual_size > GIB ? 16 * MIB : 8 * MIB;
}

/* Whether all blocks are allocated from the beginning, and data is written in place. */
static bool vhdx_is_preallocated(const struct target_options *o)
{
    return o->subformat == FIXED && !o->zero_blocks;
}

static size_t vhdx_units(const struct target_options *o, uint64_t virtual_size,
                         uint64_t units[TARGET_UNITS_MAX])
{
    units[0] = vhdx_block_size(o, virtual_size);
    return vhdx_is_preallocated(o) ? 0 : 1;
}

/*
 * A fixed image has its blocks at the end of the file. But with block_state_zero they are marked as
 * zero, and qemu allocates a block that it writes anew, behind them.
 */
static int vhdx_size(const struct target_options *o, uint64_t virtual_size,
                     const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                     struct reason *why)
{
    uint64_t block = vhdx_block_size(o, virtual_size), chunk = CHUNK_BYTES / block;
    uint64_t disk, blocks, entries, start;

    if (virtual_size > DISK_MAX)
        return target_refuse(why, EFBIG, "Image size too large; max of 64TB");
    disk = div_up(virtual_size, SECTOR) * SECTOR;
    blocks = div_up(disk, block);
    /* qemu computes (uint32_t)(blocks - 1), so an empty disk gets a huge table. */
    entries = blocks + (blocks ? blocks - 1 : UINT32_MAX) / chunk;
    start = REGIONS_MIB * MIB + o->log_size + div_up(entries * 8, MIB) * MIB;
    if (o->subformat == FIXED)
        start += disk;
    if (vhdx_is_preallocated(o) && blocks > chunk && disk % block)
        return target_refuse(why, ENOTSUP,
                             "qemu-img cannot open such an image: its last block ends after the "
                             "end of the file");
    *size = (struct target_size){start, start};
    if (vhdx_is_preallocated(o))
        return 0;
    if (touched[0])
        size->required = div_up(start, MIB) * MIB + touched[0] * block;
    if (blocks)
        size->fully_allocated = div_up(start, MIB) * MIB + blocks * block;
    return 0;
}

const struct target vhdx_target = {
    .name = "vhdx",
    .defaults = {.log_size = MIB, .zero_blocks = true},
    .keys = vhdx_keys,
    .check = vhdx_check,
    .units = vhdx_units,
    .size = vhdx_size,
};
