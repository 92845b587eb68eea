// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: VMware virtual disk (VMware, "Virtual Disk Format 5.0"), hosted sparse extents. Little
 * endian.
 *
 * A header, then, in sectors: a grain directory (GD) of grain tables (GT) of grains. A stream has
 * deflated grains and, if its GD came last, a second header in the footer that alone counts.
 */
#include "vmdk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"

enum {
    HEADER_BYTES = 512,
    HEADER_VERSION = 4,
    HEADER_FLAGS = 8,
    HEADER_CAPACITY = 12,
    HEADER_GRAIN_SIZE = 20,
    HEADER_DESCRIPTOR_OFFSET = 28,
    HEADER_DESCRIPTOR_SIZE = 36,
    HEADER_NUM_GTES_PER_GT = 44,
    HEADER_RGD_OFFSET = 48,
    HEADER_GD_OFFSET = 56,
    HEADER_OVER_HEAD = 64,
    HEADER_COMPRESS_ALGORITHM = 77,

    FLAG_REDUNDANT_GD = 1 << 1,
    FLAG_ZEROED_GRAINS = 1 << 2,
    FLAG_MARKERS = 1 << 17,

    COMPRESSION_DEFLATE = 1,

    /* The last three sectors of a stream: footer marker, footer, end-of-stream marker. */
    FOOTER_SECTORS = 3,
    MARKER_VALUE = 0,
    MARKER_SIZE = 8,
    MARKER_TYPE = 12,
    MARKER_END_OF_STREAM = 0,
    MARKER_FOOTER = 3,

    VERSION_MAX = 3,

    /* What the specification calls for; qemu takes no more. */
    GTES_MAX = 512,

    /* Of an extent that is all of the disk: 512 tables, which at usual grains are 16 GiB. */
    TABLES_WINDOW_BYTES = 1 << 20,
};

struct vmdk_header {
    uint32_t version, flags, num_gtes_per_gt;
    uint64_t capacity_sectors, grain_size_sectors, rgd_offset_sectors, gd_offset_sectors;
    uint64_t descriptor_offset_sectors, descriptor_size_sectors, over_head_sectors;
    uint16_t compress_algorithm;
};

static void header_decode(struct vmdk_header *h, const uint8_t *p)
{
    h->version = le32(p + HEADER_VERSION);
    h->flags = le32(p + HEADER_FLAGS);
    h->capacity_sectors = le64(p + HEADER_CAPACITY);
    h->grain_size_sectors = le64(p + HEADER_GRAIN_SIZE);
    h->descriptor_offset_sectors = le64(p + HEADER_DESCRIPTOR_OFFSET);
    h->descriptor_size_sectors = le64(p + HEADER_DESCRIPTOR_SIZE);
    h->num_gtes_per_gt = le32(p + HEADER_NUM_GTES_PER_GT);
    h->rgd_offset_sectors = le64(p + HEADER_RGD_OFFSET);
    h->gd_offset_sectors = le64(p + HEADER_GD_OFFSET);
    h->over_head_sectors = le64(p + HEADER_OVER_HEAD);
    h->compress_algorithm = le16(p + HEADER_COMPRESS_ALGORITHM);
}

/*
 * A file that does not end with a whole sector is taken as filled up with zeros, as qemu has it:
 * the end-of-stream marker is all zeros and may lack some.
 */
bool vmdk_footer_place(const struct image *img, uint64_t *offset)
{
    uint64_t sectors = div_up(image_size(img), VMDK_SECTOR);

    *offset = sectors > FOOTER_SECTORS ? (sectors - FOOTER_SECTORS + 1) * VMDK_SECTOR : 0;
    return *offset != 0;
}

/* Replaces the header by the one in the footer. */
static int footer_read(struct image *img, struct vmdk_header *h)
{
    const uint8_t *marker, *footer, *end;
    uint64_t offset;
    int error;

    if (!vmdk_footer_place(img, &offset))
        return image_fail(img, EUCLEAN,
                          "vmdk: the file is too short for the footer that gdOffset calls for");
    error = image_get(img, offset - VMDK_SECTOR, FOOTER_SECTORS * VMDK_SECTOR, &marker);
    if (error)
        return error;
    footer = marker + VMDK_SECTOR;
    end = footer + VMDK_SECTOR;
    if (le32(marker + MARKER_SIZE) != 0 || le32(marker + MARKER_TYPE) != MARKER_FOOTER)
        return image_fail(img, EUCLEAN,
                          "vmdk: no footer marker 1536 bytes before the end of the file");
    if (memcmp(footer, VMDK_MAGIC_HOSTED, 4) != 0)
        return image_fail(img, EUCLEAN, "vmdk: the footer does not begin with " VMDK_MAGIC_HOSTED);
    if (le64(end + MARKER_VALUE) != 0 || le32(end + MARKER_SIZE) != 0 ||
        le32(end + MARKER_TYPE) != MARKER_END_OF_STREAM)
        return image_fail(img, EUCLEAN, "vmdk: the last sector is not an end-of-stream marker");
    header_decode(h, footer);
    if (h->gd_offset_sectors == VMDK_GD_AT_END)
        return image_fail(img, EUCLEAN, "vmdk: gdOffset of the footer points to a footer again");
    return 0;
}

