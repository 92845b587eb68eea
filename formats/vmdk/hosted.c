// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: hosted sparse extents (VMware, "Virtual Disk Format 5.0", "Hosted Sparse Extents"). Little
 * endian.
 *
 * A header, then, in sectors: a grain directory (GD) of grain tables (GT) of grains. A stream has
 * compressed grains; if its GD follows them, the header in the footer replaces the one in front.
 */
#include "hosted.h"

#include <errno.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/image.h"
#include "tables.h"

enum {
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

    /* The specification's value, and qemu's limit. */
    GTES_MAX = 512,
};

void vmdk_hosted_decode(struct vmdk_hosted_header *h, const uint8_t *p)
{
    h->version = le32(p + HOSTED_VERSION);
    h->flags = le32(p + HOSTED_FLAGS);
    h->capacity_sectors = le64(p + HOSTED_CAPACITY);
    h->grain_size_sectors = le64(p + HOSTED_GRAIN_SIZE);
    h->descriptor_offset_sectors = le64(p + HOSTED_DESCRIPTOR_OFFSET);
    h->descriptor_size_sectors = le64(p + HOSTED_DESCRIPTOR_SIZE);
    h->num_gtes_per_gt = le32(p + HOSTED_NUM_GTES_PER_GT);
    h->rgd_offset_sectors = le64(p + HOSTED_RGD_OFFSET);
    h->gd_offset_sectors = le64(p + HOSTED_GD_OFFSET);
    h->over_head_sectors = le64(p + HOSTED_OVER_HEAD);
    h->compress_algorithm = le16(p + HOSTED_COMPRESS_ALGORITHM);
}

/* A file that does not end with a whole sector counts as padded with zeros, as in qemu: the
 * end-of-stream marker is all zeros, so its last bytes may be missing. */
bool vmdk_footer_place(const struct image *img, uint64_t *offset)
{
    uint64_t sectors = div_up(image_size(img), SECTOR);

    *offset = sectors > FOOTER_SECTORS ? (sectors - FOOTER_SECTORS + 1) * SECTOR : 0;
    return *offset != 0;
}

/* Replaces the header by the one in the footer. */
static int vmdk_read_footer(struct image *img, struct vmdk_hosted_header *h)
{
    const uint8_t *marker, *footer, *end;
    uint64_t offset;
    int error;

    if (!vmdk_footer_place(img, &offset))
        return image_fail(
            img, EUCLEAN,
            "vmdk: gdOffset is 2^64 - 1, which requires a footer, but the file has only "
            "%llu bytes",
            (unsigned long long)image_size(img));
    error = image_get(img, offset - SECTOR, FOOTER_SECTORS * SECTOR, &marker);
    if (error)
        return error;
    footer = marker + SECTOR;
    end = footer + SECTOR;
    if (le32(marker + MARKER_SIZE) != 0 || le32(marker + MARKER_TYPE) != MARKER_FOOTER)
        return image_fail(img, EUCLEAN,
                          "vmdk: no footer marker at offset %llu, three sectors before the end",
                          (unsigned long long)(offset - SECTOR));
    if (memcmp(footer, VMDK_MAGIC_HOSTED, 4) != 0)
        return image_fail(img, EUCLEAN,
                          "vmdk: the footer at offset %llu does not begin with " VMDK_MAGIC_HOSTED,
                          (unsigned long long)offset);
    if (le64(end + MARKER_VALUE) != 0 || le32(end + MARKER_SIZE) != 0 ||
        le32(end + MARKER_TYPE) != MARKER_END_OF_STREAM)
        return image_fail(img, EUCLEAN,
                          "vmdk: no end-of-stream marker at offset %llu, in the last sector",
                          (unsigned long long)(offset + SECTOR));
    vmdk_hosted_decode(h, footer);
    if (h->gd_offset_sectors == VMDK_GD_AT_END)
        return image_fail(
            img, EUCLEAN,
            "vmdk: gdOffset of the footer is 2^64 - 1, which requires another footer");
    return 0;
}

