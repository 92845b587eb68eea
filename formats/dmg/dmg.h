/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the dmg driver share: where the chunks of a disk are listed (a property list,
 * or an older resource fork), read as byte strings one after the other, and the chunks in them.
 * Places in the lists are plain values: a copy of one is a place to come back to.
 */
#ifndef FORMATS_DMG_DMG_H
#define FORMATS_DMG_DMG_H

#include "formats/format.h"

enum {
    DMG_SECTOR = 512,
    DMG_LIST_BYTES_MAX = 16 << 20, /* qemu's limit for property lists; that of resource forks by
                                      their own format, which has offsets of 24 bits */
    DMG_PLIST_DEPTH_MAX = 32,      /* a limit of ours; a list of blocks is 6 deep */
};

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

/* A place in a property list. */
struct dmg_plist {
    struct image *img;
    struct image_window *window;
    uint64_t at, end; /* the next byte; behind the last one */
    bool is_begun;    /* its outermost element has been seen */
    bool is_in_data;  /* in the text of a data element */
    uint8_t depth;
    uint8_t elements[DMG_PLIST_DEPTH_MAX]; /* those that are open */
    uint8_t keys[DMG_PLIST_DEPTH_MAX];     /* the last key of those that are dictionaries */
    uint32_t bits;                         /* of base64, not yet a byte */
    uint8_t bit_count, digits, padding;    /* digits: modulo 4 */
};

void dmg_plist_begin(struct dmg_plist *p, struct image *img, struct image_window *window,
                     uint64_t offset, uint64_t length);

/* Goes to the next data element; is_blkx: it is the Data of an entry of the array blkx. 1; 0: there
 * are no more; -errno, said. */
int dmg_plist_next(struct dmg_plist *p, bool *is_blkx);

/* Reads the element's bytes on: *got is less than wanted where they end. 0 or -errno, said. */
int dmg_plist_read(struct dmg_plist *p, uint8_t *bytes, size_t wanted, size_t *got);

/* A place in a resource fork. */
struct dmg_fork {
    struct image *img;
    struct image_window *window;
    uint64_t at, end; /* of the resource data */
    uint64_t left;    /* bytes of this resource */
};

/* The same for resources. begin reads the fork's header: 0 or -errno, said. */
int dmg_fork_begin(struct dmg_fork *f, struct image *img, struct image_window *window,
                   uint64_t offset, uint64_t length);
int dmg_fork_next(struct dmg_fork *f);
int dmg_fork_read(struct dmg_fork *f, uint8_t *bytes, size_t wanted, size_t *got);

/* A place in the block tables. */
struct dmg_cursor {
    bool is_fork;
    struct dmg_plist plist;
    struct dmg_fork fork;
    uint32_t entries;     /* of this table that are still to come */
    bool is_terminated;   /* this table had its terminator */
    uint64_t sector;      /* to be added to the sectors of this table's entries */
    uint64_t data_offset; /* and to their offsets */
    uint64_t number;      /* entries before this place */
};

struct dmg_chunk {
    uint64_t number; /* of its entry, in the whole list */
    uint32_t type;
    uint64_t sector, sectors; /* on the virtual disk */
    uint64_t offset, length;  /* in the file */
};

/* A place from which chunks are found without reading all before them. */
struct dmg_checkpoint {
    uint64_t sector; /* of the chunk there */
    struct dmg_cursor cursor;
};

struct dmg {
    struct image_window window;
    uint64_t list_offset, list_length;
    uint64_t data_fork_offset;
    struct dmg_cursor start, cursor; /* cursor: behind chunk */
    struct dmg_chunk chunk;          /* the last one that was asked for; of no sectors: none yet */
    struct dmg_checkpoint *checkpoints;
    size_t checkpoint_count;
    int geometry_error; /* chunks are not in order, or beyond the disk */
};

/*
 * Reads all chunks: checks them, sets the disk's subformat, and keeps checkpoints. What is wrong
 * with the sectors that they take is said and left in geometry_error: only guest bytes depend on
 * it. 0 or -errno, said.
 */
int dmg_blocks_open(struct disk *disk, bool is_fork);

/* The chunk that holds that sector of the virtual disk, which is then dmg->chunk. 0 or -errno,
 * said. */
int dmg_blocks_find(struct disk *disk, uint64_t sector);

#endif
