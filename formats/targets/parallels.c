// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the file that `qemu-img convert -O parallels` writes (docs/interop/parallels.txt):
 * the header and the block allocation table in whole clusters, then the data clusters.
 */
#include <errno.h>

#include "formats/checked.h"
#include "options.h"

enum {
    HEADER = 64,
    ENTRIES_MAX = INT32_MAX / 4,                    /* of a table that qemu opens */
    CLUSTER_SECTORS_MAX = INT32_MAX / (SECTOR + 1), /* of a cluster that qemu opens */
};

#define CLUSTER_LIMIT UINT64_C(0x7fffffff) /* bytes; qemu creates only smaller clusters */

static const struct target_key parallels_keys[] = {{"cluster_size", KEY_SIZE}, {NULL, KEY_TEXT}};

static int parallels_check(const struct target_values *v, struct target_options *o,
                           struct reason *why)
{
    o->cluster_size = target_number(v, "cluster_size", o->cluster_size);
    if (!checked_round_up(o->cluster_size, SECTOR, &o->cluster_size) ||
        o->cluster_size >= CLUSTER_LIMIT)
        return target_refuse(why, EINVAL, "Cluster size is too large");
    if (!o->cluster_size)
        return target_refuse(why, EINVAL, "Image size is too large for this cluster size");
    if (o->cluster_size / SECTOR > CLUSTER_SECTORS_MAX)
        return target_refuse(why, EINVAL, "Invalid image: Too big cluster");
    return target_check_preallocation(v, why);
}

static size_t parallels_units(const struct target_options *o, uint64_t virtual_size,
                              uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = o->cluster_size;
    return 1;
}

static int parallels_size(const struct target_options *o, uint64_t virtual_size,
                          const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                          struct reason *why)
{
    uint64_t cluster = o->cluster_size, entries = div_up(virtual_size, cluster), before;

    if (virtual_size / cluster >= UINT64_C(1) << 32)
        return target_refuse(why, EFBIG, "Image size is too large for this cluster size");
    if (entries > ENTRIES_MAX)
        return target_refuse(why, EFBIG, "Catalog too large");
    before = div_up(HEADER + 4 * entries, cluster) * cluster;
    size->fully_allocated = before + entries * cluster;
    size->required = before + touched[0] * cluster;
    return 0;
}

const struct target parallels_target = {
    .name = "parallels",
    .defaults = {.cluster_size = 1 << 20},
    .keys = parallels_keys,
    .check = parallels_check,
    .units = parallels_units,
    .size = parallels_size,
};
