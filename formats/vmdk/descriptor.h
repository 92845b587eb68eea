/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors, in a file of their own or embedded in an extent. */
#ifndef FORMATS_VMDK_DESCRIPTOR_H
#define FORMATS_VMDK_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct disk;
struct image;
struct reason;

/* What qemu reads of an embedded descriptor, and what all writers reserve for it: 20 sectors. */
enum { VMDK_EMBEDDED_BYTES = 20 * 512 };

/* Whether the head of a file begins a descriptor. 1 or 0; if it only looks like one, why has the
 * reason. */
int vmdk_descriptor_probe(const uint8_t *head, struct reason *why);

/*
 * Finds the descriptor embedded in an extent: at offset_sectors, of size_sectors (0: of the usual
 * size). *text is empty if there is none. *usual is the text behind the header, which is all that
 * qemu reads, whatever the header states. 0 or -errno, reported.
 */
int vmdk_embedded_read(struct image *img, uint64_t offset_sectors, uint64_t size_sectors,
                       struct vmdk_text *text, struct vmdk_text *usual);

/*
 * Takes over what the descriptor embedded in an extent states: subformat (unchanged if it has no
 * createType), parent, change tracking. 0 or -errno, reported; ENOTSUP if there is no descriptor.
 */
int vmdk_embedded_open(struct disk *disk, uint64_t offset_sectors, uint64_t size_sectors);

/* Whether the text describes a disk whose data is in other files, of a type that qemu opens. */
bool vmdk_is_spread(const struct vmdk_text *text);

/* Opens a disk whose data is in other files: subformat, size, extents, parent. 0 or -errno,
 * reported. */
int vmdk_descriptor_open(struct disk *disk, const struct vmdk_text *text);

/* check_parent of the driver, by the content IDs of both descriptors. */
int vmdk_check_parent(struct disk *disk, struct disk *parent);

/* Whether a file of that name is a flat extent, which nothing in its bytes shows; why has the
 * reason. */
bool vmdk_is_flat_name(const char *name, struct reason *why);

#endif
