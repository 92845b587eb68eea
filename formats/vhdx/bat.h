/* SPDX-License-Identifier: Apache-2.0 */
/* The block allocation table of a VHDX (MS-VHDX 2.5). */
#ifndef FORMATS_VHDX_BAT_H
#define FORMATS_VHDX_BAT_H

#include <stdint.h>

#include "state.h"

struct disk;
struct extent;

/* Sets v->blocks and v->entries; the BAT must have room for the whole disk. Reads no entry. 0 or
 * -errno, reported. */
int vhdx_open_bat(struct disk *disk, struct vhdx *v);

/* extent_at of the driver. */
int vhdx_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

#endif
