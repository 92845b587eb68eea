/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VMDK driver share. vmdk.c is the driver, with hosted sparse extents and
 * their streams; vmdk-cowd.c and vmdk-sesparse.c are the other kinds of sparse extents;
 * vmdk-tables.c reads the grain tables of the first and the second; vmdk-descriptor.c has the text
 * that describes a disk, on its own or inside an extent; vmdk-lines.c takes its lines of extents;
 * vmdk-extents.c is a disk whose extents are other files; vmdk-fields.c shows the headers of all.
 */
#ifndef FORMATS_VMDK_VMDK_H
#define FORMATS_VMDK_VMDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/format.h"
#include "text.h"

enum {
    VMDK_SECTOR = 512,

    /* 1 GiB. qemu's limit; usual is 64 KiB. */
    VMDK_GRAIN_SECTORS_MAX = 1 << 21,

    /* Entries of a directory: qemu's limit, 128 MiB of them. At usual grains they span 1 PiB. */
    VMDK_GD_ENTRIES_MAX = 32 << 20,

    VMDK_NAME_MAX = 4095, /* bytes of a file's: the longest path that Linux takes */
};

#define VMDK_MAGIC_HOSTED   "KDMV"
#define VMDK_MAGIC_COWD     "COWD"
#define VMDK_MAGIC_SESPARSE "\xbe\xba\xfe\xca\0\0\0\0"

/* gdOffset: the directory, and the header that counts, are at the end. */
#define VMDK_GD_AT_END UINT64_MAX

struct vmdk_tables;
struct vmdk_sesparse;
struct vmdk_extents;

/* Content ID: changes with the content, so that a child can tell its parent. */
struct vmdk_cid {
    bool is_told;
    uint32_t value;
};

/* disk->state. Of the pointers one, or none: the disk is all zeros. */
struct vmdk {
    struct vmdk_tables *tables;
    struct vmdk_sesparse *sesparse;
    struct vmdk_extents *extents;
    size_t window_bytes; /* of a window on grain tables, at most */
    struct vmdk_cid cid, parent_cid;
};

/* How far a walk over tables has come, so that it can be ended. */
struct vmdk_walk {
    uint64_t bytes; /* of tables looked at since it last went backwards */
    uint64_t next;  /* the next table */
};

/*
 * Refuses a walk in which tables together take more bytes than the file and some: entries of the
 * directory that name the same few tables, for which a small file could keep us busy for hours.
 * Tables of their own never come to that, as each begins in a sector of its own. Ends every walk,
 * however often the directory repeats itself. The walk now takes so many tables from number table
 * on, of so many bytes. 0 or EFBIG, said.
 */
int vmdk_walk_charge(struct image *img, struct vmdk_walk *walk, uint64_t table, uint64_t tables,
                     uint64_t bytes);

/* An extent with grain tables of entries of 4 bytes. */
struct vmdk_layout {
    uint64_t gd_offset;  /* of the grain directory, in the file */
    uint64_t gtes;       /* entries of a grain table */
    uint64_t grain_size; /* a power of two */
    bool zeroed_grains;  /* entry 1 is a grain of zeros */
    bool compressed;
    bool markers; /* a compressed grain has a marker in front */
};

/* Begins a window on tables of so many bytes, unless it has begun. 0 or -ENOMEM, said. */
int vmdk_window_begin(struct disk *disk, struct image_window *w, uint64_t bytes);

/* The state for reading tables; reads none. 0 or -errno, said. */
int vmdk_tables_begin(struct disk *disk, const struct vmdk_layout *layout);
int vmdk_tables_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);
int vmdk_tables_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

/* Where the header in the footer is, if gdOffset says that there is one; false: the file is too
 * short. */
bool vmdk_footer_place(const struct image *img, uint64_t *offset);

/*
 * Opens a hosted sparse extent of which head is the beginning: its header and state, nothing of a
 * descriptor.
 */
int vmdk_hosted_open(struct disk *disk, const uint8_t *head);

/* Opens a COWD extent (vmfsSparse) in the same way. */
int vmdk_cowd_open(struct disk *disk, const uint8_t *head);

/* The same for a seSparse extent, which has tables of its own kind. */
int vmdk_sesparse_open(struct disk *disk, const uint8_t *head);
int vmdk_sesparse_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                            struct extent *extent);

enum vmdk_extent_kind {
    VMDK_EXTENT_ZERO,     /* no file */
    VMDK_EXTENT_FLAT,     /* bytes of a file as they are: FLAT, VMFS */
    VMDK_EXTENT_SPARSE,   /* hosted or COWD: SPARSE, VMFSSPARSE */
    VMDK_EXTENT_SESPARSE, /* SESPARSE */
    VMDK_EXTENT_OTHER,    /* of which no bytes are read */
};

/* What a line of a descriptor adds to the disk. There may be tens of thousands. */
struct vmdk_extent {
    uint64_t start, length; /* guest bytes */
    uint64_t offset;        /* of a flat one, in its file */
    uint32_t reference;     /* the number of that file's */
    enum vmdk_extent_kind kind;
};

/* Adds an extent of that length, which must fit, to the end of the disk. 0 or -errno, said. */
int vmdk_extents_add(struct disk *disk, const struct vmdk_extent *extent);

/*
 * Adds the extents of the text's lines. as_qemu: those that can be written to alone count, and are
 * in files; else by the specification every extent does. 0 or -errno, said.
 */
int vmdk_lines_add(struct disk *disk, struct vmdk_text text, bool as_qemu);

int vmdk_extents_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                           struct extent *extent);
int vmdk_extents_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

/* Whether the head of a file begins a descriptor. 1 or 0; why says why not if it looks like one. */
int vmdk_descriptor_probe(const uint8_t *head, struct reason *why);

/*
 * The descriptor inside an extent: at offset_sectors, for size_sectors if that is not 0. *text is
 * empty if none is there, and *usual is what qemu looks at, which is what stands behind the header,
 * whatever that says. 0 or -errno, said.
 */
int vmdk_embedded_read(struct image *img, uint64_t offset_sectors, uint64_t size_sectors,
                       struct vmdk_text *text, struct vmdk_text *usual);

/*
 * Tells of the disk what the descriptor inside an extent decides: subformat (stays as it is if it
 * has none), and the parent. EUCLEAN, ENOTSUP, said, if there is no usable descriptor.
 */
int vmdk_embedded_open(struct disk *disk, uint64_t offset_sectors, uint64_t size_sectors);

/* Whether the text describes a disk whose data is in other files, as far as qemu takes it. */
bool vmdk_is_spread(const struct vmdk_text *text);

/* A disk whose data is in other files: subformat, size and all of them. 0 or -errno, said. */
int vmdk_descriptor_open(struct disk *disk, const struct vmdk_text *text);

/* check_parent: by the content IDs of the descriptors. */
int vmdk_check_parent(struct disk *disk, struct disk *parent);

/* Whether a file of that name is a flat extent, which has no mark but that; why says it. */
bool vmdk_is_flat_name(const char *name, struct reason *why);

/* header/ */
extern const struct header_part vmdk_parts[];

#endif
