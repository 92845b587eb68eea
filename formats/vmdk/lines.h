/* SPDX-License-Identifier: Apache-2.0 */
/* The extent lines of a descriptor. */
#ifndef FORMATS_VMDK_LINES_H
#define FORMATS_VMDK_LINES_H

#include <stdbool.h>

#include "text.h"

struct disk;

/*
 * Appends the extents that the text lists to the disk. as_qemu: only writable extents that are in
 * files count, as in qemu; otherwise all do, as specified. 0 or -errno, reported.
 */
int vmdk_lines_add(struct disk *disk, struct vmdk_text text, bool as_qemu);

#endif
