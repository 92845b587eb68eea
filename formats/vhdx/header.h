/* SPDX-License-Identifier: Apache-2.0 */
/* The two headers of a VHDX (MS-VHDX 2.2.2), and the log that they describe. */
#ifndef FORMATS_VHDX_HEADER_H
#define FORMATS_VHDX_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/fields.h"
#include "state.h"

struct disk;
struct image;

enum {
    VHDX_HEADER1_AT = 64 << 10,
    VHDX_HEADER2_AT = 128 << 10,
    VHDX_HEADER_BYTES = 4 << 10,
    HEADER_CHECKSUM = 4,
    HEADER_SEQUENCE_NUMBER = 8,
    HEADER_FILE_WRITE_GUID = 16,
    HEADER_DATA_WRITE_GUID = 32,
    HEADER_LOG_GUID = 48,
    HEADER_LOG_VERSION = 64,
    HEADER_VERSION = 66,
    HEADER_LOG_LENGTH = 68,
    HEADER_LOG_OFFSET = 72,
};

/* Whether the CRC-32C of a header or region table, with the checksum field as zeros, matches its
 * checksum field. */
bool vhdx_is_checksum_valid(const uint8_t *bytes, size_t length);

/* Sets *active to the offset of the current header: of the valid ones that with the higher sequence
 * number. 0 or -errno, reported. */
int vhdx_active_header(struct image *img, uint64_t *active);

/* Sets v->log and checks it. Fails with ENOTSUP if it has entries to be replayed. 0 or -errno,
 * reported. */
int vhdx_check_log(struct disk *disk, struct vhdx *v, const uint8_t *header);

#endif
