/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata region of a VHDX (MS-VHDX 2.6). */
#ifndef FORMATS_VHDX_METADATA_H
#define FORMATS_VHDX_METADATA_H

#include <stdint.h>

#include "state.h"

struct disk;

enum { /* 2.6.1 Metadata Table */
       METADATA_TABLE_BYTES = 64 << 10,
       METADATA_HEADER_BYTES = 32,
       METADATA_ENTRY_COUNT = 10,
       METADATA_ENTRY_BYTES = 32,
       METADATA_ITEM_ID = 0,
       METADATA_OFFSET = 16,
       METADATA_LENGTH = 20,
       METADATA_FLAGS = 24,
       METADATA_ITEM_MAX = 1 << 20, /* 2.6.1.2: longest item */
};

enum { /* 2.6.2.1 File Parameters */
       PARAMETERS_BLOCK_SIZE = 0,
       PARAMETERS_FLAGS = 4,
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

/* The item with that GUID, or VHDX_ITEMS. */
enum vhdx_item vhdx_item_by_guid(const uint8_t *guid);

/* Reads the metadata table and the items that answers depend on: sizes, subformat, parent. 0 or
 * -errno, reported. */
int vhdx_read_metadata(struct disk *disk, struct vhdx *v);

#endif
