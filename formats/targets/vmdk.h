/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the size models of VMDK files. */
#ifndef FORMATS_TARGETS_VMDK_H
#define FORMATS_TARGETS_VMDK_H

#include "targets.h"

enum {
    VMDK_GRAIN = 65536,
    VMDK_EXTENTS_MAX = 32768, /* of 2 GiB each; ours */
};

#define VMDK_SPLIT_BYTES (UINT64_C(1) << 31) /* of an extent file in the split subformats */

enum vmdk_subformat { VMDK_SPARSE, VMDK_STREAM, VMDK_FLAT, VMDK_SPLIT_SPARSE, VMDK_SPLIT_FLAT };

/* Returns the bytes in front of the first grain of a sparse extent for a disk of so many bytes
 * (below 2^51): header, descriptor, two grain directories with their grain tables. */
uint64_t vmdk_overhead(uint64_t bytes);

/* Writes the name of extent file n (from 0) of an image file with that name, cut at room bytes.
 * Returns its full length. */
size_t vmdk_extent_name(const struct target_options *o, const char *name, uint64_t n, char *extent,
                        size_t room);

/* Returns the length of the descriptor file's text. disk: bytes, in whole sectors; name: of the
 * file, or NULL for extent names of the greatest length. */
uint64_t vmdk_descriptor_bytes(const struct target_options *o, uint64_t disk, const char *name);

extern const struct conversion_model vmdk_stream, vmdk_extents;

#endif
