// SPDX-License-Identifier: Apache-2.0
/*
 * Follows qemu's allocator, since a qcow2 file is longer than the sum of its clusters. Where a
 * refcount block is missing, qemu allocates it at once, behind the clusters that it had found, and
 * repeats the search for these. A run of free clusters that is too short is skipped. When the
 * refcount table is full, qemu writes a larger one, with the blocks that cover it, from the first
 * cluster on that no block covers, and frees the old table, where the next search begins.
 */
#include "qcow2-space.h"

#include "formats/checked.h"
#include "formats/image.h"

enum {
    TABLE_MAX = 8 << 20, /* bytes of a refcount table that qemu opens */
    ENTRY = 8,           /* bytes of a table entry */
};

#define UNBOUNDED (UINT64_C(1) << 62) /* end of the last range: greater than any cluster number */

void qcow2_space_written(struct qcow2_space *s, uint64_t end)
{
    s->end = max_u64(s->end, end);
}

/* Extends the file to at least end clusters. */
static void space_write(struct qcow2_space *s, uint64_t end)
{
    qcow2_space_written(s, end * s->cluster_size);
}

int qcow2_space_begin(struct qcow2_space *s, struct image *img, uint64_t cluster_size,
                      uint64_t refcount_bits)
{
    int error;

    *s = (struct qcow2_space){
        .cluster_size = cluster_size,
        .block_entries = cluster_size * 8 / refcount_bits,
        .table = 1,
        .table_clusters = 1,
        .next = 3,
    };
    error = ranges_begin(&s->free, img, QCOW2_RANGES_MAX);
    if (!error)
        error = ranges_begin(&s->missing, img, QCOW2_RANGES_MAX);
    if (error)
        return error;
    ranges_add(&s->free, 3, UNBOUNDED);
    ranges_add(&s->missing, 1, UNBOUNDED);
    space_write(s, 3);
    return 0;
}

void qcow2_space_reopen(struct qcow2_space *s)
{
    s->next = 0;
}

uint64_t qcow2_space_search(struct qcow2_space *s, uint64_t count)
{
    size_t i = ranges_find(&s->free, s->next);
    uint64_t found;

    for (;; i++) {
        const struct range *range = s->free.ranges + i;

        found = max_u64(range->begin, s->next);
        if (range->end - found >= count)
            break;
    }
    s->next = found + count;
    return found;
}

/* Frees clusters [begin, end); the next search finds them. */
static void space_free(struct qcow2_space *s, uint64_t begin, uint64_t end)
{
    ranges_add(&s->free, begin, end);
    s->next = min_u64(s->next, begin);
}

/* Returns the first missing refcount block from index first on. A result greater than last: none up
 * to last is missing. */
static uint64_t space_missing_block(const struct qcow2_space *s, uint64_t first, uint64_t last)
{
    size_t i = ranges_find(&s->missing, first);

    return i < s->missing.count ? max_u64(first, s->missing.ranges[i].begin) : last + 1;
}

/* Returns the refcount blocks that cover so many clusters, the blocks themselves and their table;
 * with_spare: and a table half as long again. */
static uint64_t space_blocks_needed(const struct qcow2_space *s, uint64_t clusters, bool with_spare)
{
    uint64_t blocks = 0, table = 0, total = 0, before;

    do { /* ends: total grows to a fixed point */
        before = total;
        blocks = div_up(clusters + table + blocks, s->block_entries);
        table = div_up(blocks, s->cluster_size / ENTRY);
        total = clusters + blocks + table;
        if (total == before && with_spare) {
            clusters += div_up(table, 2);
            total = 0;
            with_spare = false;
        }
    } while (total != before);
    return blocks;
}

/*
 * Writes, from cluster start on, the missing refcount blocks for the file, for themselves, the new
 * table and more clusters behind it, and then the table. Unless is_exact, the table gets spare
 * entries, as when qemu grows it; start is then the first cluster that a block covers. Returns the
 * end of the table.
 */
