/* SPDX-License-Identifier: Apache-2.0 */
/* COWD extents (vmfsSparse). */
#ifndef FORMATS_VMDK_COWD_H
#define FORMATS_VMDK_COWD_H

#include <stdint.h>

struct disk;

enum { /* COWDisk_Header */
       COWD_NUM_SECTORS = 12,
       COWD_GRAIN_SIZE = 16,
       COWD_GD_OFFSET = 20,
       COWD_NUM_GD_ENTRIES = 24,
       COWD_BYTES = 1652, /* without the padding to 2 KiB */
};

/* Opens a COWD extent that begins with the bytes head, as vmdk_hosted_open(). */
int vmdk_cowd_open(struct disk *disk, const uint8_t *head);

#endif
