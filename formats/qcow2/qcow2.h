/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the qcow2 driver share: the header's values, checked, and the tables' windows.
 */
#ifndef FORMATS_QCOW2_QCOW2_H
#define FORMATS_QCOW2_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/image.h"

struct disk;
struct extent;

/* Bits of L1 and L2 entries. */
#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_COPIED      (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED  (UINT64_C(1) << 62)
#define QCOW2_ZERO        UINT64_C(1)

enum { QCOW2_SUBCLUSTER_BITS = 5, QCOW2_SUBCLUSTERS = 1 << QCOW2_SUBCLUSTER_BITS };

enum { QCOW2_COMPRESSION_ZLIB = 0, QCOW2_COMPRESSION_ZSTD = 1 };

enum qcow2_answer { QCOW2_NOT_ASKED, QCOW2_NO, QCOW2_YES };

struct qcow2 {
    uint32_t version;
    uint32_t cluster_bits;
    uint64_t cluster_size;
    bool extended_l2; /* entries of 16 bytes with a bitmap of subclusters */
    bool encrypted, luks;
    unsigned compression_type;
    uint32_t data_file; /* 1 + the reference that is the data file; 0: there is none */
    uint32_t l2_entry_bytes;
    uint64_t forbidden_bits; /* of a standard entry */
    uint64_t l2_entries;     /* of one table */
    uint64_t l2_guest_bytes; /* what one table maps */

    struct image_table l1;
    struct image_window l2;
    uint64_t l2_start, l2_end; /* guest bytes that the tables in window l2 map */

    struct image_table refcount_table;
    unsigned refcount_order;
    enum qcow2_answer host_holes_count;

    bool has_bitmaps; /* the extension is there and its feature bit set */
    uint32_t bitmaps;
    uint64_t bitmap_directory_offset, bitmap_directory_size;
    uint64_t bitmaps_cluster_size,
        bitmaps_bytes; /* what was reckoned last; cluster size 0: nothing */
};

/* extent_at: walks the active L1 and L2 tables (specification: "Cluster mapping"). */
int qcow2_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

/* The L2 entry of the cluster that holds offset, which a table maps. 0 or -errno, said. */
int qcow2_l2_entry(struct disk *disk, uint64_t offset, uint64_t *entry);

int qcow2_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

/*
 * Whether far more clusters have a refcount than the file occupies: preallocated metadata, where
 * holes of the host file tell what was never written. 1, 0 or -errno (EIO, ENOMEM: said).
 */
int qcow2_is_preallocated(struct disk *disk);

/* Takes the bitmaps extension of length bytes at offset (specification: "Bitmaps extension"). */
int qcow2_read_bitmaps_extension(struct disk *disk, uint64_t offset, uint32_t length);

/* bitmaps_size: from the bitmap directory (specification: "Bitmap directory"). */
int qcow2_bitmaps_size(struct disk *disk, uint64_t cluster_size, uint64_t *bytes);

/* Reads the header extensions from start to end (specification: "Header extensions"). */
int qcow2_read_extensions(struct disk *disk, uint64_t start, uint64_t end, bool wants_data_file);

#endif
