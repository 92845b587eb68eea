/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block tables of a DMG, which map sectors of the virtual disk to chunks of the file. A
 * property list or a resource fork holds them.
 */
#ifndef FORMATS_DMG_BLOCKS_H
#define FORMATS_DMG_BLOCKS_H

#include "fork.h"
#include "formats/image.h"
#include "plist.h"

struct disk;

/* Types of chunks. */
enum {
    DMG_ZERO = 0,
    DMG_RAW = 1,
    DMG_IGNORE = 2,
    DMG_ADC = 0x80000004,
    DMG_ZLIB = 0x80000005,
    DMG_BZIP2 = 0x80000006,
    DMG_LZFSE = 0x80000007,
    DMG_LZMA = 0x80000008,
    DMG_COMMENT = 0x7ffffffe,
    DMG_TERMINATOR = 0xffffffff,
};

/* A position in the block tables. A plain value: assigning a saved copy returns to its position. */
struct dmg_cursor {
    bool is_fork;
    struct dmg_plist plist;
    struct dmg_fork fork;
    uint32_t entries;     /* of this table that are not yet read */
    bool is_terminated;   /* this table's terminator has been read */
    uint64_t sector;      /* added to the sector numbers of this table's entries */
    uint64_t data_offset; /* added to the data offsets of this table's entries */
    uint64_t number;      /* entries of all tables before this position */
};

struct dmg_chunk {
    uint64_t number; /* index of its entry, counted over all tables */
    uint32_t type;
    uint64_t sector, sectors; /* on the virtual disk */
    uint64_t offset, length;  /* of its data in the file */
};

/* A position from which later chunks are found without reading all earlier ones. */
struct dmg_checkpoint {
    uint64_t sector; /* of the chunk at this position */
    struct dmg_cursor cursor;
};

/* The state of the driver. dmg.c sets the list and data_fork_offset from the trailer. */
struct dmg {
    struct image_window window;
    uint64_t list_offset, list_length; /* of the property list or the resource fork */
    uint64_t data_fork_offset;
    struct dmg_cursor start;
    struct dmg_chunk chunk;   /* the one found last; 0 sectors: none yet */
    struct dmg_cursor cursor; /* the position after it */
    struct dmg_checkpoint *checkpoints;
    size_t checkpoint_count;
    int geometry_error; /* reported: chunks are out of order or beyond the disk; else 0 */
};

/*
 * Reads and checks all chunks of disk->state, sets the disk's subformat, and keeps checkpoints.
 * Wrong positions of chunks on the virtual disk are reported and kept in geometry_error: they fail
 * only what needs guest bytes. Returns 0 or -errno, reported.
 */
int dmg_blocks_open(struct disk *disk, bool is_fork);

/* Makes the chunk that holds this sector of the virtual disk dmg->chunk. Returns 0 or -errno,
 * reported. */
int dmg_blocks_find(struct disk *disk, uint64_t sector);

#endif
