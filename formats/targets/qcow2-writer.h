/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qcow2 file as `qemu-img convert` writes it: what it holds when it is created, then L2 tables
 * and data clusters in the order in which they are written.
 */
#ifndef FORMATS_TARGETS_QCOW2_WRITER_H
#define FORMATS_TARGETS_QCOW2_WRITER_H

#include "qcow2-space.h"
#include "targets.h"

enum {
    QCOW2_L1_ENTRY = 8,
    QCOW2_L1_MAX = 32 << 20, /* bytes of an L1 table that qemu creates */
};

enum qcow2_preallocation {
    QCOW2_PREALLOCATION_OFF,
    QCOW2_PREALLOCATION_METADATA,
    QCOW2_PREALLOCATION_FALLOC,
    QCOW2_PREALLOCATION_FULL,
};

struct qcow2_writer {
    struct qcow2_space space;
    uint64_t cluster;       /* bytes */
    uint64_t subcluster;    /* bytes; always written whole */
    uint64_t table_entries; /* of an L2 table */
    uint64_t slice_entries; /* of a slice of an L2 table */
    uint64_t request_max;   /* clusters of one write request */
    uint64_t tables;        /* L2 tables with a smaller number exist, or are not needed any more */
    uint64_t next;          /* so do guest clusters with a smaller number */
    uint64_t last_host;     /* the host cluster of guest cluster next - 1 */
};

/* Creates the file. Returns 0, -EFBIG with a message in why in qemu's words, or -ENOMEM. */
int qcow2_writer_begin(struct qcow2_writer *w, struct image *img, const struct target_options *o,
                       uint64_t virtual_size, struct reason *why);

/* Allocates the L2 table that maps guest offset, unless it exists. Offsets must ascend. */
void qcow2_writer_need_table(struct qcow2_writer *w, uint64_t offset);

/* Writes guest bytes [offset, offset + length) in one go, and allocates their clusters and L2
 * tables. Offsets must ascend. */
void qcow2_writer_write(struct qcow2_writer *w, uint64_t offset, uint64_t length);

/* Sets *size to the bytes of the file. Returns 0 or -EFBIG, with a message in why. */
int qcow2_writer_size(const struct qcow2_writer *w, uint64_t *size, struct reason *why);

#endif
