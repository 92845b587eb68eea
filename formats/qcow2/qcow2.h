/* SPDX-License-Identifier: Apache-2.0 */
/* State and functions that the files of the qcow2 driver share. Offsets and sizes are bytes. */
#ifndef FORMATS_QCOW2_QCOW2_H
#define FORMATS_QCOW2_QCOW2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/image.h"

struct disk;
struct extent;
struct unit_map;

/* Bits of L1 and L2 entries. COPIED: the refcount is 1. */
#define QCOW2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define QCOW2_COPIED      (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED  (UINT64_C(1) << 62)
#define QCOW2_ZERO        UINT64_C(1)

enum { QCOW2_SUBCLUSTER_BITS = 5, QCOW2_SUBCLUSTERS = 1 << QCOW2_SUBCLUSTER_BITS };

enum { QCOW2_COMPRESSION_ZLIB = 0, QCOW2_COMPRESSION_ZSTD = 1 };

enum { QCOW2_CRYPT_NONE = 0, QCOW2_CRYPT_AES = 1, QCOW2_CRYPT_LUKS = 2 };

enum { QCOW2_AUTOCLEAR_BITMAPS = 1 << 0, QCOW2_AUTOCLEAR_RAW_DATA = 1 << 1 };

/* Whether a hole of the host file makes the clusters in it read as zeros, as in qemu. */
enum qcow2_host_holes { QCOW2_HOST_HOLES_UNKNOWN, QCOW2_HOST_HOLES_IGNORED, QCOW2_HOST_HOLES_ZERO };

struct qcow2 {
    uint32_t version;
    uint32_t cluster_bits;
    uint64_t cluster_size;
    uint64_t autoclear_features; /* 0 in version 2 */
    bool has_extended_l2;        /* L2 entries of 16 bytes, with a subcluster bitmap */
    uint32_t crypt_method;
    unsigned compression_type;
    uint32_t data_file; /* 1 + index of the data file's reference; 0: no data file */
    uint32_t l2_entry_bytes;
    uint64_t forbidden_bits; /* of a standard L2 entry that is not compressed */
    uint64_t l2_entries;     /* of one L2 table */
    uint64_t l2_guest_bytes; /* mapped by one L2 table */

    struct image_table l1;
    struct image_window l2;
    uint64_t l2_start, l2_end; /* guest range that the entries in window l2 map */

    struct image_table refcount_table;
    unsigned refcount_order;
    enum qcow2_host_holes host_holes;

    bool has_bitmaps; /* the extension exists and its autoclear bit is set */
    uint32_t nb_bitmaps;
    uint64_t bitmap_directory_offset, bitmap_directory_size;
    /* Latest result of qcow2_bitmaps_size(). Cluster size 0: none yet. */
    uint64_t bitmaps_cluster_size, bitmaps_bytes;
};

/* format_driver.extent_at: reads the active L1 and L2 tables (specification: "Cluster mapping"). */
int qcow2_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

/* format_driver.map_units. */
int qcow2_map_units(struct disk *disk, uint64_t offset, struct unit_map *map);

/*
 * Sets *entry to the L2 entry (its first 8 bytes, if extended) of the guest cluster that contains
 * offset, 0 if there is no L2 table. Returns 0 or -errno, which has been reported.
 */
int qcow2_l2_entry(struct disk *disk, uint64_t offset, uint64_t *entry);

/* format_driver.decode (specification: "Compressed Clusters Descriptor"). */
int qcow2_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

/*
 * Whether more clusters have a refcount than the file occupies on the host. Then metadata was
 * preallocated, and clusters in holes of the host file were never written. Returns 1, 0 or -errno
 * (EIO, ENOMEM), which has been reported.
 */
int qcow2_is_preallocated(struct disk *disk);

/* Reads the data of the bitmaps extension: length bytes at offset (specification: "Bitmaps
 * extension"). Returns 0 or -errno, which has been reported. */
int qcow2_read_bitmaps_extension(struct disk *disk, uint64_t offset, uint32_t length);

/* format_driver.bitmaps_size, from the bitmap directory (specification: "Bitmap directory"). */
int qcow2_bitmaps_size(struct disk *disk, uint64_t cluster_size, uint64_t *bytes);

/*
 * Reads the header extensions between offsets start and end (specification: "Header extensions").
 * has_data_file: the image has an external data file, which an extension may name. Returns 0 or
 * -errno, which has been reported.
 */
int qcow2_read_extensions(struct disk *disk, uint64_t start, uint64_t end, bool has_data_file);

#endif
