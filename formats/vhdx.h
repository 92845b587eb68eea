/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the VHDX driver share: the open image, and the parts that open it. */
#ifndef FORMATS_VHDX_H
#define FORMATS_VHDX_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

enum {
    VHDX_MIB = 1 << 20, /* regions and payload blocks lie at multiples of it, the first at 1 */
    VHDX_GUID = 16,     /* bytes; compared as they stand */
    VHDX_TABLE_ENTRIES = 2047 /* of the region and the metadata table: what fits in 64 KiB */
};

struct vhdx_region {
    uint64_t offset, length;
};

struct vhdx {
    struct vhdx_region log, bat, metadata;
    uint64_t size; /* of the virtual disk, as the image has it */
    uint64_t block_size;
    uint64_t blocks;            /* payload blocks */
    uint64_t chunk_ratio;       /* payload blocks between two sector bitmap entries of the BAT */
    struct image_table entries; /* of the BAT: those in use */
    bool draft_state_told;
};

/* Reads the metadata table and the items that matter here. 0 or -errno, said. */
int vhdx_read_metadata(struct disk *disk, struct vhdx *v);

int vhdx_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

#endif
