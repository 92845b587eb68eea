/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the two halves of the qcow2 maker: make-qcow2.c (clusters) and make-qcow2-header.c
 * (all that the header names). */
#ifndef TOOLS_MAKE_QCOW2_H
#define TOOLS_MAKE_QCOW2_H

#include "maker.h"

enum {
    QCOW2_HEADER_ROOM = 64 << 10, /* for the header, its extensions and the backing file's name */
    QCOW2_TABLES_MAX = 256,       /* L2 tables of one image */
};

struct qcow2_table {
    uint64_t index, offset; /* in the L1 table; in the file */
};

struct qcow2 {
    struct maker *m;
    uint64_t version, size, cluster_size, header_length;
    uint64_t refcount_order, compression_type;
    bool extended_l2, data_file;
    uint64_t entry_bytes, entries; /* of an L2 table */
    uint64_t l1_offset, l1_size, refcount_table;
    uint64_t last_host, last_at; /* host cluster and place of the entry before */
    uint32_t *refcounts;
    uint64_t clusters; /* handed out */
    struct qcow2_table tables[QCOW2_TABLES_MAX];
    unsigned tables_count;
    uint8_t header[QCOW2_HEADER_ROOM];
    uint32_t header_end;
};

/* n / unit, rounded up. */
static inline uint64_t qcow2_units(uint64_t n, uint64_t unit)
{
    return n / unit + (n % unit != 0);
}

/* Hands out clusters, each with a refcount of 1. Returns their offset. */
uint64_t qcow2_allocate(struct qcow2 *q, uint64_t count);

/* Writes the header, its extensions, and the bitmaps and snapshots that they name. */
void qcow2_write_header(struct qcow2 *q);

#endif