static int check_sizes(struct image *img, const struct vmdk_header *h)
{
    uint64_t capacity;

    if (h->version < 1 || h->version > VERSION_MAX)
        return image_fail(img, ENOTSUP, "vmdk: version %u is not handled, only 1 to %d", h->version,
                          VERSION_MAX);
    if (h->num_gtes_per_gt < 1 || h->num_gtes_per_gt > GTES_MAX)
        return image_fail(img, EUCLEAN, "vmdk: numGTEsPerGT %u is not within 1 to %d",
                          h->num_gtes_per_gt, GTES_MAX);
    if (!is_power_of_two(h->grain_size_sectors))
        return image_fail(img, EUCLEAN, "vmdk: grainSize %llu is not a power of two",
                          (unsigned long long)h->grain_size_sectors);
    if (h->grain_size_sectors > VMDK_GRAIN_SECTORS_MAX)
        return image_fail(img, EFBIG, "vmdk: grainSize %llu is more than %d sectors",
                          (unsigned long long)h->grain_size_sectors, VMDK_GRAIN_SECTORS_MAX);
    if (!checked_mul(h->capacity_sectors, VMDK_SECTOR, &capacity) || capacity > DISK_BYTES_MAX)
        return image_fail(img, EFBIG, "vmdk: capacity %llu is more than 2^54 - 2^21 sectors",
                          (unsigned long long)h->capacity_sectors);
    if (div_up(h->capacity_sectors, h->num_gtes_per_gt * h->grain_size_sectors) >
        VMDK_GD_ENTRIES_MAX)
        return image_fail(
            img, EFBIG,
            "vmdk: capacity %llu takes more than %d grain tables of %u grains of %llu sectors",
            (unsigned long long)h->capacity_sectors, VMDK_GD_ENTRIES_MAX, h->num_gtes_per_gt,
            (unsigned long long)h->grain_size_sectors);
    return 0;
}

/* An offset that no file can have is malformed; one past the end of this file reads as zeros. */
static int check_offset(struct image *img, const char *field, uint64_t offset_sectors)
{
    uint64_t offset;

    if (checked_mul(offset_sectors, VMDK_SECTOR, &offset) && offset <= INT64_MAX)
        return 0;
    return image_fail(img, EUCLEAN, "vmdk: %s %llu is more sectors than any file has", field,
                      (unsigned long long)offset_sectors);
}

static int check_places(struct image *img, const struct vmdk_header *h)
{
    int error = check_offset(img, "gdOffset", h->gd_offset_sectors);

    if (!error && (h->flags & FLAG_REDUNDANT_GD))
        error = check_offset(img, "rgdOffset", h->rgd_offset_sectors);
    if (error)
        return error;
    if (h->over_head_sectors > div_up(image_size(img), VMDK_SECTOR))
        return image_fail(img, EUCLEAN, "vmdk: the file is cut off: overHead alone is %llu sectors",
                          (unsigned long long)h->over_head_sectors);
    if (h->compress_algorithm > COMPRESSION_DEFLATE)
        return image_fail(img, ENOTSUP, "vmdk: compressAlgorithm %u is not handled, only 0 and 1",
                          h->compress_algorithm);
    return 0;
}

/* A header without capacity may carry the descriptor of a disk that is in other files. */
static int open_without_capacity(struct disk *disk, const struct vmdk_header *h, bool *done)
{
    struct vmdk_text text;
    uint64_t offset;
    int error;

    *done = false;
    if (!h->descriptor_offset_sectors ||
        !checked_mul(h->descriptor_offset_sectors, VMDK_SECTOR, &offset))
        return 0;
    error = vmdk_text_read(disk->img, offset, UINT64_MAX, &text);
    if (error || !vmdk_is_spread(&text))
        return error;
    *done = true;
    return vmdk_descriptor_open(disk, &text);
}

