// SPDX-License-Identifier: Apache-2.0
/*
 * bochs: growing disks of the Bochs emulator (Bochs, iodev/hdimage/hdimage.h, "redolog"). Little
 * endian.
 *
 * A header, a catalog with an entry for each extent of the disk, and the allocated extents, each
 * preceded by a bitmap of its written sectors. Extents that are not in the catalog, and sectors
 * that are not in the bitmap, read as zeros.
 */
#include <errno.h>
#include <stdio.h>

#include "bytes.h"
#include "checked.h"
#include "disk.h"
#include "extents.h"
#include "fields.h"
#include "format.h"
#include "image.h"

enum {
    HEADER_TYPE = 32,
    HEADER_SUBTYPE = 48,
    HEADER_VERSION = 64,
    HEADER_HEADER = 68,
    HEADER_CATALOG = 72,
    HEADER_BITMAP = 76,
    HEADER_EXTENT = 80,
    HEADER_DISK_V1 = 84, /* version 1 has no timestamp */
    HEADER_TIMESTAMP = 84,
    HEADER_DISK = 88,
    HEADER_BYTES = 512,

    WORD_BYTES = 16, /* of type and subtype */

    /* qemu's limits: those of the largest disk that bximage makes, 8 TiB. */
    CATALOG_MAX = 1 << 20,
    EXTENT_MAX = 8 << 20,

    /* ours: bytes read at once, where bitmaps are close to each other */
    WINDOW_BYTES = 16 << 10,
};

#define MAGIC       "Bochs Virtual HD Image"
#define VERSION_1   UINT32_C(0x10000)
#define VERSION_2   UINT32_C(0x20000)
#define UNALLOCATED UINT32_MAX

struct bochs {
    uint64_t extent_size;
    uint64_t bitmap_bytes; /* bytes of a bitmap that have bits of sectors */
    uint64_t bitmap_size;  /* bytes of a bitmap in the file: whole sectors */
    uint64_t stride;       /* from one bitmap to the next in the file */
    uint64_t data_offset;  /* file offset of the bitmap of extent 0 */
    uint64_t room;         /* number of extents whose bitmaps begin in the file */
    bool is_checked;       /* the catalog has no more allocated entries than that */
    struct image_table catalog;
    struct image_window bitmap;
    uint64_t last_bitmap; /* file offset of the bitmap that was read last */
};

/* Whether a field of 16 bytes is this word, terminated by a NUL. */
static bool bochs_is_word(const uint8_t *field, const char *word)
{
    return strnlen((const char *)field, WORD_BYTES) < WORD_BYTES &&
           strcmp((const char *)field, word) == 0;
}

/* Whether type, subtype and version are those of a growing disk; if not, why is set. */
static bool bochs_is_growing(const uint8_t *header, struct reason *why)
{
    uint32_t version = le32(header + HEADER_VERSION);

    if (!bochs_is_word(header + HEADER_TYPE, "Redolog"))
        snprintf(why->words, sizeof why->words, "type is not \"Redolog\"");
    else if (!bochs_is_word(header + HEADER_SUBTYPE, "Growing"))
        snprintf(why->words, sizeof why->words,
                 "subtype is not \"Growing\" (others hold changes to another disk)");
    else if (version != VERSION_1 && version != VERSION_2)
        snprintf(why->words, sizeof why->words, "version 0x%x is not 0x%x or 0x%x", version,
                 VERSION_1, VERSION_2);
    else
        return true;
    return false;
}

static int bochs_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *header;
    int error = image_head(img, &header);

    (void)signature;
    return error ? error : bochs_is_growing(header, why);
}

static int bochs_open_magic(struct disk *disk, const uint8_t *header)
{
    struct reason why;

    if (memcmp(header, MAGIC, sizeof MAGIC) != 0)
        return image_fail(disk->img, EUCLEAN, "bochs: magic at offset 0 is not \"%s\"", MAGIC);
    if (!bochs_is_growing(header, &why))
        return image_fail(disk->img, EUCLEAN, "bochs: %s", why.words);
    return 0;
}

