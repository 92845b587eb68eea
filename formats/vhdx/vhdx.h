/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the VHDX driver share: the open image, and the parts that open it. */
#ifndef FORMATS_VHDX_VHDX_H
#define FORMATS_VHDX_VHDX_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/format.h"

enum {
    VHDX_MIB = 1 << 20, /* regions and payload blocks lie at multiples of it, the first at 1 */
    VHDX_GUID = 16,     /* bytes; compared as they stand */
    VHDX_TABLE_ENTRIES = 2047 /* of the region and the metadata table: what fits in 64 KiB */
};

#define VHDX_SIGNATURE "vhdxfile"

enum { /* 2.2.2 Headers */
       VHDX_HEADER1_AT = 64 << 10,
       VHDX_HEADER2_AT = 128 << 10,
       VHDX_HEADER_BYTES = 4 << 10,
       HEADER_SEQUENCE_NUMBER = 8,
       HEADER_FILE_WRITE_GUID = 16,
       HEADER_DATA_WRITE_GUID = 32,
       HEADER_LOG_GUID = 48,
       HEADER_LOG_VERSION = 64,
       HEADER_VERSION = 66,
       HEADER_LOG_LENGTH = 68,
       HEADER_LOG_OFFSET = 72,
};

enum { /* 2.2.3 Region Tables */
       VHDX_REGIONS1_AT = 192 << 10,
       VHDX_REGIONS2_AT = 256 << 10,
       VHDX_REGIONS_BYTES = 64 << 10,
       REGIONS_ENTRY_COUNT = 8,
       REGIONS_ENTRIES = 16,
       REGION_BYTES = 32,
       REGION_GUID = 0,
       REGION_FILE_OFFSET = 16,
       REGION_LENGTH = 24,
       REGION_FLAGS = 28,
};

enum { /* 2.6.1 Metadata Table */
       METADATA_TABLE_BYTES = 64 << 10,
       METADATA_HEADER_BYTES = 32,
       METADATA_ENTRY_COUNT = 10,
       METADATA_ENTRY_BYTES = 32,
       METADATA_ITEM_ID = 0,
       METADATA_OFFSET = 16,
       METADATA_LENGTH = 20,
       METADATA_FLAGS = 24,
       METADATA_ITEM_MAX = 1 << 20, /* 2.6.1.2: no item is longer */
};

enum { /* 2.6.2.1 File Parameters */
       PARAMETERS_BLOCK_SIZE = 0,
       PARAMETERS_FLAGS = 4,
};

enum { /* 2.6.2.6 Parent Locator */
       LOCATOR_BYTES = 20,
       LOCATOR_TYPE = 0,
       LOCATOR_KEY_VALUE_COUNT = 18,
       LOCATOR_PAIR_BYTES = 12,
       PAIR_KEY_OFFSET = 0,
       PAIR_VALUE_OFFSET = 4,
       PAIR_KEY_LENGTH = 8,
       PAIR_VALUE_LENGTH = 10,
};

enum vhdx_item {
    VHDX_FILE_PARAMETERS,
    VHDX_DISK_SIZE,
    VHDX_DISK_ID,
    VHDX_LOGICAL_SECTOR,
    VHDX_PHYSICAL_SECTOR,
    VHDX_PARENT_LOCATOR,
    VHDX_ITEMS
};

extern const uint8_t vhdx_bat_guid[VHDX_GUID], vhdx_metadata_guid[VHDX_GUID];

struct vhdx_region {
    uint64_t offset, length;
};

struct vhdx {
    struct vhdx_region log, bat, metadata;
    uint64_t size; /* of the virtual disk, as the image has it */
    uint64_t block_size;
    uint32_t sector;            /* bytes of a logical sector */
    uint64_t blocks;            /* payload blocks */
    uint64_t chunk_ratio;       /* payload blocks between two sector bitmap entries of the BAT */
    struct image_table entries; /* of the BAT: those in use */
    bool draft_state_told;

    /* Of a differencing image. */
    const uint8_t *locator; /* checked */
    uint64_t bitmap_chunk;  /* 1 + the chunk whose sector bitmap is at bitmap_offset; 0: none */
    uint64_t bitmap_offset;
    struct image_window bitmap; /* a piece of it */
};

/* Where the header is that counts: of those that can be used the one with the higher sequence
 * number. 0 or -errno, said. */
int vhdx_active_header(struct image *img, uint64_t *active);

/* The item that the GUID of a metadata table's entry names; VHDX_ITEMS: none that is known. */
enum vhdx_item vhdx_item_by_guid(const uint8_t *guid);

/* Whether the bytes of a locator are that key, which is ASCII, in UTF-16. */
bool vhdx_is_key(const uint8_t *bytes, uint32_t length, const char *key);

/* Reads the metadata table and the items that matter here. 0 or -errno, said. */
int vhdx_read_metadata(struct disk *disk, struct vhdx *v);

/*
 * Lists the references that the parent locator at offset names, in its order, and keeps the
 * locator. 0 or -errno, said.
 */
int vhdx_read_locator(struct disk *disk, struct vhdx *v, uint64_t offset, uint32_t length);

/*
 * Checks where bytes of the file lie that belong to what, of that number: in the file, off the
 * headers and off the regions. *low to *high is then the stretch around them of which that is true.
 * 0 or EUCLEAN, said.
 */
int vhdx_check_place(struct disk *disk, const char *what, uint64_t number, uint64_t host,
                     uint64_t bytes, uint64_t *low, uint64_t *high);

/*
 * What the sector bitmap says of the byte inside a block that is partially present, and of those
 * that follow it in the block: the kind and the length of extent. 0 or -errno, said.
 */
int vhdx_sectors_at(struct disk *disk, uint64_t block, uint64_t inside, struct extent *extent);

int vhdx_check_parent(struct disk *disk, struct disk *parent);

int vhdx_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

extern const struct header_part vhdx_parts[];

#endif
