/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qcow2 file as `qemu-img convert` fills it: what stands in it when it is made, and L2 tables and
 * data clusters in the order in which they come.
 */
#ifndef FORMATS_TARGETS_QCOW2_WRITER_H
#define FORMATS_TARGETS_QCOW2_WRITER_H

#include "qcow2-space.h"
#include "targets.h"

enum {
    QCOW2_L1_ENTRY = 8,
    QCOW2_L1_MAX = 32 << 20, /* bytes of an L1 table, as many as qemu makes */
};

enum {
    QCOW2_PREALLOCATION_OFF,
    QCOW2_PREALLOCATION_METADATA,
    QCOW2_PREALLOCATION_FALLOC,
    QCOW2_PREALLOCATION_FULL,
};

struct qcow2_writer {
    struct qcow2_space space;
    uint64_t cluster;       /* bytes */
    uint64_t subcluster;    /* bytes; written whole */
    uint64_t table_entries; /* of an L2 table, */
    uint64_t slice_entries; /* and of a slice of it */
    uint64_t request_max;   /* clusters that are written at once */
    uint64_t tables;        /* L2 tables before this one are there, or not needed any more */
    uint64_t last;          /* guest clusters before this one the same; */
    uint64_t last_host;     /* and where the last of them is */
};

/* Makes the file. 0; or why says: -EFBIG as qemu says it, -ENOMEM. */
int qcow2_writer_begin(struct qcow2_writer *w, struct image *img, const struct target_options *o,
                       uint64_t virtual_size, struct reason *why);

/* The L2 table for guest bytes at offset, unless it is there. Offsets ascend. */
void qcow2_writer_need_table(struct qcow2_writer *w, uint64_t offset);

/* Writes guest bytes, and what belongs to their clusters, at once. Offsets ascend. */
void qcow2_writer_write(struct qcow2_writer *w, uint64_t offset, uint64_t length);

/* The bytes of the file. 0; or -EFBIG, why says. */
int qcow2_writer_size(const struct qcow2_writer *w, uint64_t *size, struct reason *why);

#endif
