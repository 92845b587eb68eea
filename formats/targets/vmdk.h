/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of the size of vmdk files share. */
#ifndef FORMATS_TARGETS_VMDK_H
#define FORMATS_TARGETS_VMDK_H

#include "targets.h"

enum { VMDK_GRAIN = 65536, VMDK_EXTENTS_MAX = 32768 /* of 2 GiB: ours */ };

#define VMDK_SPLIT_BYTES (UINT64_C(1) << 31)

enum vmdk_subformat { VMDK_SPARSE, VMDK_STREAM, VMDK_FLAT, VMDK_SPLIT_SPARSE, VMDK_SPLIT_FLAT };

/* Header, descriptor, and two grain directories, each with the tables for a disk of so many bytes
 * (below 2^51), up to the first grain. */
uint64_t vmdk_overhead(uint64_t bytes);

/* The name of extent number n (from 0) of an image whose file has that name. Returns its length; it
 * is cut where there is no room for it. */
size_t vmdk_extent_name(const struct target_options *o, const char *name, uint64_t n, char *extent,
                        size_t room);

/* The bytes of the descriptor file's text, for a disk of so many bytes, in whole sectors, and a
 * file of that name; NULL: names are as long as can be. */
uint64_t vmdk_descriptor_bytes(const struct target_options *o, uint64_t disk, const char *name);

extern const struct conversion_model vmdk_stream, vmdk_extents;

#endif
