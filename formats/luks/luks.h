/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the LUKS driver share. */
#ifndef FORMATS_LUKS_LUKS_H
#define FORMATS_LUKS_LUKS_H

#include "formats/format.h"

#define LUKS_MAGIC        "LUKS\xba\xbe"
#define LUKS2_COPY_MAGIC  "SKUL\xba\xbe"
#define LUKS_SIZE_DYNAMIC UINT64_MAX

enum {
    LUKS_VERSION = 6,
    LUKS_MAGIC_BYTES = 6,
    LUKS_SECTOR = 512,

    LUKS2_HDR_SIZE = 8,
    LUKS2_HDR_OFFSET = 256,
    LUKS2_BINARY_BYTES = 4096, /* the binary header: its JSON area is behind it */
};

/* Where the encrypted bytes are. */
struct luks_payload {
    uint64_t offset;
    uint64_t size; /* LUKS_SIZE_DYNAMIC: up to the end of the file */
};

/* Whether a binary header of version 2 can have that size. */
bool luks2_size_is_good(uint64_t hdr_size);

/* Finds the copy of the header of version 2: behind the first header or, where the size of that is
 * damaged, at any place where it can be. 1, 0 or -errno, said. */
int luks2_find_copy(struct image *img, uint64_t *offset);

/* Finds the payload by the headers of version 2. 0 or -errno, said. */
int luks2_open(struct disk *disk, struct luks_payload *payload);

/* Finds the payload in the JSON area [offset, offset + length): its one segment. 0 or -errno, said.
 */
int luks2_read_segment(struct image *img, uint64_t offset, uint64_t length,
                       struct luks_payload *payload);

#endif
