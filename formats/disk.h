/* SPDX-License-Identifier: Apache-2.0 */
/* An open image as a virtual disk, whatever its format. */
#ifndef FORMATS_DISK_H
#define FORMATS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent;
struct format_driver;
struct granted;
struct image;
struct open_options;
struct reference;

/*
 * The largest disk that qemu opens, 2^63 - 2^30 bytes, in any format: sizes rounded up to whatever
 * unit still fit in 63 bits.
 */
#define DISK_BYTES_MAX ((UINT64_C(1) << 63) - (UINT64_C(1) << 30))

struct data_files; /* disk.c */

/* An open image: what the headers say. Lives as long as the session img. */
struct disk {
    struct image *img;
    const struct format_driver *driver;
    unsigned qemu; /* as in the options */
    uint64_t virtual_size;
    const char *subformat;  /* NULL: does not apply */
    bool lacks_tables;      /* the file ends before some, which was said */
    bool is_encrypted;      /* guest bytes cannot be read without a key, which we never ask for */
    uint64_t qemu_run_unit; /* qemu tells at most so many guest bytes of this image at once, between
                              multiples of them; 0: as many as an extent has */
    void *state;            /* the driver's own */

    /* What the headers name, in the image's order. */
    struct reference *references;
    size_t references_count, references_room;
    const struct reference
        *backing_reference; /* what an EXTENT_HOLE asks; NULL: nothing, it reads as zeros */

    /* What was granted of them. */
    struct disk *backing;          /* the image below; NULL: it is not at hand */
    int backing_error;             /* then what a hole says, said; 0: that it is not granted */
    bool is_backing_missing;       /* or that it was granted, but could not be opened */
    bool alone;                    /* a hole is a hole, to who does not read */
    const struct granted *granted; /* set by who opened it; NULL: nothing was */
    struct data_files *data_files;
};

/*
 * Opens img as driver's format; options: its qemu and alone are kept, NULL is none. disk is filled
 * in also on failure as far as known. 0 or -errno, said.
 */
int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver,
              const struct open_options *options);

/*
 * Makes backing, which is open, the backing image of disk. Unless the options take any parent, it
 * must be the one that disk was made on: if not, holes of disk say so. NULL options are none. 0 or
 * EUCLEAN, said.
 */
int disk_set_backing(struct disk *disk, struct disk *backing, const struct open_options *options);

/*
 * Adds a reference; the first that is BELOW is what holes ask. What it points to must live as long
 * as the session. 0 or -ENOMEM, said.
 */
int disk_add_reference(struct disk *disk, const struct reference *reference);

/*
 * Adds a reference whose path is length bytes of text at offset. NULs at its end are dropped; where
 * it begins with one, there is none, as in qemu. 0 or -errno, said.
 */
int disk_read_reference(struct disk *disk, struct reference reference, uint64_t offset,
                        size_t length);

/*
 * The session on the file of a reference that is a PART, and a place where the driver keeps what it
 * knows of it, in that session's memory (NULL at first). Both live until the next question for
 * another part. 0 or -errno, said: EACCES: not granted; EIO: it cannot be opened.
 */
int disk_data_file(struct disk *disk, size_t reference, struct image **img, void ***state);

/* The disk of that layer, 0 for disk itself. */
struct disk *disk_layer(struct disk *disk, unsigned layer);

/* Says that guest bytes are in the file of a reference, which was not granted, or is missing.
 * -EACCES or -EIO. */
int disk_refuse(const struct disk *disk, const struct reference *reference, bool is_missing);

/*
 * Guest bytes [offset, offset + length); beyond the disk's end they are zeros. 0 or -errno, said:
 * EACCES: in a file that is not granted; ENOTSUP: encrypted; EIO: past the end of the file.
 */
int disk_read(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

/*
 * The first length bytes of an extent that the disk's stream told to who wants to know where they
 * stand. As disk_read().
 */
int disk_read_extent(struct disk *disk, const struct extent *e, uint8_t *bytes, size_t length);

/*
 * Says, once, that the file ends before the end of a table, if it does: WHAT (with its article),
 * length bytes at offset. What is not there counts as empty, as in qemu.
 */
void disk_note_table(struct disk *disk, uint64_t offset, uint64_t length, const char *what);

/* 0 if so many bytes of host files may stand for places of the disk, each but for a few for one
 * alone; else -EFBIG, said. */
int disk_check_repeats(const struct disk *disk, uint64_t bytes);

#endif
