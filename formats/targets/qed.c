// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the file that `qemu-img convert -O qed` writes (docs/interop/qed_spec.txt): the
 * header in one cluster, the L1 table, and for each range with data an L2 table and the data
 * clusters.
 */
#include <errno.h>
#include <stdlib.h>

#include "formats/checked.h"
#include "formats/disk.h"
#include "options.h"

enum { CLUSTER_MIN = 4096, CLUSTER_MAX = 64 << 20, TABLE_MAX = 16 };

static const struct target_key qed_keys[] = {
    {"backing_file", KEY_TEXT}, {"backing_fmt", KEY_TEXT}, {"cluster_size", KEY_SIZE},
    {"table_size", KEY_SIZE},   {NULL, KEY_TEXT},
};

/* qemu parses table_size twice: as a size, then as an integer, which has no suffix. */
static bool qed_is_integer(const char *text)
{
    char *end;

    if (!text)
        return true;
    strtoll(text, &end, 0);
    return end != text && !*end;
}

static int qed_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    o->cluster_size = target_number(v, "cluster_size", o->cluster_size);
    o->table_size = target_number(v, "table_size", o->table_size);
    if (!qed_is_integer(target_value(v, "table_size")->text))
        return target_refuse(why, EINVAL, "Parameter 'table-size' expects integer");
    if (!is_power_of_two(o->cluster_size) || o->cluster_size < CLUSTER_MIN ||
        o->cluster_size > CLUSTER_MAX)
        return target_refuse(why, EINVAL,
                             "QED cluster size must be within range [%d, %d] and power of 2",
                             CLUSTER_MIN, CLUSTER_MAX);
    if (!is_power_of_two(o->table_size) || o->table_size > TABLE_MAX)
        return target_refuse(
            why, EINVAL, "QED table size must be within range [1, %d] and power of 2", TABLE_MAX);
    /* qemu creates such an image but cannot open it. */
    if (o->table_size == 1)
        return target_refuse(why, EINVAL, "QED table offset is invalid");
    o->is_full = target_value(v, "backing_file")->text;
    return target_check_preallocation(v, why);
}

/* Returns the guest bytes that one L2 table maps: at most 2^53. */
static uint64_t qed_range(const struct target_options *o)
{
    return o->table_size * o->cluster_size / 8 * o->cluster_size;
}

static size_t qed_units(const struct target_options *o, uint64_t virtual_size,
                        uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = o->cluster_size;
    units[1] = qed_range(o);
    return 2;
}

static int qed_size(const struct target_options *o, uint64_t virtual_size,
                    const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                    struct reason *why)
{
    uint64_t clusters, ranges, cluster = o->cluster_size, before, max;

    /* qemu's product wraps around at 64 bits: for large clusters max is 0. */
    checked_mul(o->table_size * o->cluster_size / 8, qed_range(o), &max);
    if (virtual_size > max || virtual_size > DISK_BYTES_MAX)
        return target_refuse(why, EFBIG,
                             "QED image size must be a non-zero multiple of cluster size and "
                             "less than %llu bytes",
                             (unsigned long long)max);
    clusters = div_up(virtual_size, cluster);
    ranges = div_up(virtual_size, qed_range(o));
    before = 1 + o->table_size;
    size->fully_allocated = (before + clusters + o->table_size * ranges) * cluster;
    size->required = (before + touched[0] + o->table_size * touched[1]) * cluster;
    if (o->is_full)
        size->required = size->fully_allocated;
    return 0;
}

const struct target qed_target = {
    .name = "qed",
    .defaults = {.cluster_size = 65536, .table_size = 4},
    .keys = qed_keys,
    .check = qed_check,
    .units = qed_units,
    .size = qed_size,
};
