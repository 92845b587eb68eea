/* SPDX-License-Identifier: Apache-2.0 */
/* The parent locator of a differencing VHDX (MS-VHDX 2.6.2.6). */
#ifndef FORMATS_VHDX_LOCATOR_H
#define FORMATS_VHDX_LOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "state.h"

struct disk;

enum {
    LOCATOR_BYTES = 20,
    LOCATOR_TYPE = 0,
    LOCATOR_KEY_VALUE_COUNT = 18,
    LOCATOR_PAIR_BYTES = 12,
    PAIR_KEY_OFFSET = 0,
    PAIR_VALUE_OFFSET = 4,
    PAIR_KEY_LENGTH = 8,
    PAIR_VALUE_LENGTH = 10,
};

/* Whether length bytes of a locator are key, which is ASCII, in UTF-16. */
bool vhdx_is_key(const uint8_t *bytes, uint32_t length, const char *key);

/* Adds the references that the locator at offset names, in its order, and sets v->locator. 0 or
 * -errno, reported. */
int vhdx_read_locator(struct disk *disk, struct vhdx *v, uint64_t offset, uint32_t length);

/* check_parent of the driver. */
int vhdx_check_parent(struct disk *disk, struct disk *parent);

#endif
