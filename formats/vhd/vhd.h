/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the VHD driver share: limits, fields, the open image, functions. */
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

enum { /* an entry of the parent locators */
       LOCATOR_PLATFORM_CODE = 0,
       LOCATOR_PLATFORM_DATA_SPACE = 4,
       LOCATOR_PLATFORM_DATA_LENGTH = 8,
       LOCATOR_PLATFORM_DATA_OFFSET = 16,
};

enum { VHD_BAT_ENTRY_BYTES = 4 };

#define FOOTER_COOKIE "conectix"

/* 2040 GiB, where the 32-bit sector numbers of the BAT end: the limit of qemu and of Windows. */
#define VHD_SECTORS_MAX UINT64_C(0xff000000)

/* The largest geometry. A disk that has it may be larger: only the current size is exact. */
#define VHD_GEOMETRY_SECTORS_MAX (UINT64_C(65535) * 16 * 255)

/* An open dynamic or differencing disk. */
struct unit_map;

struct vhd {
    uint64_t block_size;
    uint64_t bitmap_size;        /* of the sector bitmap in front of each block, in whole sectors */
    bool has_room;               /* the file is long enough for a block */
    uint64_t last_block_sectors; /* then: the largest BAT entry whose block ends in the file */
    struct image_table bat;

    /* Of a differencing disk. */
    struct image_window bitmap; /* of the block that was used last, or a piece of it */
    const uint8_t *parent_unique_id;
    uint32_t parent_time_stamp;
};

struct vhd_footer {
    uint64_t offset;
    const uint8_t *bytes; /* FOOTER_BYTES */
    bool has_cookie;
    bool is_leading; /* the copy at the start of a dynamic or differencing disk */
};

/* The checksum that the bytes of the footer make. */
uint32_t vhd_footer_checksum(const uint8_t *footer);

/* The product of the geometry, in sectors. */
uint64_t vhd_geometry_sectors(const uint8_t *footer);

/* The size of the disk in sectors, by the rule of that version of qemu, or the newest (qemu: 0). */
uint64_t vhd_footer_sectors(const uint8_t *footer, unsigned qemu);

/* probe of the driver. */
int vhd_probe(struct image *img, const struct signature *signature, struct reason *why);

/*
 * The footer that is used: the leading copy if there is one, else the last footer; and the last
 * footer, or where it would be. Without has_cookie the bytes are no footer. 0 or -errno, reported.
 */
int vhd_find_footer(struct image *img, struct vhd_footer *footer);
int vhd_find_last_footer(struct image *img, struct vhd_footer *footer);

/* Whether an entry of the parent locators, of PARENT_LOCATOR_BYTES, is not all zeros. */
bool vhd_locator_is_used(const uint8_t *entry);

/* Adds the references of a differencing disk and keeps the fields that identify its parent. header
 * is its dynamic header, and lives as long as the session. 0 or -errno, reported. */
int vhd_read_parent(struct disk *disk, struct vhd *vhd, const uint8_t *header);

/* Checks that the file holds the block allocation table vhd->bat. 0 or -errno, reported. */
int vhd_open_blocks(struct disk *disk, struct vhd *vhd);

/* extent_at and map_units of the driver, except for fixed disks, and its check_parent. */
int vhd_block_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);
int vhd_map_blocks(struct disk *disk, uint64_t offset, struct unit_map *map);
int vhd_check_parent(struct disk *disk, struct disk *parent);

extern const struct header_section vhd_sections[];

#endif
