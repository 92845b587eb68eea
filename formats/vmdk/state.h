/* SPDX-License-Identifier: Apache-2.0 */
/* An open VMDK image, and the limits and magics that its files have in common. */
#ifndef FORMATS_VMDK_STATE_H
#define FORMATS_VMDK_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* 1 GiB: qemu's limit. Usual is 64 KiB. */
    VMDK_GRAIN_SECTORS_MAX = 1 << 21,

    /* Entries of a grain directory: qemu's limit, 128 MiB of 4-byte entries. With usual grains they
       cover 1 PiB. */
    VMDK_GD_ENTRIES_MAX = 32 << 20,

    VMDK_NAME_MAX = 4095, /* bytes of a file name: the longest path that Linux accepts */
};

#define VMDK_MAGIC_HOSTED   "KDMV"
#define VMDK_MAGIC_COWD     "COWD"
#define VMDK_MAGIC_SESPARSE "\xbe\xba\xfe\xca\0\0\0\0"

struct vmdk_tables;
struct vmdk_sesparse;
struct vmdk_extents;

/* Content ID: a writer changes it with the content, so a child can check that its parent is
 * unchanged. */
struct vmdk_cid {
    bool is_known;
    uint32_t value;
};

/* disk->state. At most one of the pointers is set; with none, the disk is empty. */
struct vmdk {
    struct vmdk_tables *tables;
    struct vmdk_sesparse *sesparse;
    struct vmdk_extents *extents;
    size_t window_bytes; /* most bytes of a window on grain tables */
    struct vmdk_cid cid, parent_cid;
};

#endif
