// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2: refcounts (docs/interop/qcow2.txt, "Host cluster management"), which are only read to find
 * out whether metadata was preallocated.
 */
#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "qcow2.h"

enum { REFCOUNT_WINDOW_BYTES = 256 << 10 };

#define REFCOUNT_OFFSET_MASK (~UINT64_C(511))

/* Counts the refcounts other than 0 among the first `count` at bytes. */
static uint64_t qcow2_count_nonzero(const uint8_t *bytes, uint64_t count, unsigned order)
{
    uint64_t per_word = UINT64_C(64) >> order, nonzero = 0;
    uint64_t mask = order == 6 ? UINT64_MAX : (UINT64_C(1) << (1U << order)) - 1;

    for (uint64_t i = 0; i < count; i += per_word, bytes += 8) {
        /* Refcounts of less than a byte begin with the byte's low bits, others are big endian. */
        uint64_t word = order < 3 ? le64(bytes) : be64(bytes);

        for (uint64_t k = 0; word && k < per_word; k++) {
            unsigned shift = (unsigned)((order < 3 ? k : per_word - 1 - k) << order);

            nonzero += i + k < count && (word >> shift & mask);
        }
    }
    return nonzero;
}

/* Adds to *used the refcounts other than 0 among the first `count` of the refcount block at offset.
 * May stop when *used reaches enough. */
static int qcow2_count_block(struct disk *disk, struct image_window *w, uint64_t offset,
                             uint64_t count, uint64_t enough, uint64_t *used)
{
    struct qcow2 *q = disk->state;
    uint64_t window_count = (w->capacity * UINT64_C(8)) >> q->refcount_order;

    for (uint64_t done = 0; done < count && *used < enough; done += window_count) {
        uint64_t piece = min_u64(window_count, count - done);
        uint64_t bytes = div_up(piece << q->refcount_order, 64) * 8;
        const uint8_t *refcounts;
        int error = image_window_at(disk->img, w, offset + (done << q->refcount_order) / 8,
                                    (size_t)bytes, &refcounts);

        if (error)
            return error;
        *used += qcow2_count_nonzero(refcounts, piece, q->refcount_order);
    }
    return 0;
}

/*
 * Whether at least `enough` clusters of the file have a refcount. Returns 1; 0 if not, or if the
 * refcount table is invalid; or -errno.
 */
static int qcow2_has_used_clusters(struct disk *disk, struct image_window *blocks, uint64_t enough)
{
    struct qcow2 *q = disk->state;
    uint64_t clusters = div_up(image_size(disk->img), q->cluster_size);
    uint64_t per_block = (q->cluster_size * 8) >> q->refcount_order;
    uint64_t used = 0, last = min_u64(q->refcount_table.entries, div_up(clusters, per_block));

    for (uint64_t i = 0; i < last && used < enough; i++) {
        const uint8_t *entry;
        uint64_t offset, count;
        int error = image_table_at(disk->img, &q->refcount_table, i, &entry, &count);

        if (error)
            return error;
        offset = be64(entry) & REFCOUNT_OFFSET_MASK;
        if (offset % q->cluster_size)
            return 0;
        if (offset == 0 || offset >= image_size(disk->img))
            continue;
        error = qcow2_count_block(disk, blocks, offset,
                                  min_u64(per_block, clusters - i * per_block), enough, &used);
        if (error)
            return error;
    }
    return used >= enough;
}

/* The threshold is qemu's: a ninth and at least two clusters more than the file occupies on the
 * host. */
int qcow2_is_preallocated(struct disk *disk)
{
    struct qcow2 *q = disk->state;
    uint64_t occupied = image_disk_size(disk->img) / q->cluster_size;
    uint64_t enough = max_u64(occupied * 10 / 9, occupied + 2);
    struct image_window blocks;
    int error = image_window_begin(disk->img, &blocks,
                                   image_window_share(disk->img, REFCOUNT_WINDOW_BYTES));

    return error ? error : qcow2_has_used_clusters(disk, &blocks, enough);
}
