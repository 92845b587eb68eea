/* SPDX-License-Identifier: Apache-2.0 */
/* The region tables of a VHDX (MS-VHDX 2.2.3), which locate BAT and metadata. */
#ifndef FORMATS_VHDX_REGIONS_H
#define FORMATS_VHDX_REGIONS_H

#include <stdint.h>

#include "state.h"

enum {
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

extern const uint8_t vhdx_bat_guid[VHDX_GUID], vhdx_metadata_guid[VHDX_GUID];

/* Sets v->bat and v->metadata from the first region table; v->log is known. 0 or -errno, reported.
 */
int vhdx_read_regions(struct image *img, struct vhdx *v);

#endif
