/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A format driver: one static struct at the foot of its file, one row in formats.c. A driver knows
 * how its format is recognised, reads its headers, and answers what lies at an offset of the
 * virtual disk. NULL: does not apply.
 */
#ifndef FORMATS_FORMAT_H
#define FORMATS_FORMAT_H

#include <stdio.h>

#include "extents.h"
#include "fields.h"
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

enum {
    FORMAT_SIGNATURES = 4,
    REASON_BYTES = 160,
    REFERENCES_MAX = 1 << 16, /* ours: of one image; each is shown as a directory */
};

/* Why a signature that matches was not taken, in words. */
struct reason {
    char words[REASON_BYTES];
};

enum reference_role {
    REFERENCE_BELOW, /* an image whose bytes show where this one has none */
    REFERENCE_PART,  /* a file that holds bytes of this image itself */
    REFERENCE_ASIDE, /* a file that no guest byte comes from */
};

/* Something that an image names outside itself: data, which the headers tell. Never opened here. */
struct reference {
    enum reference_role role;
    const char *kind;   /* "backing file", "data file", "extent", "parent", "change tracking" */
    const char *source; /* the field, key or line that names it */
    const char *format; /* as the image tells it: what `qemu-img -f` takes, or not; NULL: it does
                           not tell */
    const char *path;   /* as it stands in the image, in UTF-8 where that has UTF-16; not terminated
                           and of any bytes; "": not told */
    size_t length;      /* of path */
    bool is_windows;    /* the path is one of Windows: parts are divided by backslashes */
};

/* The files that the references of an image lead to, as far as they were granted. */
struct granted {
    void *context;
    /* The number of a reference's file, less than the count of references: the same for two that
     * are the same file. 0; -EACCES: it is not granted; -ENOENT: it is, but could not be opened. */
    int (*find)(void *context, size_t reference, size_t *number);
    /* The file itself, of which takes_fd says whether it is to be closed by who asked. 0 or -errno.
     */
    int (*open)(void *context, size_t reference, int *fd, bool *takes_fd);
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

struct parts; /* disk.c */

/* An open image: what the headers say. Lives as long as the session img. */
struct disk {
    struct image *img;
    const struct format_driver *driver;
    unsigned qemu; /* as in the options */
    uint64_t virtual_size;
    const char *subformat; /* NULL: does not apply */
    bool lacks_tables;     /* the file ends before some, which was said */
    bool is_encrypted;     /* guest bytes cannot be read without a key, which we never ask for */
    uint64_t told_at_once; /* qemu tells at most so many guest bytes of this image at once, between
                              multiples of them; 0: as many as an extent has */
    void *state;           /* the driver's own */

    /* What the headers name, in the image's order. */
    struct reference *references;
    size_t references_count, references_room;
    const struct reference *below; /* what an EXTENT_HOLE asks; NULL: nothing, it reads as zeros */

    /* What was granted of them. */
    struct disk *lower;            /* the image below; NULL: it is not at hand */
    int lower_error;               /* then what a hole says, said; 0: that it is not granted */
    bool lower_missing;            /* or that it was granted, but could not be opened */
    bool alone;                    /* a hole is a hole, to who does not read */
    const struct granted *granted; /* set by who opened it; NULL: nothing was */
    struct parts *parts;
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
    bool (*is_part_name)(const char *name, struct reason *why);

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

/*
 * Opens img as driver's format; options: its qemu and alone are kept, NULL is none. disk is filled
 * in also on failure as far as known. 0 or -errno, said.
 */
int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver,
              const struct open_options *options);

/*
 * Puts lower, which is open, below disk. Unless the options take any parent, it must be the one
 * that disk was made on: if not, holes of disk say so. NULL options are none. 0 or EUCLEAN, said.
 */
int disk_put_below(struct disk *disk, struct disk *lower, const struct open_options *options);

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
int disk_part(struct disk *disk, size_t reference, struct image **img, void ***state);

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
int disk_check_told(const struct disk *disk, uint64_t told);

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
