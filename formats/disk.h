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
 * The largest disk that qemu opens in any format, 2^63 - 2^30 bytes. Sizes up to this still fit in
 * 63 bits when they are rounded up to any unit.
 */
#define DISK_BYTES_MAX ((UINT64_C(1) << 63) - (UINT64_C(1) << 30))

struct data_files; /* disk.c */

/* An open image. It lives as long as the session img. */
struct disk {
    struct image *img;
    const struct format_driver *driver;
    unsigned qemu; /* as in the options */
    uint64_t virtual_size;
    const char *subformat; /* NULL: does not apply */
    bool lacks_tables;     /* the file ends before the end of a table, which is reported */
    bool is_encrypted;     /* guest bytes need a key, which is never asked for */
    /* qemu reports the allocation of this image in runs that end at multiples of this. 0: a run may
     * be as long as the extent. */
    uint64_t qemu_run_unit;
    void *state; /* the driver's own */

    /* What the headers name, in the image's order. */
    struct reference *references;
    size_t references_count, references_room;
    /* What fills holes (EXTENT_HOLE). NULL: there is no backing image, and holes read as zeros. */
    const struct reference *backing_reference;

    /* What is granted of that. Reading a hole fails if the backing image is not open. */
    struct disk *backing;    /* the backing image; NULL: it is not open */
    int backing_error;       /* why not, reported; 0: not granted, or missing */
    bool is_backing_missing; /* it is granted, but its file could not be opened */
    bool alone;              /* it is left out: without host offsets, holes are returned as such */
    const struct granted *granted; /* set by who opened the disk; NULL: nothing is granted */
    struct data_files *data_files;
};

/*
 * Opens img as driver's format. Of the options (NULL: none) qemu and alone are kept. If it fails,
 * disk is filled in as far as known. Returns 0 or -errno, reported.
 */
int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver,
              const struct open_options *options);

/*
 * Makes backing, which is open, the backing image of disk. It must be the parent that disk was made
 * on, unless the options (NULL: none) accept any; if it is not, reading holes of disk fails.
 * Returns 0 or -EUCLEAN, reported.
 */
int disk_set_backing(struct disk *disk, struct disk *backing, const struct open_options *options);

/*
 * Adds a reference. The first one with REFERENCE_BACKING becomes the backing reference. What it
 * points to must live as long as the session. Returns 0 or -errno (ENOMEM, EFBIG), reported.
 */
int disk_add_reference(struct disk *disk, const struct reference *reference);

/*
 * Adds a reference whose path is length bytes at offset. NULs at the end are dropped. As in qemu,
 * nothing is added if the path is empty or begins with a NUL. Returns 0 or -errno, reported.
 */
int disk_read_reference(struct disk *disk, struct reference reference, uint64_t offset,
                        size_t length);

/*
 * Opens the file of a reference with REFERENCE_DATA, unless it is open. *state is where the driver
 * keeps what it knows of the file, in the memory of *img; NULL at first. Both are valid until the
 * next call for another file. Returns 0 or -errno, reported (EACCES: not granted; EIO: it cannot be
 * opened).
 */
int disk_data_file(struct disk *disk, size_t reference, struct image **img, void ***state);

/* The disk of that layer; 0: disk itself. */
struct disk *disk_layer(struct disk *disk, unsigned layer);

/* Reports that guest bytes are in the file of a reference, which is not granted or is missing.
 * Returns -EACCES or -EIO. */
int disk_refuse(const struct disk *disk, const struct reference *reference, bool is_missing);

/*
 * Reads guest bytes [offset, offset + length); beyond the end of the disk they are zeros. Returns 0
 * or -errno, reported (EACCES: in a file that is not granted; ENOTSUP: encrypted; EIO: past the end
 * of the file).
 */
int disk_read(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

/*
 * Reads the first length bytes of an extent of the disk's stream, which was begun with
 * EXTENTS_WANT_HOST. As disk_read().
 */
int disk_read_extent(struct disk *disk, const struct extent *e, uint8_t *bytes, size_t length);

/*
 * Reports, once per disk, a table that ends past the end of the file: WHAT (with its article),
 * length bytes at offset. As in qemu, missing entries count as empty.
 */
void disk_note_table(struct disk *disk, uint64_t offset, uint64_t length, const char *what);

/* Checks the sum of the host bytes that extents refer to: more than the files hold, and some slack,
 * means that the same bytes stand for many places of the disk. Returns 0 or -EFBIG, reported. */
int disk_check_repeats(const struct disk *disk, uint64_t bytes);

#endif
