/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A format driver: one static struct at the foot of its file, one row in formats.c. A driver knows
 * how its format is recognised, reads its headers, and answers what lies at an offset of the
 * virtual disk. NULL: does not apply.
 */
#ifndef FORMATS_FORMAT_H
#define FORMATS_FORMAT_H

#include "extents.h"
#include "image.h"

enum anchor { HEAD, TAIL };

/*
 * Bytes that mark a format. HEAD: at offset from the start of the file; TAIL: offset bytes before
 * its end. A length of 0 matches every file (then probe decides): for formats that are recognised
 * by text.
 */
struct signature {
    enum anchor anchor;
    uint32_t offset;
    const char *magic;
    uint32_t length;
};

/*
 * The largest disk that qemu opens, 2^63 - 2^30 bytes, in any format: sizes rounded up to whatever
 * unit still fit in 63 bits.
 */
#define DISK_BYTES_MAX ((UINT64_C(1) << 63) - (UINT64_C(1) << 30))

enum { FORMAT_SIGNATURES = 4, REASON_BYTES = 160 };

/* Why a signature that matches was not taken, in words. */
struct reason {
    char words[REASON_BYTES];
};

/* Something that an image names outside itself. Never opened here. */
struct reference {
    const char *kind; /* "backing file", "data file", "extent", "parent" */
    const char *path; /* escaped for printing */
};

/* An open image: what the headers say. Lives as long as the session img. */
struct disk {
    struct image *img;
    const struct format_driver *driver;
    uint64_t virtual_size;
    const char *subformat; /* NULL: does not apply */
    const struct reference
        *below; /* what an EXTENT_HOLE asks; NULL: nothing below, it reads as zeros */
    const struct reference
        *beside; /* holds guest bytes that this file lacks: no extents without it; NULL: none */
    void *state; /* the driver's own */
};

struct format_driver {
    const char *name; /* what `qemu-img -f` takes */
    struct signature signatures[FORMAT_SIGNATURES];

    /*
     * Whether the file with that signature is of this format. 1: yes; 0: no, and why says why not
     * (nothing said: it only looked like a match); -errno. NULL: the signature is enough.
     */
    int (*probe)(struct image *img, const struct signature *signature, struct reason *why);

    /* Reads the headers of disk->img and fills the disk in. Reads no tables. 0 or -errno, said. */
    int (*open)(struct disk *disk);

    /*
     * What lies at offset (< virtual_size): fills kind, host, flags, and length > 0 with the
     * longest run it can tell cheaply (it may reach past the virtual size: the stream clips). want:
     * EXTENTS_WANT_HOST, or runs whose host offsets are not contiguous may be told as one. 0 or
     * -errno, said.
     */
    int (*extent_at)(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

    /*
     * Bytes that the image's persistent bitmaps will take in a qcow2 of that cluster size. 1:
     * *bytes is set; 0: `qemu-img measure` prints no such line for this image; -errno, said.
     */
    int (*bitmaps_size)(struct disk *disk, uint64_t cluster_size, uint64_t *bytes);
};

/* Opens img as driver's format. disk is filled in also on failure as far as known. 0 or -errno,
 * said. */
int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver);

/* All formats, in the order in which they are asked; raw, which takes everything, is the last. Ends
 * with NULL. */
extern const struct format_driver *const formats[];

/* The driver of that name, or NULL. */
const struct format_driver *format_by_name(const char *name);

extern const struct format_driver qcow2_driver, raw_driver, vhd_driver, vhdx_driver, vmdk_driver;

#endif
