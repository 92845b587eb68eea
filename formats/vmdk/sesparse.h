/* SPDX-License-Identifier: Apache-2.0 */
/* seSparse extents, which have headers and tables of their own kind. */
#ifndef FORMATS_VMDK_SESPARSE_H
#define FORMATS_VMDK_SESPARSE_H

#include <stdint.h>

struct disk;
struct extent;

enum { /* the constant header */
       SESPARSE_VERSION = 8,
       SESPARSE_CAPACITY = 16,
       SESPARSE_GRAIN_SIZE = 24,
       SESPARSE_GRAIN_TABLE_SIZE = 32,
       SESPARSE_FLAGS = 40,
       SESPARSE_RESERVED = 48,
       SESPARSE_VOLATILE_HEADER_OFFSET = 80,
       SESPARSE_GRAIN_DIR_OFFSET = 128,
       SESPARSE_GRAIN_DIR_SIZE = 136,
       SESPARSE_GRAIN_TABLES_OFFSET = 144,
       SESPARSE_GRAINS_OFFSET = 192,
       SESPARSE_PAD = 208,
};

enum { /* the volatile header */
       VOLATILE_REPLAY_JOURNAL = 24,
       VOLATILE_PAD = 32,
};

enum { SESPARSE_HEADER_BYTES = 512 }; /* of either */

/* Opens a seSparse extent that begins with the bytes head, as vmdk_hosted_open(). */
int vmdk_sesparse_open(struct disk *disk, const uint8_t *head);

/* As extent_at of the driver. */
int vmdk_sesparse_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                            struct extent *extent);

#endif