/* Sets the sizes of extents and bitmaps. */
static int bochs_open_extents(struct disk *disk, struct bochs *b, const uint8_t *header)
{
    uint32_t bitmap = le32(header + HEADER_BITMAP);

    b->extent_size = le32(header + HEADER_EXTENT);
    if (!is_power_of_two(b->extent_size) || b->extent_size < SECTOR || b->extent_size > EXTENT_MAX)
        return image_fail(disk->img, EUCLEAN,
                          "bochs: extent size %llu is not a power of two between %d and %d",
                          (unsigned long long)b->extent_size, SECTOR, EXTENT_MAX);
    b->bitmap_bytes = div_up(b->extent_size / SECTOR, 8);
    b->bitmap_size = div_up(bitmap, SECTOR) * SECTOR;
    /* A rule of ours: qemu reads guest data in place of the missing bits. */
    if (b->bitmap_size < b->bitmap_bytes)
        return image_fail(disk->img, EUCLEAN,
                          "bochs: bitmap size %u does not cover an extent of %llu bytes", bitmap,
                          (unsigned long long)b->extent_size);
    b->stride = b->bitmap_size + b->extent_size;
    return image_window_begin(disk->img, &b->bitmap, WINDOW_BYTES);
}

/* Sets and checks the catalog. */
static int bochs_open_catalog(struct disk *disk, struct bochs *b, const uint8_t *header)
{
    struct image *img = disk->img;
    uint64_t offset = le32(header + HEADER_HEADER), entries = le32(header + HEADER_CATALOG);

    if (entries > CATALOG_MAX)
        return image_fail(img, EFBIG, "bochs: catalog of %llu entries is larger than %d",
                          (unsigned long long)entries, CATALOG_MAX);
    if (entries * b->extent_size < disk->virtual_size)
        return image_fail(
            img, EUCLEAN,
            "bochs: catalog of %llu extents of %llu bytes does not cover the disk of %llu bytes",
            (unsigned long long)entries, (unsigned long long)b->extent_size,
            (unsigned long long)disk->virtual_size);
    if (offset < HEADER_BYTES)
        image_note(img, "bochs: header size %llu is less than %d: the catalog overlaps the header",
                   (unsigned long long)offset, HEADER_BYTES);
    b->catalog = (struct image_table){.offset = offset, .entries = entries, .entry_bytes = 4};
    b->data_offset = offset + 4 * entries;
    if (image_size(img) > b->data_offset)
        b->room = div_up(image_size(img) - b->data_offset, b->stride);
    /* A rule of ours: the missing entries would read as zeros, that is as extent 0. */
    return image_require(img, offset, 4 * entries, "bochs: catalog");
}

static int bochs_open(struct disk *disk)
{
    struct bochs *b = image_alloc(disk->img, sizeof *b);
    const uint8_t *header;
    uint64_t size;
    int error = b ? image_head(disk->img, &header) : -ENOMEM;

    if (!error)
        error = bochs_open_magic(disk, header);
    if (error)
        return error;
    disk->state = b;
    disk->subformat = "growing";
    size =
        le64(header + (le32(header + HEADER_VERSION) == VERSION_1 ? HEADER_DISK_V1 : HEADER_DISK));
    disk->virtual_size = size / SECTOR * SECTOR;
    error = bochs_open_extents(disk, b, header);
    return error ? error : bochs_open_catalog(disk, b, header);
}

/* Whether the extent of this entry may have data. If its bitmap is past the end of the file, that
 * reads as zeros. */
static bool bochs_is_allocated(const struct bochs *b, uint32_t entry)
{
    return entry != UNALLOCATED && entry < b->room;
}

/*
 * Checks, once, that the catalog does not allocate more extents than the file has room for. A
 * catalog that repeats one extent would make the walk over a small file long.
 */
static int bochs_check_catalog(struct disk *disk)
{
    struct bochs *b = disk->state;
    uint64_t extents = div_up(disk->virtual_size, b->extent_size), allocated = 0, n;
    const uint8_t *p;

    if (b->is_checked)
        return 0;
    for (uint64_t i = 0; i < extents; i += n) {
        int error = image_table_at(disk->img, &b->catalog, i, &p, &n);

        if (error)
            return error;
        for (uint64_t k = 0; k < n && i + k < extents; k++)
            allocated += bochs_is_allocated(b, le32(p + 4 * k));
    }
    if (allocated > b->room)
        return image_fail(disk->img, EUCLEAN,
                          "bochs: catalog allocates %llu extents in a file with room for %llu",
                          (unsigned long long)allocated, (unsigned long long)b->room);
    b->is_checked = true;
    return 0;
}

/* Counts the sectors from sector on (< sectors) whose bits are equal. */
static uint64_t bochs_bit_run(const uint8_t *bitmap, uint64_t sector, uint64_t sectors)
{
    bool set = bitmap[sector / 8] >> sector % 8 & 1;
    uint8_t alike = set ? 0xff : 0;
    uint64_t n = sector + 1;

    while (n < sectors && (bitmap[n / 8] >> n % 8 & 1) == set)
        n += n % 8 == 0 && bitmap[n / 8] == alike ? 8 : 1;
    return min_u64(n, sectors) - sector;
}

