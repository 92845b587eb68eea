/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grain directories and grain tables with entries of 4 bytes: those of hosted sparse and of COWD
 * extents. seSparse extents share the window and the limit on walks.
 */
#ifndef FORMATS_VMDK_TABLES_H
#define FORMATS_VMDK_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

struct disk;
struct extent;
struct image;
struct image_window;

/* How the header of an extent describes its tables. */
struct vmdk_layout {
    uint64_t gd_offset;  /* of the grain directory in the file */
    uint64_t gtes;       /* entries of a grain table */
    uint64_t grain_size; /* bytes, a power of two */
    bool zeroed_grains;  /* entry 1 stands for a grain of zeros */
    bool compressed;
    bool markers; /* a compressed grain follows a marker */
};

/* Progress of a walk over grain tables. */
struct vmdk_walk {
    uint64_t bytes; /* of tables read since the walk last went backwards */
    uint64_t next;  /* number of the next table */
};

/*
 * Counts tables that a walk reads: so many from number table on, of so many bytes together. Fails
 * when the tables since the walk last went backwards take more bytes than the file and 64 MiB:
 * directory entries then name the same tables over and over, and a small file would keep a walk
 * busy for hours. Tables that each have sectors of their own never reach the limit. 0 or -EFBIG,
 * reported.
 */
int vmdk_walk_charge(struct image *img, struct vmdk_walk *walk, uint64_t table, uint64_t tables,
                     uint64_t bytes);

/* Allocates a window for so many bytes of tables, at most the image's share, unless it has been
 * allocated. 0 or -ENOMEM, reported. */
int vmdk_window_begin(struct disk *disk, struct image_window *w, uint64_t bytes);

/* Prepares the tables of disk, whose virtual_size is set; reads none. 0 or -errno, reported. */
int vmdk_tables_begin(struct disk *disk, const struct vmdk_layout *layout);

/* As extent_at and decode of the driver. */
int vmdk_tables_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);
int vmdk_tables_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

#endif
