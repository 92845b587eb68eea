/* SPDX-License-Identifier: Apache-2.0 */
/* The extents of a disk that a descriptor lists: a table by guest offset, over files of their own.
 */
#ifndef FORMATS_VMDK_EXTENTS_H
#define FORMATS_VMDK_EXTENTS_H

#include <stddef.h>
#include <stdint.h>

struct disk;
struct extent;

enum vmdk_extent_kind {
    VMDK_EXTENT_ZERO,     /* no file */
    VMDK_EXTENT_FLAT,     /* plain bytes of a file: FLAT, VMFS */
    VMDK_EXTENT_SPARSE,   /* hosted or COWD: SPARSE, VMFSSPARSE */
    VMDK_EXTENT_SESPARSE, /* SESPARSE */
    VMDK_EXTENT_OTHER,    /* not handled: its bytes cannot be read */
};

/* One extent line of a descriptor. A disk may have tens of thousands. */
struct vmdk_extent {
    uint64_t start, length; /* guest bytes */
    uint64_t offset;        /* FLAT: of its bytes in the file */
    uint32_t reference;     /* number of the reference that names the file */
    enum vmdk_extent_kind kind;
};

/*
 * Appends an extent to the disk; start is set here. The caller has checked that length fits below
 * DISK_BYTES_MAX. 0 or -errno, reported.
 */
int vmdk_extents_add(struct disk *disk, const struct vmdk_extent *extent);

/* As extent_at and decode of the driver. */
int vmdk_extents_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                           struct extent *extent);
int vmdk_extents_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

#endif
