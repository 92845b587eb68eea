/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where qemu allocates clusters in a qcow2 file that it writes (docs/interop/qcow2.txt): the search
 * for free clusters, and the refcount blocks and tables that are allocated between them. Positions
 * and counts are in host clusters.
 */
#ifndef FORMATS_TARGETS_QCOW2_SPACE_H
#define FORMATS_TARGETS_QCOW2_SPACE_H

#include "ranges.h"

enum {
    /* Ours, of either set: each new refcount table leaves one or two gaps, and there are few. */
    QCOW2_RANGES_MAX = 512,
};

struct qcow2_space {
    uint64_t cluster_size;          /* bytes */
    uint64_t block_entries;         /* clusters that a refcount block covers */
    uint64_t table, table_clusters; /* the refcount table: first cluster, and length */
    struct ranges free;             /* clusters */
    struct ranges missing;          /* refcount blocks, by index */
    uint64_t next;                  /* the search for free clusters begins here */
    uint64_t end;                   /* bytes of the file */
    bool is_too_large;              /* the refcount table has exceeded qemu's limit */
};

/* Begins a new file: header, a refcount table of one cluster, one block. Returns 0 or -ENOMEM,
 * already reported. */
int qcow2_space_begin(struct qcow2_space *s, struct image *img, uint64_t cluster_size,
                      uint64_t refcount_bits);

/* Allocates count contiguous clusters. Returns the first. */
uint64_t qcow2_space_take(struct qcow2_space *s, uint64_t count);

/* Allocates the free clusters from cluster on, at most count and without a gap. Returns how many.
 */
uint64_t qcow2_space_take_at(struct qcow2_space *s, uint64_t cluster, uint64_t count);

/*
 * Writes new refcount blocks and a new table at the end of the file, which cover count + more
 * further clusters, and allocates count clusters behind the table. Returns the first.
 */
uint64_t qcow2_space_extend(struct qcow2_space *s, uint64_t count, uint64_t more);

/* qemu opened the file again: the next search begins at its start. */
void qcow2_space_reopen(struct qcow2_space *s);

/* Finds count contiguous free clusters and moves the search behind them, but does not allocate
 * them. Returns the first. */
uint64_t qcow2_space_search(struct qcow2_space *s, uint64_t count);

/* Allocates count free clusters from cluster on. If one of them has no refcount block, adds a block
 * instead and returns false: the caller must search again. */
bool qcow2_space_claim(struct qcow2_space *s, uint64_t cluster, uint64_t count);

/* Extends the file to at least end bytes. */
void qcow2_space_written(struct qcow2_space *s, uint64_t end);

#endif
