/* SPDX-License-Identifier: Apache-2.0 */
/* The two copies of the LUKS2 header (LUKS2 On-Disk Format Specification 1.1, section 2). */
#ifndef FORMATS_LUKS_LUKS2_H
#define FORMATS_LUKS_LUKS2_H

#include "formats/image.h"
#include "header.h"

struct disk;

enum {
    LUKS2_HDR_SIZE = 8,
    LUKS2_HDR_OFFSET = 256,
    LUKS2_BINARY_BYTES = 4096, /* of the binary header; the JSON area follows it */
};

/* Whether hdr_size, in bytes, is one that the specification allows. */
bool luks2_is_hdr_size(uint64_t hdr_size);

/*
 * Finds the second header. It follows the first one; if the size in that is damaged, it is searched
 * at each offset that the specification allows. Returns 1 with *offset set; 0; -errno, reported.
 */
int luks2_find_copy(struct image *img, uint64_t *offset);

/* Finds the payload, from the first header or, if that is damaged, from the second. Returns 0 or
 * -errno, reported. */
int luks2_open(struct disk *disk, struct luks_payload *payload);

#endif