/* Describes the guest bytes at offset, in the extent whose bitmap has this file offset. */
static int bochs_extent_in_bitmap(struct disk *disk, uint64_t offset, uint64_t bitmap,
                                  struct extent *extent)
{
    struct bochs *b = disk->state;
    uint64_t within = offset % b->extent_size, sector = within / SECTOR;
    /* Reads ahead if the walk meets bitmaps in the order of the file, close to each other. */
    bool in_order = bitmap >= b->last_bitmap && bitmap - b->last_bitmap <= 2 * b->stride;
    uint64_t ahead = in_order && b->stride < WINDOW_BYTES / 2 ? WINDOW_BYTES : 0, end;
    const uint8_t *bits;
    bool data;
    int error = image_host_range(disk->img, bitmap, &data, &end);

    b->last_bitmap = bitmap;
    if (error)
        return error;
    if (!data && end - bitmap >= b->bitmap_bytes) {
        extent->kind = EXTENT_ZERO;
        extent->length = b->extent_size - within;
        return 0;
    }
    error =
        image_window_ahead(disk->img, &b->bitmap, bitmap, (size_t)b->bitmap_bytes, ahead, &bits);
    if (error)
        return error;
    extent->length =
        bochs_bit_run(bits, sector, b->extent_size / SECTOR) * SECTOR - within % SECTOR;
    extent->kind = bits[sector / 8] >> sector % 8 & 1 ? EXTENT_DATA : EXTENT_ZERO;
    if (extent->kind == EXTENT_DATA)
        extent->host = bitmap + b->bitmap_size + within;
    return 0;
}

static int bochs_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct bochs *b = disk->state;
    uint64_t n, run = 1;
    const uint8_t *p = NULL;
    int error = bochs_check_catalog(disk);

    (void)want;
    if (!error)
        error = image_table_at(disk->img, &b->catalog, offset / b->extent_size, &p, &n);
    if (error)
        return error;
    if (bochs_is_allocated(b, le32(p)))
        return bochs_extent_in_bitmap(disk, offset, b->data_offset + le32(p) * b->stride, extent);
    while (run < n && !bochs_is_allocated(b, le32(p + 4 * run)))
        run++;
    extent->kind = EXTENT_ZERO;
    extent->length = run * b->extent_size - offset % b->extent_size;
    return 0;
}

/* Fields whose offset, or existence, depends on the version: bytes begin at the version. */
static int bochs_print_timestamp(const struct field *f, const uint8_t *bytes, size_t length,
                                 char *out, size_t size)
{
    if (le32(bytes) == VERSION_1)
        return -ENOENT;
    (void)length;
    return field_le(f, bytes + HEADER_TIMESTAMP - HEADER_VERSION, 4, out, size);
}

static int bochs_print_disk(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                            size_t size)
{
    size_t at = le32(bytes) == VERSION_1 ? HEADER_DISK_V1 : HEADER_DISK;

    (void)length;
    return field_le(f, bytes + at - HEADER_VERSION, 8, out, size);
}

/* The names are those of Bochs' header file. */
static const struct field header_fields[] = {
    {"magic", 0, 32, field_text, NULL},
    {"type", HEADER_TYPE, WORD_BYTES, field_text, NULL},
    {"subtype", HEADER_SUBTYPE, WORD_BYTES, field_text, NULL},
    {"version", HEADER_VERSION, 4, field_le, NULL},
    {"header", HEADER_HEADER, 4, field_le, NULL},
    {"catalog", HEADER_CATALOG, 4, field_le, NULL},
    {"bitmap", HEADER_BITMAP, 4, field_le, NULL},
    {"extent", HEADER_EXTENT, 4, field_le, NULL},
    {"timestamp", HEADER_VERSION, 32, bochs_print_timestamp, NULL},
    {"disk", HEADER_VERSION, 32, bochs_print_disk, NULL},
};

static int bochs_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    *offset = 0;
    *length = HEADER_BYTES;
    return 1;
}

static const struct header_section bochs_sections[] = {
    {"", FIELDS(header_fields), bochs_find_header},
    {.fields = NULL},
};

const struct format_driver bochs_driver = {
    .name = "bochs",
    .signatures = {{HEAD, 0, MAGIC, sizeof MAGIC}},
    .sections = bochs_sections,
    .opaque_to_qemu = true,
    .probe = bochs_probe,
    .open = bochs_open,
    .extent_at = bochs_extent_at,
};
