// SPDX-License-Identifier: Apache-2.0
/*
 * What makes the layout of a qcow2 file differ from the sum of its clusters: where a refcount block
 * is missing, it is placed at once, behind what was being looked for, and that is looked for again.
 * Free clusters that are too few in a row are passed over. When the refcount table is full, a
 * larger one is made together with the blocks for itself, at the first cluster of which no block
 * tells; the search then begins again at the place of the old one.
 */
#include "qcow2-space.h"

#include "formats/checked.h"
#include "formats/image.h"

enum {
    RANGES_ROOM = 512,   /* holes; a new table leaves one or two, and there are few tables */
    TABLE_MAX = 8 << 20, /* bytes of a refcount table, as many as qemu opens */
    ENTRY = 8,           /* bytes of an entry of the table */
};

#define ENDLESS (UINT64_C(1) << 62)

void qcow2_space_written(struct qcow2_space *s, uint64_t end)
{
    s->end = max_u64(s->end, end);
}

/* Clusters up to end are written. */
static void write_clusters(struct qcow2_space *s, uint64_t end)
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
    error = ranges_begin(&s->free, img, RANGES_ROOM);
    if (!error)
        error = ranges_begin(&s->missing, img, RANGES_ROOM);
    if (error)
        return error;
    ranges_add(&s->free, 3, ENDLESS);
    ranges_add(&s->missing, 1, ENDLESS);
    write_clusters(s, 3);
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

/* Marks clusters as free, from where they are found again. */
static void release(struct qcow2_space *s, uint64_t begin, uint64_t end)
{
    ranges_add(&s->free, begin, end);
    s->next = min_u64(s->next, begin);
}

/* The first refcount block from number first to last that is missing; behind last: none. */
static uint64_t first_missing(const struct qcow2_space *s, uint64_t first, uint64_t last)
{
    size_t i = ranges_find(&s->missing, first);

    return i < s->missing.count ? max_u64(first, s->missing.ranges[i].begin) : last + 1;
}

/* Refcount blocks for so many clusters, and themselves, and their table; generous: and half a table
 * more. */
static uint64_t blocks_for(const struct qcow2_space *s, uint64_t clusters, bool generous)
{
    uint64_t blocks = 0, table = 0, total = 0, before;

    do { /* a fixed point that each step comes nearer to from below */
        before = total;
        blocks = div_up(clusters + table + blocks, s->block_entries);
        table = div_up(blocks, s->cluster_size / ENTRY);
        total = clusters + blocks + table;
        if (total == before && generous) {
            clusters += div_up(table, 2);
            total = 0;
            generous = false;
        }
    } while (total != before);
    return blocks;
}

/*
 * A new refcount table from cluster start on, which begins a block's range unless exact, behind the
 * blocks that are missing for the area from there on, with more clusters behind it. Returns the end
 * of the table.
 */
static uint64_t rebuild(struct qcow2_space *s, uint64_t start, uint64_t more, bool exact)
{
    uint64_t total = blocks_for(s, start + more, !exact), first = start / s->block_entries;
    uint64_t entries = exact ? total : total + div_up(total, 2), table = start, end;
    uint64_t old = s->table, old_clusters = s->table_clusters;

    for (uint64_t at = first; (at = first_missing(s, at, total)) < total;) {
        uint64_t run = ranges_run(&s->missing, at, total);

        ranges_remove(&s->missing, at, at + run);
        table += run;
    }
    s->table = table;
    s->table_clusters = div_up(entries * ENTRY, s->cluster_size);
    s->too_large |= s->table_clusters * s->cluster_size > TABLE_MAX;
    end = table + s->table_clusters;
    ranges_remove(&s->free, start, end);
    write_clusters(s, end);
    release(s, old, old + old_clusters);
    return end;
}

/* Drops the holes that no search comes back to: none begins in front of both. */
static void forget(struct qcow2_space *s)
{
    uint64_t limit = min_u64(s->table, s->next);

    if (s->free.count > RANGES_ROOM / 2)
        ranges_forget(&s->free, limit);
    if (s->missing.count > RANGES_ROOM / 2)
        ranges_forget(&s->missing, limit / s->block_entries);
}

/*
 * Adds the refcount block that tells of cluster, at the next free place. One that some other block
 * has to tell of, which is missing too, is given up, and the other one added instead; who asked
 * then asks again. That ends, since places ascend and a block tells of many.
 */
static void add_block(struct qcow2_space *s, uint64_t cluster)
{
    uint64_t place = qcow2_space_search(s, 1), number = cluster / s->block_entries;

    while (place / s->block_entries != number &&
           ranges_run(&s->missing, place / s->block_entries, place / s->block_entries + 1)) {
        cluster = place;
        number = cluster / s->block_entries;
        place = qcow2_space_search(s, 1);
    }
    ranges_remove(&s->free, place, place + 1);
    ranges_remove(&s->missing, number, number + 1);
    write_clusters(s, place + 1);
    if (number >= s->table_clusters * (s->cluster_size / ENTRY))
        rebuild(s, div_up(max_u64(cluster + 1, place), s->block_entries) * s->block_entries, 0,
                false);
    forget(s);
}

bool qcow2_space_claim(struct qcow2_space *s, uint64_t cluster, uint64_t count)
{
    uint64_t last = (cluster + count - 1) / s->block_entries;
    uint64_t block = first_missing(s, cluster / s->block_entries, last);
    uint64_t known = max_u64(cluster, block * s->block_entries);

    if (block > last) {
        ranges_remove(&s->free, cluster, cluster + count);
        return true;
    }
    /* What there is a block for is taken while the other is added, and then looked for again. */
    if (known > cluster)
        ranges_remove(&s->free, cluster, known);
    add_block(s, known);
    if (known > cluster)
        release(s, cluster, known);
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
    uint64_t start = rebuild(s, div_up(s->end, s->cluster_size), count + more, true);

    ranges_remove(&s->free, start, start + count);
    write_clusters(s, start + count);
    return start;
}
