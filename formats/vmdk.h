/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of the VMDK driver share: vmdk.c reads extents with grain tables,
 * vmdk-descriptor.c reads the text that describes a disk, on its own or inside such an extent.
 */
#ifndef FORMATS_VMDK_H
#define FORMATS_VMDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format.h"

enum {
    VMDK_SECTOR = 512,

    /* The longest descriptor; as in qemu, what follows is left alone. 20,000 extents take a third
       of it. */
    VMDK_DESCRIPTOR_MAX = (1 << 20) - 1,
};

/* Text of the image, not terminated. */
struct vmdk_text {
    const char *bytes;
    size_t length;
};

/* The text of up to length bytes at offset: it ends at a NUL or with the file. 0 or -errno, said.
 */
int vmdk_text_read(struct image *img, uint64_t offset, uint64_t length, struct vmdk_text *text);

/* Whether the head of a file begins a descriptor. 1 or 0; why says why not if it looks like one. */
int vmdk_descriptor_probe(const uint8_t *head, struct reason *why);

/*
 * The descriptor inside an extent, at offset_sectors unless there is none: then where all writers
 * have it, behind the header. Tells of the disk what the text decides: subformat (stays NULL if it
 * has none), and the parent. EUCLEAN, ENOTSUP, said, if there is no usable descriptor.
 */
int vmdk_embedded_open(struct disk *disk, uint64_t offset_sectors, uint64_t size_sectors);

/* Whether the text describes a disk whose data is in other files. */
bool vmdk_is_spread(const struct vmdk_text *text);

/* A disk whose data is in other files: subformat, size and the first of them. 0 or -errno, said. */
int vmdk_descriptor_open(struct disk *disk, const struct vmdk_text *text);

#endif
