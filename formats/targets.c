// SPDX-License-Identifier: Apache-2.0
/*
 * Size models of target formats, as `qemu-img measure` computes them: a row in targets[] and its
 * functions.
 */
#include "targets.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "checked.h"

/* raw: the virtual size in whole sectors, whatever the data. */
static int raw_size(const struct target_options *options, uint64_t virtual_size, uint64_t touched,
                    struct target_size *size)
{
    (void)options;
    (void)touched;
    if (!checked_round_up(virtual_size, 512, &size->required))
        return -EFBIG;
    size->fully_allocated = size->required;
    return 0;
}

static uint64_t qcow2_unit(const struct target_options *options)
{
    return options->cluster_size;
}

/*
 * Clusters of refcount table and blocks that cover so many other clusters and themselves: the
 * smallest fixed point, reached in a few steps since each step adds at most a cluster per
 * cluster_size of the one before.
 */
static uint64_t qcow2_refcount_clusters(const struct target_options *o, uint64_t clusters)
{
    uint64_t per_block = o->cluster_size * 8 / o->refcount_bits;
    uint64_t per_table = o->cluster_size / 8;
    uint64_t table = 0, blocks = 0, before;

    do {
        before = table + blocks;
        blocks = div_up(clusters + table + blocks, per_block);
        table = div_up(blocks, per_table);
    } while (table + blocks != before);
    return table + blocks;
}

/*
 * qcow2 (docs/interop/qcow2.txt): header, L1 table, L2 tables for the whole disk, refcounts for all
 * of it, and the data clusters. All sums below fit in 64 bits once the padded disk is at most 2^63
 * bytes: the tables are at most a 16th of that each for the smallest clusters.
 */
static int qcow2_size(const struct target_options *o, uint64_t virtual_size, uint64_t touched,
                      struct target_size *size)
{
    uint64_t cluster = o->cluster_size;
    uint64_t l2_entries = cluster / (o->extended_l2 ? 16 : 8);
    uint64_t disk, l2_tables, l1_clusters, clusters;

    if (!checked_round_up(virtual_size, cluster, &disk) || disk > (uint64_t)INT64_MAX)
        return -EFBIG;
    l2_tables = div_up(disk / cluster, l2_entries);
    l1_clusters = div_up(l2_tables * 8, cluster);
    clusters = 1 + l2_tables + l1_clusters;
    clusters += qcow2_refcount_clusters(o, clusters + disk / cluster);
    size->required = (clusters + touched) * cluster;
    size->fully_allocated = clusters * cluster + disk;
    return 0;
}

const struct target targets[] = {
    {.name = "raw", .size = raw_size},
    {.name = "qcow2",
     .defaults = {65536, 16, false},
     .keeps_bitmaps = true,
     .unit = qcow2_unit,
     .size = qcow2_size},
    {.name = NULL},
};

const struct target *target_by_name(const char *name)
{
    for (const struct target *t = targets; t->name; t++)
        if (strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

void unit_count_begin(struct unit_count *count, uint64_t unit)
{
    *count = (struct unit_count){.unit = unit};
}

void unit_count_add(struct unit_count *count, const struct extent *extent)
{
    uint64_t first, end;

    /* Most small extents lie in a unit that is counted already: the divisions are for the others.
     */
    if (extent->kind != EXTENT_DATA || extent->offset + extent->length <= count->counted)
        return;
    first = max_u64(extent->offset, count->counted) / count->unit;
    end = div_up(extent->offset + extent->length, count->unit);
    count->touched += end - first;
    count->counted = end * count->unit;
}
