// SPDX-License-Identifier: Apache-2.0
/*
 * Where qemu writes to a qcow2 file (docs/interop/qcow2.txt). One request gets contiguous clusters
 * where that is possible.
 */
#include "qcow2-writer.h"

#include <errno.h>

#include "formats/checked.h"
#include "formats/image.h"
#include "refuse.h"

enum {
    SLICE = 65536,        /* bytes of an L2 table that qemu caches and allocates from together */
    CRYPT_CLUSTERS = 32,  /* clusters that qemu encrypts together */
    SLICES_MAX = 1 << 24, /* slices of a preallocated disk; ours: they take about a second */
    SUBCLUSTERS = 32,
    NO_CLUSTER = 0, /* the header's cluster never holds data */
};

#define REQUEST_MAX (UINT64_C(1) << 31) /* bytes; qemu preallocates fewer at once */

void qcow2_writer_need_table(struct qcow2_writer *w, uint64_t offset)
{
    uint64_t table = offset / w->cluster / w->table_entries;

    if (table < w->tables)
        return;
    qcow2_space_written(&w->space, (qcow2_space_take(&w->space, 1) + 1) * w->cluster);
    w->tables = table + 1;
}

/*
 * Allocates host clusters for guest clusters from cluster on: at most count, and only those that
 * one slice maps. With wanted, a host cluster, only those that are free from there on. Returns how
 * many.
 */
static uint64_t writer_allocate(struct qcow2_writer *w, uint64_t cluster, uint64_t count,
                                uint64_t wanted)
{
    uint64_t host = wanted;

    count = min_u64(count, w->slice_entries - cluster % w->slice_entries);
    qcow2_writer_need_table(w, cluster * w->cluster);
    if (wanted == NO_CLUSTER)
        host = qcow2_space_take(&w->space, count);
    else
        count = qcow2_space_take_at(&w->space, wanted, count);
    if (count) {
        w->next = cluster + count;
        w->last_host = host + count - 1;
    }
    return count;
}

/*
 * Allocates clusters for guest bytes from offset on, as long as they are contiguous in the file.
 * Returns the number of bytes, and sets *end to their end in the file.
 */
static uint64_t writer_place(struct qcow2_writer *w, uint64_t offset, uint64_t length,
                             uint64_t *end)
{
    uint64_t placed = 0, wanted = NO_CLUSTER;

    while (placed < length) {
        uint64_t at = offset + placed, cluster = at / w->cluster, within = at % w->cluster,
                 count = 1;

        /* The first cluster may be allocated already, by a write to its beginning. */
        if (cluster >= w->next)
            count =
                writer_allocate(w, cluster, div_up(within + length - placed, w->cluster), wanted);
        if (!count)
            break;
        placed += min_u64(length - placed, count * w->cluster - within);
        wanted = w->last_host + 1;
        *end = w->last_host * w->cluster + (offset + placed - 1) % w->cluster + 1;
    }
    return placed;
}

void qcow2_writer_write(struct qcow2_writer *w, uint64_t offset, uint64_t length)
{
    uint64_t end = 0, most = w->request_max * w->cluster;

    while (length) {
        uint64_t placed =
            writer_place(w, offset, min_u64(length, most - offset % w->cluster), &end);

        qcow2_space_written(&w->space, div_up(end, w->subcluster) * w->subcluster);
        offset += placed;
        length -= placed;
    }
}

/* preallocation=metadata: allocates all clusters, request by request. */
static void writer_preallocate_metadata(struct qcow2_writer *w, uint64_t virtual_size)
{
    uint64_t most = (REQUEST_MAX - 1) / w->cluster * w->cluster, end = 0;

    for (uint64_t at = 0; at < virtual_size;)
        at += writer_place(w, at, min_u64(virtual_size - at, most), &end);
    qcow2_space_written(&w->space, div_up(end, w->subcluster) * w->subcluster);
}

/* preallocation=falloc and full: allocates all data clusters at the end of the file, then the L2
 * tables wherever there is room. */
static void writer_preallocate_data(struct qcow2_writer *w, uint64_t virtual_size)
{
    uint64_t clusters = div_up(virtual_size, w->cluster);

    qcow2_space_extend(&w->space, clusters, div_up(clusters, w->table_entries) + 1);
    for (uint64_t at = 0; at < clusters; at += w->table_entries)
        qcow2_writer_need_table(w, at * w->cluster);
}

/* Writes what comes before the first data: L1 table, preallocated clusters, LUKS header. */
static void writer_create(struct qcow2_writer *w, const struct target_options *o,
                          uint64_t virtual_size)
{
    uint64_t l1 = div_up(div_up(virtual_size, w->cluster), w->table_entries) * QCOW2_L1_ENTRY;
    uint64_t header = div_up(o->header_size, w->cluster);

    if (l1)
        qcow2_space_written(&w->space,
                            qcow2_space_take(&w->space, div_up(l1, w->cluster)) * w->cluster + l1);
    if (o->preallocation == QCOW2_PREALLOCATION_METADATA)
        writer_preallocate_metadata(w, virtual_size);
    else if (o->preallocation != QCOW2_PREALLOCATION_OFF)
        writer_preallocate_data(w, virtual_size);
    if (header)
        qcow2_space_written(&w->space, (qcow2_space_take(&w->space, header) + header) * w->cluster);
    qcow2_space_reopen(&w->space);
}

int qcow2_writer_begin(struct qcow2_writer *w, struct image *img, const struct target_options *o,
                       uint64_t virtual_size, struct reason *why)
{
    uint64_t entry = o->extended_l2 ? 16 : 8, disk;

    if (!checked_round_up(virtual_size, o->cluster_size, &disk) || disk > (uint64_t)INT64_MAX)
        return target_too_large(why, virtual_size);
    *w = (struct qcow2_writer){
        .cluster = o->cluster_size,
        .subcluster = o->extended_l2 ? o->cluster_size / SUBCLUSTERS : o->cluster_size,
        .table_entries = o->cluster_size / entry,
        .slice_entries = min_u64(o->cluster_size, SLICE) / entry,
        .request_max = o->is_encrypted ? CRYPT_CLUSTERS : REQUEST_MAX / o->cluster_size,
    };
    if (div_up(disk / w->cluster, w->table_entries) > QCOW2_L1_MAX / QCOW2_L1_ENTRY)
        return target_refuse(why, EFBIG,
                             "Could not resize image: Failed to grow the L1 table: File too large");
    if (o->preallocation == QCOW2_PREALLOCATION_METADATA &&
        disk / w->cluster / w->slice_entries > SLICES_MAX)
        return target_refuse(why, EFBIG, "a disk of %llu bytes is too large to preallocate",
                             (unsigned long long)virtual_size);
    if (qcow2_space_begin(&w->space, img, o->cluster_size, o->refcount_bits))
        return target_refuse(why, ENOMEM, "out of memory");
    writer_create(w, o, virtual_size);
    return 0;
}

int qcow2_writer_size(const struct qcow2_writer *w, uint64_t *size, struct reason *why)
{
    if (w->space.free.overflowed || w->space.missing.overflowed)
        return target_refuse(why, EFBIG, "the file has more than %d gaps between its clusters",
                             QCOW2_RANGES_MAX);
    if (w->space.is_too_large)
        return target_refuse(why, EFBIG, "error while writing: File too large");
    *size = w->space.end;
    return 0;
}
