/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli; RFC 3720, appendix B.4): the checksum of VHDX. */
#ifndef FORMATS_CRC32C_H
#define FORMATS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues the checksum before (0 at the beginning) over length more bytes. */
uint32_t crc32c(uint32_t before, const uint8_t *bytes, size_t length);

#endif