/* What of the header the tables are read by. */
static int begin_tables(struct disk *disk, const struct vmdk_header *h)
{
    const struct vmdk_layout layout = {
        .gd_offset = h->gd_offset_sectors * VMDK_SECTOR,
        .gtes = h->num_gtes_per_gt,
        .grain_size = h->grain_size_sectors * VMDK_SECTOR,
        .zeroed_grains = h->flags & FLAG_ZEROED_GRAINS,
        .compressed = h->compress_algorithm == COMPRESSION_DEFLATE,
        .markers = h->flags & FLAG_MARKERS,
    };

    return vmdk_tables_begin(disk, &layout);
}

int vmdk_hosted_open(struct disk *disk, const uint8_t *head)
{
    struct vmdk_header h;
    int error = 0;

    header_decode(&h, head);
    if (h.gd_offset_sectors == VMDK_GD_AT_END)
        error = footer_read(disk->img, &h);
    if (!error)
        error = check_sizes(disk->img, &h);
    if (error)
        return error;
    disk->virtual_size = h.capacity_sectors * VMDK_SECTOR;
    disk->subformat =
        h.compress_algorithm == COMPRESSION_DEFLATE ? "streamOptimized" : "monolithicSparse";
    error = check_places(disk->img, &h);
    return error ? error : begin_tables(disk, &h);
}

/* A hosted extent by itself: a descriptor must say that it is all of the disk. */
static int open_hosted(struct disk *disk, const uint8_t *head)
{
    struct vmdk_header front;
    bool done = false;
    int error = 0;

    header_decode(&front, head);
    if (front.capacity_sectors == 0)
        error = open_without_capacity(disk, &front, &done);
    if (error || done)
        return error;
    error = vmdk_hosted_open(disk, head);
    if (error)
        return error;
    return vmdk_embedded_open(disk, front.descriptor_offset_sectors, front.descriptor_size_sectors);
}

/* The same for a COWD extent. */
static int open_cowd(struct disk *disk, const uint8_t *head)
{
    int error = vmdk_cowd_open(disk, head);

    return error ? error : vmdk_embedded_open(disk, 0, 0);
}

/* A seSparse extent by itself, which is taken for a VMDK only where the user says so. */
static int open_sesparse(struct disk *disk, const uint8_t *head)
{
    int error = vmdk_sesparse_open(disk, head);

    if (!error)
        image_note(disk->img,
                   "vmdk: seSparse: this extent alone is told: of a parent below it only "
                   "its descriptor knows");
    return error;
}

static int vmdk_open(struct disk *disk)
{
    struct vmdk *vmdk = image_alloc(disk->img, sizeof *vmdk);
    struct vmdk_text text;
    const uint8_t *head;
    int error = vmdk ? image_head(disk->img, &head) : -ENOMEM;

    if (error)
        return error;
    vmdk->window_bytes = TABLES_WINDOW_BYTES;
    disk->state = vmdk;
    if (memcmp(head, VMDK_MAGIC_HOSTED, 4) == 0)
        return open_hosted(disk, head);
    if (memcmp(head, VMDK_MAGIC_COWD, 4) == 0)
        return open_cowd(disk, head);
    if (memcmp(head, VMDK_MAGIC_SESPARSE, 8) == 0)
        return open_sesparse(disk, head);
    error = vmdk_text_read(disk->img, 0, UINT64_MAX, &text);
    return error ? error : vmdk_descriptor_open(disk, &text);
}

static int vmdk_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error;

    if (signature->length == 4)
        return 1;
    if (signature->length) {
        snprintf(why->words, sizeof why->words,
                 "a seSparse extent by itself: a descriptor that names it makes a disk of it");
        return 0;
    }
    error = image_head(img, &head);
    return error ? error : vmdk_descriptor_probe(head, why);
}

static int vmdk_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct vmdk *vmdk = disk->state;

    if (vmdk->tables)
        return vmdk_tables_extent_at(disk, offset, want, extent);
    if (vmdk->sesparse)
        return vmdk_sesparse_extent_at(disk, offset, want, extent);
    return vmdk_extents_extent_at(disk, offset, want, extent);
}

static int vmdk_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct vmdk *vmdk = disk->state;

    return vmdk->tables ? vmdk_tables_decode(disk, offset, bytes, length)
                        : vmdk_extents_decode(disk, offset, bytes, length);
}

const struct format_driver vmdk_driver = {
    .name = "vmdk",
    .signatures = {{HEAD, 0, VMDK_MAGIC_HOSTED, 4},
                   {HEAD, 0, VMDK_MAGIC_COWD, 4},
                   {HEAD, 0, VMDK_MAGIC_SESPARSE, 8},
                   {HEAD, 0, "", 0}},
    .parts = vmdk_parts,
    .probe = vmdk_probe,
    .is_part_name = vmdk_is_flat_name,
    .open = vmdk_open,
    .extent_at = vmdk_extent_at,
    .decode = vmdk_decode,
    .check_parent = vmdk_check_parent,
};