static uint64_t space_rebuild(struct qcow2_space *s, uint64_t start, uint64_t more, bool is_exact)
{
    uint64_t total = space_blocks_needed(s, start + more, !is_exact),
             first = start / s->block_entries;
    uint64_t entries = is_exact ? total : total + div_up(total, 2), table = start, end;
    uint64_t old = s->table, old_clusters = s->table_clusters;

    for (uint64_t at = first; (at = space_missing_block(s, at, total)) < total;) {
        uint64_t run = ranges_run(&s->missing, at, total);

        ranges_remove(&s->missing, at, at + run);
        table += run;
    }
    s->table = table;
    s->table_clusters = div_up(entries * ENTRY, s->cluster_size);
    s->is_too_large |= s->table_clusters * s->cluster_size > TABLE_MAX;
    end = table + s->table_clusters;
    ranges_remove(&s->free, start, end);
    space_write(s, end);
    space_free(s, old, old + old_clusters);
    return end;
}

/* When the sets fill up, drops the ranges that no search returns to: searches begin at next, or at
 * the table when it is freed. */
static void space_forget(struct qcow2_space *s)
{
    uint64_t limit = min_u64(s->table, s->next);

    if (s->free.count > QCOW2_RANGES_MAX / 2)
        ranges_forget(&s->free, limit);
    if (s->missing.count > QCOW2_RANGES_MAX / 2)
        ranges_forget(&s->missing, limit / s->block_entries);
}

/*
 * Adds the refcount block that covers cluster, in the next free cluster. If that one is covered by
 * another block that is missing too, adds the other block instead; the caller searches again in any
 * case. The loop ends: positions ascend, and a block covers many of them.
 */
static void space_add_block(struct qcow2_space *s, uint64_t cluster)
{
    uint64_t position = qcow2_space_search(s, 1), number = cluster / s->block_entries;

    while (position / s->block_entries != number &&
           ranges_run(&s->missing, position / s->block_entries, position / s->block_entries + 1)) {
        cluster = position;
        number = cluster / s->block_entries;
        position = qcow2_space_search(s, 1);
    }
    ranges_remove(&s->free, position, position + 1);
    ranges_remove(&s->missing, number, number + 1);
    space_write(s, position + 1);
    if (number >= s->table_clusters * (s->cluster_size / ENTRY))
        space_rebuild(s,
                      div_up(max_u64(cluster + 1, position), s->block_entries) * s->block_entries,
                      0, false);
    space_forget(s);
}

bool qcow2_space_claim(struct qcow2_space *s, uint64_t cluster, uint64_t count)
{
    uint64_t last = (cluster + count - 1) / s->block_entries;
    uint64_t block = space_missing_block(s, cluster / s->block_entries, last);
    uint64_t uncovered = max_u64(cluster, block * s->block_entries);

    if (block > last) {
        ranges_remove(&s->free, cluster, cluster + count);
        return true;
    }
    /* While it adds the block, qemu holds the clusters that are covered. Then it frees them and
     * searches again. */
    if (uncovered > cluster)
        ranges_remove(&s->free, cluster, uncovered);
    space_add_block(s, uncovered);
    if (uncovered > cluster)
        space_free(s, cluster, uncovered);
    s->next = min_u64(s->next, cluster);
    return false;
}

uint64_t qcow2_space_take(struct qcow2_space *s, uint64_t count)
{
    uint64_t cluster;

    do
        cluster = qcow2_space_search(s, count);
    while (!qcow2_space_claim(s, cluster, count));
    return cluster;
}

uint64_t qcow2_space_take_at(struct qcow2_space *s, uint64_t cluster, uint64_t count)
{
    uint64_t run;

    do
        run = ranges_run(&s->free, cluster, cluster + count);
    while (run && !qcow2_space_claim(s, cluster, run));
    return run;
}

uint64_t qcow2_space_extend(struct qcow2_space *s, uint64_t count, uint64_t more)
{
    uint64_t start = space_rebuild(s, div_up(s->end, s->cluster_size), count + more, true);

    ranges_remove(&s->free, start, start + count);
    space_write(s, start + count);
    return start;
}
