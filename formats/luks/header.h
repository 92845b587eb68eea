/* SPDX-License-Identifier: Apache-2.0 */
/* What the headers of both LUKS versions have: magic, version, and where the payload is. */
#ifndef FORMATS_LUKS_HEADER_H
#define FORMATS_LUKS_HEADER_H

#include <stdint.h>

#define LUKS_MAGIC "LUKS\xba\xbe"

enum { LUKS_MAGIC_BYTES = 6, LUKS_VERSION = 6 };

#define LUKS_SIZE_DYNAMIC UINT64_MAX

/* The encrypted bytes. */
struct luks_payload {
    uint64_t offset;
    uint64_t size; /* LUKS_SIZE_DYNAMIC: up to the end of the file */
};

#endif
