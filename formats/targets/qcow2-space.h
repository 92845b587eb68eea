/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where qemu places clusters in a qcow2 file that it writes (docs/interop/qcow2.txt): the search
 * for free clusters, and the refcount blocks and tables that come to stand between them. Offsets
 * are in host clusters.
 */
#ifndef FORMATS_TARGETS_QCOW2_SPACE_H
#define FORMATS_TARGETS_QCOW2_SPACE_H

#include "ranges.h"

struct qcow2_space {
    uint64_t cluster_size;
    uint64_t block_entries;         /* clusters that a refcount block tells of */
    uint64_t table, table_clusters; /* the refcount table */
    struct ranges free;             /* clusters */
    struct ranges missing;          /* refcount blocks, by number */
    uint64_t next;                  /* the search for free clusters begins here */
    uint64_t end;                   /* bytes of the file */
    bool too_large;                 /* the refcount table has passed qemu's limit */
};

/* A new file: header, a table of one cluster, a block. 0 or -ENOMEM, said. */
int qcow2_space_begin(struct qcow2_space *s, struct image *img, uint64_t cluster_size,
                      uint64_t refcount_bits);

/* Takes count clusters in a row. Returns the first. */
uint64_t qcow2_space_take(struct qcow2_space *s, uint64_t count);

/* Takes the clusters from that one on that are free, at most count. Returns how many. */
uint64_t qcow2_space_take_at(struct qcow2_space *s, uint64_t cluster, uint64_t count);

/*
 * Rebuilds the refcounts behind the end of the file, for so many clusters more behind them, and
 * takes count clusters there. Returns the first.
 */
uint64_t qcow2_space_extend(struct qcow2_space *s, uint64_t count, uint64_t more);

/* The search of a file that is opened anew begins at its start. */
void qcow2_space_reopen(struct qcow2_space *s);

/* The next cluster that a search finds, which passes it but does not take it; and whether it could
 * take count clusters from it on, that one if it is free: else it has added a refcount block, and
 * the search is to be begun again. */
uint64_t qcow2_space_search(struct qcow2_space *s, uint64_t count);
bool qcow2_space_claim(struct qcow2_space *s, uint64_t cluster, uint64_t count);

/* The file has bytes up to there. */
void qcow2_space_written(struct qcow2_space *s, uint64_t end);

#endif
