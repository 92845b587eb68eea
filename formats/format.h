/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A format driver: one static struct at the foot of its file, one row in formats.c. A driver knows
 * how its format is recognised, reads its headers, and answers what lies at an offset of the
 * virtual disk. NULL: does not apply.
 */
#ifndef FORMATS_FORMAT_H
#define FORMATS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct disk;
struct extent;
struct header_section;
struct image;

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

enum {
    FORMAT_SIGNATURES = 4,
    REASON_BYTES = 160,
};

/* Why a signature that matches was not taken, in words. */
struct reason {
    char words[REASON_BYTES];
};

/* A version of qemu, for comparison. */
#define QEMU_VERSION(major, minor) ((major)*1000U + (minor))

/* How the user wants an image to be taken. All zero: as it is. */
struct open_options {
    const struct format_driver *format; /* NULL: detect it */
    unsigned qemu;    /* QEMU_VERSION(): the numbers of that qemu, where ours are others; 0: ours */
    const char *name; /* last part of the image's path; NULL: not known */
    bool alone;       /* backing=none: what the image lacks is not looked for below it */
    bool any_parent;  /* what is below need not be what the image says that it is */
};

struct format_driver {
    const char *name; /* what `qemu-img -f` takes */
    struct signature signatures[FORMAT_SIGNATURES];
    const struct header_section *sections; /* header/: ends with NULL fields */
    bool opaque_to_qemu;                   /* qemu takes all of the disk for data */

    /*
     * Whether the file with that signature is of this format. 1: yes; 0: no, and why says why not
     * (nothing said: it only looked like a match); -errno. NULL: the signature is enough.
     */
    int (*probe)(struct image *img, const struct signature *signature, struct reason *why);

    /*
     * Whether a file of that name is a part of an image of this format, with no mark in its bytes:
     * asked where nothing else was found. It stays raw; why says what its name tells. NULL: the
     * format has no such parts.
     */
    bool (*is_extent_file_name)(const char *name, struct reason *why);

    /* Sets *offset to where the mark is that probe found by searching, whether or not it took it;
     * without one leaves it. 0 or -errno, said. NULL: marks are where their signatures say. */
    int (*locate)(struct image *img, uint64_t *offset);

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
     * Guest bytes [offset, offset + length), which lie in one extent that extent_at told as DATA
     * and COMPRESSED. 0 or -errno (EUCLEAN: the stream is broken; ENOTSUP: of a kind that is not
     * handled), said.
     */
    int (*decode)(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

    /*
     * Whether parent, which is open, is the image that this one was made on: of the same format,
     * with the identity that this one tells. 0 or EUCLEAN, said. NULL: nothing tells.
     */
    int (*check_parent)(struct disk *disk, struct disk *parent);

    /*
     * Bytes that the image's persistent bitmaps will take in a qcow2 of that cluster size. 1:
     * *bytes is set; 0: `qemu-img measure` prints no such line for this image; -errno, said.
     */
    int (*bitmaps_size)(struct disk *disk, uint64_t cluster_size, uint64_t *bytes);
};

/* All formats, in the order in which they are asked; raw, which takes everything, is the last. Ends
 * with NULL. */
extern const struct format_driver *const formats[];

/* The driver of that name, or NULL. */
const struct format_driver *format_by_name(const char *name);

/*
 * Takes one option as the user writes it: format=FMT (or auto), qemu=MAJOR.MINOR, backing=none,
 * any-parent. 1; 0: it is none of these; -EINVAL: why says what is wrong with it.
 */
int open_options_take(struct open_options *options, const char *option, struct reason *why);

/* Writes the options in force in the same words to out, with commas between them. */
void open_options_describe(const struct open_options *options, FILE *out);

extern const struct format_driver bochs_driver, cloop_driver, dmg_driver, luks_driver,
    parallels_driver, qcow_driver, qcow2_driver, qed_driver, raw_driver, vdi_driver, vhd_driver,
    vhdx_driver, vmdk_driver;

#endif
