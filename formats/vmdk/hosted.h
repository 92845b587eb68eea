/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a hosted sparse extent (SparseExtentHeader), and opening such an extent. */
#ifndef FORMATS_VMDK_HOSTED_H
#define FORMATS_VMDK_HOSTED_H

#include <stdbool.h>
#include <stdint.h>

struct disk;
struct image;

enum {
    HOSTED_VERSION = 4,
    HOSTED_FLAGS = 8,
    HOSTED_CAPACITY = 12,
    HOSTED_GRAIN_SIZE = 20,
    HOSTED_DESCRIPTOR_OFFSET = 28,
    HOSTED_DESCRIPTOR_SIZE = 36,
    HOSTED_NUM_GTES_PER_GT = 44,
    HOSTED_RGD_OFFSET = 48,
    HOSTED_GD_OFFSET = 56,
    HOSTED_OVER_HEAD = 64,
    HOSTED_COMPRESS_ALGORITHM = 77,
    HOSTED_BYTES = 79, /* without the padding to a sector */
};

/* gdOffset of a stream: the grain directory follows the grains, and the header in the footer is the
 * valid one. */
#define VMDK_GD_AT_END UINT64_MAX

struct vmdk_hosted_header {
    uint32_t version, flags, num_gtes_per_gt;
    uint64_t capacity_sectors, grain_size_sectors, rgd_offset_sectors, gd_offset_sectors;
    uint64_t descriptor_offset_sectors, descriptor_size_sectors, over_head_sectors;
    uint16_t compress_algorithm;
};

void vmdk_hosted_decode(struct vmdk_hosted_header *header, const uint8_t *bytes);

/* Sets *offset to where the header in the footer of a stream is; false: the file is too short. */
bool vmdk_footer_place(const struct image *img, uint64_t *offset);

/*
 * Opens a hosted sparse extent that begins with the bytes head: header and tables, no descriptor.
 * Sets virtual_size and subformat. 0 or -errno, reported.
 */
int vmdk_hosted_open(struct disk *disk, const uint8_t *head);

#endif
