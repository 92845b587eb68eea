/* SPDX-License-Identifier: Apache-2.0 */
/* An open VHDX image, and what all structures of the format have in common. Sections are those of
 * MS-VHDX. */
#ifndef FORMATS_VHDX_STATE_H
#define FORMATS_VHDX_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/image.h"

enum {
    VHDX_MIB = 1 << 20,       /* alignment of regions and payload blocks, and offset of the first */
    VHDX_GUID = 16,           /* bytes of a GUID; compared as stored */
    VHDX_TABLE_ENTRIES = 2047 /* of the region and the metadata table: what fits in 64 KiB */
};

enum { /* 2.5 BAT */
       BAT_ENTRY_BYTES = 8,
       BAT_STATE_MASK = 7,
       BAT_OFFSET_SHIFT = 20, /* of the offset in the file, in units of 1 MiB */
};

struct vhdx_region {
    uint64_t offset, length;
};

/* disk->state. */
struct vhdx {
    struct vhdx_region log, bat, metadata;
    uint64_t size; /* of the virtual disk, as stored: not rounded to sectors */
    uint64_t block_size;
    uint32_t sector;            /* bytes of a logical sector */
    uint64_t blocks;            /* payload blocks */
    uint64_t chunk_ratio;       /* payload blocks between two sector bitmap entries of the BAT */
    struct image_table entries; /* the entries of the BAT that are in use */
    bool is_draft_state_noted;

    /* Of a differencing image. */
    const uint8_t *locator; /* validated */
    uint64_t bitmap_chunk;  /* 1 + the chunk whose sector bitmap is at bitmap_offset; 0: none */
    uint64_t bitmap_offset;
    struct image_window bitmap; /* a piece of it */
};

#endif
