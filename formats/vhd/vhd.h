/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the VHD driver share: where the fields stand, and the footer that counts. */
#ifndef FORMATS_VHD_VHD_H
#define FORMATS_VHD_VHD_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/fields.h"
#include "formats/image.h"

struct disk;
struct extent;
struct reason;
struct signature;

enum { /* "Hard Disk Footer Format" */
       FOOTER_BYTES = 512,
       FOOTER_FEATURES = 8,
       FOOTER_FILE_FORMAT_VERSION = 12,
       FOOTER_DATA_OFFSET = 16,
       FOOTER_TIME_STAMP = 24,
       FOOTER_CREATOR_APPLICATION = 28,
       FOOTER_CREATOR_VERSION = 32,
       FOOTER_CREATOR_HOST_OS = 36,
       FOOTER_ORIGINAL_SIZE = 40,
       FOOTER_CURRENT_SIZE = 48,
       FOOTER_CYLINDERS = 56,
       FOOTER_HEADS = 58,
       FOOTER_SECTORS_PER_TRACK = 59,
       FOOTER_DISK_TYPE = 60,
       FOOTER_CHECKSUM = 64,
       FOOTER_UNIQUE_ID = 68,
       FOOTER_SAVED_STATE = 84,

       TYPE_FIXED = 2,
       TYPE_DYNAMIC = 3,
       TYPE_DIFFERENCING = 4,
};

enum { /* "Dynamic Disk Header Format" */
       DYNAMIC_BYTES = 1024,
       DYNAMIC_DATA_OFFSET = 8,
       DYNAMIC_TABLE_OFFSET = 16,
       DYNAMIC_HEADER_VERSION = 24,
       DYNAMIC_MAX_TABLE_ENTRIES = 28,
       DYNAMIC_BLOCK_SIZE = 32,
       DYNAMIC_CHECKSUM = 36,
       DYNAMIC_PARENT_UNIQUE_ID = 40,
       DYNAMIC_PARENT_TIME_STAMP = 56,
       DYNAMIC_PARENT_UNICODE_NAME = 64,
       DYNAMIC_PARENT_NAME_BYTES = 512,
       DYNAMIC_PARENT_LOCATORS = 576,
       PARENT_LOCATOR_BYTES = 24,
       PARENT_LOCATORS = 8,
};

enum { /* of an entry of the parent locators */
       LOCATOR_PLATFORM_CODE = 0,
       LOCATOR_PLATFORM_DATA_SPACE = 4,
       LOCATOR_PLATFORM_DATA_LENGTH = 8,
       LOCATOR_PLATFORM_DATA_OFFSET = 16,
};

enum { VHD_SECTOR = 512 };

#define FOOTER_COOKIE "conectix"

/* 2040 GiB, where the 32-bit sector numbers of the BAT end: the limit of qemu and of Windows. */
#define VHD_SECTORS_MAX UINT64_C(0xff000000)

/* The largest geometry. A disk that has it may be larger: only the current size is exact. */
#define VHD_GEOMETRY_SECTORS_MAX (UINT64_C(65535) * 16 * 255)

/* An open dynamic or differencing disk. */
struct vhd {
    uint64_t block_size;
    uint64_t bitmap_size; /* of the sector bitmap before each block */
    uint64_t
        last_block_sectors; /* the largest BAT entry whose block ends in the file, if any_block */
    bool any_block;
    struct image_table bat;

    /* Of a differencing disk. */
    struct image_window bitmap; /* of the last block that was asked for */
    const uint8_t *parent_unique_id;
    uint32_t parent_time_stamp;
};

struct vhd_footer {
    uint64_t offset;
    const uint8_t *bytes; /* FOOTER_BYTES */
    bool leading;         /* the copy at the start of a dynamic or differencing disk */
};

bool vhd_footer_has_cookie(const uint8_t *footer);

/* What the checksum of that footer has to be. */
uint32_t vhd_footer_checksum(const uint8_t *footer);

/* Sectors that its geometry makes. */
uint64_t vhd_geometry_sectors(const uint8_t *footer);

/* The sectors of the disk, as we have it (qemu: 0) or as that qemu has it. */
uint64_t vhd_footer_sectors(const uint8_t *footer, unsigned qemu);

int vhd_probe(struct image *img, const struct signature *signature, struct reason *why);

/*
 * The footer that counts: the leading copy if that is one, else the last; and the last one, or
 * where it would be. Neither need have a cookie. 0 or -errno.
 */
int vhd_find_footer(struct image *img, struct vhd_footer *footer);
int vhd_find_last_footer(struct image *img, struct vhd_footer *footer);

/* Whether an entry of the parent locators, of PARENT_LOCATOR_BYTES, is not all zeros. */
bool vhd_locator_is_used(const uint8_t *entry);

/* Lists the references of a differencing disk and keeps what tells its parent, from its dynamic
 * header, which lives as long as the session. 0 or -errno, said. */
int vhd_read_parent(struct disk *disk, struct vhd *vhd, const uint8_t *header);

/* Begins the block allocation table that the dynamic header told. 0 or -errno, said. */
int vhd_open_blocks(struct disk *disk, struct vhd *vhd);

/* As the driver's own. */
int vhd_block_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);
int vhd_check_parent(struct disk *disk, struct disk *parent);

extern const struct header_section vhd_sections[];

#endif
