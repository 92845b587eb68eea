/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2 images for tests, in a sparse file. Cluster 0 is the header, 1 the L1 table, 2 the refcount
 * table, 3 a refcount block; from 4 on there is room for L2 tables. All refcounts are 0.
 */
#ifndef TESTS_SUPPORT_QCOW2_IMAGE_H
#define TESTS_SUPPORT_QCOW2_IMAGE_H

#include <errno.h>
#include <string.h>

#include "support.h"

enum {
    Q_VERSION = 4,
    Q_BACKING_OFFSET = 8,
    Q_BACKING_SIZE = 16,
    Q_CLUSTER_BITS = 20,
    Q_SIZE = 24,
    Q_CRYPT = 32,
    Q_L1_SIZE = 36,
    Q_L1_OFFSET = 40,
    Q_REFCOUNT_TABLE_OFFSET = 48,
    Q_REFCOUNT_TABLE_CLUSTERS = 56,
    Q_SNAPSHOTS = 60,
    Q_SNAPSHOTS_OFFSET = 64,
    Q_INCOMPATIBLE = 72,
    Q_AUTOCLEAR = 88,
    Q_REFCOUNT_ORDER = 96,
    Q_HEADER_LENGTH = 100,
    Q_COMPRESSION_TYPE = 104,
};

#define Q_COPIED     (UINT64_C(1) << 63)
#define Q_COMPRESSED (UINT64_C(1) << 62)
#define Q_ZERO       UINT64_C(1)

/* Makes a version 3 image with a virtual size of `size` bytes in a file of 128 clusters. The L1
 * table is as long as the size requires, and all its entries are 0. */
static inline void make_qcow2(struct sample *s, uint64_t size, unsigned cluster_bits)
{
    uint64_t cluster = UINT64_C(1) << cluster_bits, mapped = cluster * cluster / 8;

    sample_begin(s);
    put_text(s, 0, "QFI\xfb");
    put_be(s, Q_VERSION, 4, 3);
    put_be(s, Q_CLUSTER_BITS, 4, cluster_bits);
    put_be(s, Q_SIZE, 8, size);
    put_be(s, Q_L1_SIZE, 4, size / mapped + (size % mapped != 0));
    put_be(s, Q_L1_OFFSET, 8, cluster);
    put_be(s, Q_REFCOUNT_TABLE_OFFSET, 8, 2 * cluster);
    put_be(s, Q_REFCOUNT_TABLE_CLUSTERS, 4, 1);
    put_be(s, Q_REFCOUNT_ORDER, 4, 4);
    put_be(s, Q_HEADER_LENGTH, 4, 104);
    put_be(s, 2 * cluster, 8, 3 * cluster);
    set_size(s, 128 * cluster);
}

static inline int open_qcow2(struct sample *s)
{
    return sample_open(s, &qcow2_driver);
}

/* Opens the image in a new session, which must succeed. */
static inline void reopen(struct sample *s)
{
    if (open_qcow2(s) != 0)
        fail_msg("refused: %s", image_problems(s->img));
}

#endif