static int vmdk_check_sizes(struct image *img, const struct vmdk_hosted_header *h)
{
    uint64_t capacity;

    if (h->version < 1 || h->version > VERSION_MAX)
        return image_fail(img, ENOTSUP, "vmdk: version %u is not supported, only 1 to %d",
                          h->version, VERSION_MAX);
    if (h->num_gtes_per_gt < 1 || h->num_gtes_per_gt > GTES_MAX)
        return image_fail(img, EUCLEAN, "vmdk: numGTEsPerGT %u is not within 1 to %d",
                          h->num_gtes_per_gt, GTES_MAX);
    if (!is_power_of_two(h->grain_size_sectors))
        return image_fail(img, EUCLEAN, "vmdk: grainSize %llu is not a power of two",
                          (unsigned long long)h->grain_size_sectors);
    if (h->grain_size_sectors > VMDK_GRAIN_SECTORS_MAX)
        return image_fail(img, EFBIG, "vmdk: grainSize %llu is more than %d sectors",
                          (unsigned long long)h->grain_size_sectors, VMDK_GRAIN_SECTORS_MAX);
    if (!checked_mul(h->capacity_sectors, SECTOR, &capacity) || capacity > DISK_BYTES_MAX)
        return image_fail(img, EFBIG, "vmdk: capacity %llu is more than 2^54 - 2^21 sectors",
                          (unsigned long long)h->capacity_sectors);
    if (div_up(h->capacity_sectors, h->num_gtes_per_gt * h->grain_size_sectors) >
        VMDK_GD_ENTRIES_MAX)
        return image_fail(
            img, EFBIG,
            "vmdk: capacity %llu needs more than %d grain tables of %u grains of %llu sectors",
            (unsigned long long)h->capacity_sectors, VMDK_GD_ENTRIES_MAX, h->num_gtes_per_gt,
            (unsigned long long)h->grain_size_sectors);
    return 0;
}

/* An offset that no file can have is malformed; one past the end of this file reads as zeros. */
static int vmdk_check_offset(struct image *img, const char *field, uint64_t offset_sectors)
{
    uint64_t offset;

    if (checked_mul(offset_sectors, SECTOR, &offset) && offset <= INT64_MAX)
        return 0;
    return image_fail(img, EUCLEAN, "vmdk: %s %llu is beyond the largest possible file, 2^63 bytes",
                      field, (unsigned long long)offset_sectors);
}

static int vmdk_check_places(struct image *img, const struct vmdk_hosted_header *h)
{
    int error = vmdk_check_offset(img, "gdOffset", h->gd_offset_sectors);

    if (!error && (h->flags & FLAG_REDUNDANT_GD))
        error = vmdk_check_offset(img, "rgdOffset", h->rgd_offset_sectors);
    if (error)
        return error;
    if (h->over_head_sectors > div_up(image_size(img), SECTOR))
        return image_fail(img, EUCLEAN,
                          "vmdk: overHead %llu is more sectors than the file has: it is truncated",
                          (unsigned long long)h->over_head_sectors);
    if (h->compress_algorithm > COMPRESSION_DEFLATE)
        return image_fail(img, ENOTSUP, "vmdk: compressAlgorithm %u is not supported, only 0 and 1",
                          h->compress_algorithm);
    return 0;
}

static int vmdk_begin_hosted_tables(struct disk *disk, const struct vmdk_hosted_header *h)
{
    const struct vmdk_layout layout = {
        .gd_offset = h->gd_offset_sectors * SECTOR,
        .gtes = h->num_gtes_per_gt,
        .grain_size = h->grain_size_sectors * SECTOR,
        .zeroed_grains = h->flags & FLAG_ZEROED_GRAINS,
        .compressed = h->compress_algorithm == COMPRESSION_DEFLATE,
        .markers = h->flags & FLAG_MARKERS,
    };

    return vmdk_tables_begin(disk, &layout);
}

int vmdk_hosted_open(struct disk *disk, const uint8_t *head)
{
    struct vmdk_hosted_header h;
    int error = 0;

    vmdk_hosted_decode(&h, head);
    if (h.gd_offset_sectors == VMDK_GD_AT_END)
        error = vmdk_read_footer(disk->img, &h);
    if (!error)
        error = vmdk_check_sizes(disk->img, &h);
    if (error)
        return error;
    disk->virtual_size = h.capacity_sectors * SECTOR;
    disk->subformat =
        h.compress_algorithm == COMPRESSION_DEFLATE ? "streamOptimized" : "monolithicSparse";
    error = vmdk_check_places(disk->img, &h);
    return error ? error : vmdk_begin_hosted_tables(disk, &h);
}
