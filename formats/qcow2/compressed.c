// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2: reading compressed clusters (docs/interop/qcow2.txt, "Compressed Clusters Descriptor").
 * Each cluster is a stream of its own, raw deflate or zstd, which begins at any byte of the file.
 * Its length is known in sectors only.
 */
#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/unpack.h"
#include "qcow2.h"

/* Reads length bytes at offset `within` of the cluster with that L2 entry. qemu deflates with a
 * window of 4 KiB but reads streams of any window, as it inflates a cluster at once. */
static int qcow2_decode_cluster(struct disk *disk, uint64_t entry, uint64_t within, uint8_t *bytes,
                                size_t length)
{
    const struct qcow2 *q = disk->state;
    unsigned offset_bits = 62 - (q->cluster_bits - 8);
    uint64_t host = entry & ((UINT64_C(1) << offset_bits) - 1);
    uint64_t sectors = ((entry & (QCOW2_COMPRESSED - 1)) >> offset_bits) + 1;
    const struct packed stream = {
        .format = "qcow2",
        .what = "compressed cluster",
        .packing = q->compression_type == QCOW2_COMPRESSION_ZSTD ? PACKED_ZSTD : PACKED_DEFLATE,
        .offset = host,
        .length = sectors * SECTOR - host % SECTOR,
        .size = q->cluster_size,
    };

    return unpack_at(disk->img, &stream, within, bytes, length);
}

int qcow2_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct qcow2 *q = disk->state;

    while (length) {
        uint64_t within = offset & (q->cluster_size - 1), entry;
        size_t n = (size_t)min_u64(length, q->cluster_size - within);
        int error = qcow2_l2_entry(disk, offset, &entry);

        if (!error)
            error = qcow2_decode_cluster(disk, entry, within, bytes, n);
        if (error)
            return error;
        offset += n;
        bytes += n;
        length -= n;
    }
    return 0;
}
