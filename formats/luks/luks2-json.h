/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON area of a LUKS2 header (LUKS2 On-Disk Format Specification 1.1, section 3). */
#ifndef FORMATS_LUKS_LUKS2_JSON_H
#define FORMATS_LUKS_LUKS2_JSON_H

#include "formats/image.h"
#include "header.h"

/*
 * Finds the payload in the JSON area, length bytes at offset: it must have exactly one segment.
 * Returns 0 or -errno, reported.
 */
int luks2_read_segment(struct image *img, uint64_t offset, uint64_t length,
                       struct luks_payload *payload);

#endif
