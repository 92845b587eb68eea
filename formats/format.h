/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Format drivers. A driver is a static struct at the end of its file and a row in formats.c. It
 * recognises its format, reads the headers, and finds the extent at an offset of the virtual disk.
 * A member that is NULL does not apply to the format.
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
struct unit_map;

enum anchor { HEAD, TAIL };

/*
 * The signature of a format. HEAD: at offset from the start of the file; TAIL: offset bytes before
 * its end. A length of 0 matches every file, for formats that only probe can recognise.
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

/* Why a signature was not accepted, an option is refused, and the like: a phrase for messages. */
struct reason {
    char words[REASON_BYTES];
};

/* A version of qemu, for comparison. */
#define QEMU_VERSION(major, minor) ((major)*1000U + (minor))

/* How the user wants an image to be opened. All zero: no options. */
struct open_options {
    const struct format_driver *format; /* NULL: detect it */
    unsigned qemu; /* QEMU_VERSION(): report what that qemu reports, where it differs; 0: do not */
    const char *name; /* last component of the image's path; NULL: not known */
    bool alone;       /* backing=none: without the backing image */
    bool any_parent;  /* accept a parent whose identity does not match */
};

struct format_driver {
    const char *name; /* what `qemu-img -f` takes */
    struct signature signatures[FORMAT_SIGNATURES];
    const struct header_section *sections; /* shown in header/; ends with NULL fields */
    bool opaque_to_qemu;                   /* to qemu, all of the disk is data */

    /*
     * Whether the file with that signature is of this format. Returns 1; 0: no, and why is the
     * reason (empty: the signature does not even match); -errno, reported. NULL: the signature is
     * enough.
     */
    int (*probe)(struct image *img, const struct signature *signature, struct reason *why);

    /*
     * Whether a file of that name looks like an extent file of this format, which has no signature.
     * Asked if no format was found. The file remains raw; why says what it seems to be.
     */
    bool (*is_extent_file_name)(const char *name, struct reason *why);

    /* For a signature that probe has to search for: sets *offset to where it is, whether or not
     * probe accepted it; leaves *offset if there is none. Returns 0 or -errno, reported. NULL:
     * signatures are at the offset in the table. */
    int (*locate)(struct image *img, uint64_t *offset);

    /* Reads the headers of disk->img, but no tables, and fills in disk. Returns 0 or -errno,
     * reported. */
    int (*open)(struct disk *disk);

    /*
     * Finds the extent at offset (less than virtual_size): sets kind, host, flags, and length to
     * the longest run that can be found cheaply, at least 1; it may extend past the virtual size.
     * Without EXTENTS_WANT_HOST in want, a run need not be contiguous in the file. Returns 0 or
     * -errno, reported.
     */
    int (*extent_at)(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent);

    /*
     * Classifies units in bulk (unit-map.h): sets unit, and the bits of at least one unit from
     * offset on. Returns 1; 0: extent_at has to be asked at offset; -errno: as it, which will
     * report it again. Only for disks without a backing reference. NULL: there are no tables.
     */
    int (*map_units)(struct disk *disk, uint64_t offset, struct unit_map *map);

    /*
     * Decompresses guest bytes [offset, offset + length), all in one extent that extent_at returned
     * as DATA and COMPRESSED. Returns 0 or -errno (EUCLEAN: the stream is damaged; ENOTSUP: its
     * compression is not supported), reported.
     */
    int (*decode)(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length);

    /*
     * Checks that parent, which is open, is the image that this one was made on: of the same
     * format, and with the identity that this one names. Returns 0 or -EUCLEAN, reported. NULL:
     * images of the format do not identify their parent.
     */
    int (*check_parent)(struct disk *disk, struct disk *parent);

    /*
     * Sets *bytes to what the image's persistent bitmaps will occupy in a qcow2 image of that
     * cluster size. Returns 1; 0: `qemu-img measure` prints no such line for this image; -errno,
     * reported.
     */
    int (*bitmaps_size)(struct disk *disk, uint64_t cluster_size, uint64_t *bytes);
};

/* All formats, in the order in which they are probed; the last is raw, which accepts every file.
 * Ends with NULL. */
extern const struct format_driver *const formats[];

/* The driver of that name, or NULL. */
const struct format_driver *format_by_name(const char *name);

/*
 * Parses one option of the command line: format=FMT (or auto), qemu=MAJOR.MINOR, backing=none,
 * any-parent. Returns 1; 0: it is none of these; -EINVAL: why is the reason.
 */
int open_options_take(struct open_options *options, const char *option, struct reason *why);

/* Writes the options in force to out, as on the command line, separated by commas. */
void open_options_describe(const struct open_options *options, FILE *out);

extern const struct format_driver bochs_driver, cloop_driver, dmg_driver, luks_driver,
    parallels_driver, qcow_driver, qcow2_driver, qed_driver, raw_driver, vdi_driver, vhd_driver,
    vhdx_driver, vmdk_driver;

#endif
