// SPDX-License-Identifier: Apache-2.0
/*
 * DMG, the Universal Disk Image Format (UDIF). Big endian. Recognised by its trailer ("koly") of
 * 512 bytes at the end of the file; qemu recognises it by the file name instead. The trailer
 * locates a property list, or in older images a resource fork, which holds the block tables.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "blocks.h"
#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/fields.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/unpack.h"

enum {
    SIGNATURE_BYTES = 4,
    TRAILER_BYTES = 512,
    TRAILER_HEADER_SIZE = 8,
    TRAILER_DATA_FORK_OFFSET = 24,
    TRAILER_RSRC_FORK_OFFSET = 40,
    TRAILER_RSRC_FORK_LENGTH = 48,
    TRAILER_SEGMENT_NUMBER = 56,
    TRAILER_XML_OFFSET = 216,
    TRAILER_XML_LENGTH = 224,
    TRAILER_SECTOR_COUNT = 492,

    /* qemu's limit for property lists, and that of resource forks, whose offsets have 24 bits. */
    LIST_BYTES_MAX = 16 << 20,

    FLAGS_FLATTENED = 1 << 0,
    FLAGS_INTERNET_ENABLED = 1 << 2,
};

#define SIGNATURE "koly"

/*
 * Finds the trailer. As in qemu, it is the first signature that begins 1023 to 512 bytes before the
 * end of the file, rounded up to sectors. But one with the right HeaderSize is preferred: the bytes
 * before the trailer may contain the signature, too. Returns 1 with *offset set, *is_valid if
 * HeaderSize is right and the file holds the whole trailer; 0; -errno, reported.
 */
static int dmg_find_trailer(struct image *img, uint64_t *offset, bool *is_valid)
{
    uint64_t size = image_size(img), end;
    const uint8_t *tail;
    int found = 0, error = image_tail(img, &tail);

    *is_valid = false;
    if (error)
        return error;
    if (size < TRAILER_BYTES || !checked_round_up(size, SECTOR, &end))
        return 0;
    end -= TRAILER_BYTES;
    for (uint64_t at = end < SECTOR ? 0 : end - SECTOR + 1; !*is_valid && at <= end; at++) {
        /* Within the tail; the end of a truncated trailer is past it. */
        const uint8_t *p = tail + (IMAGE_TAIL_BYTES - (size - at));
        bool is_whole = size - at >= TRAILER_BYTES;

        if (size - at < SIGNATURE_BYTES)
            break;
        if (memcmp(p, SIGNATURE, SIGNATURE_BYTES) != 0)
            continue;
        *is_valid = is_whole && be32(p + TRAILER_HEADER_SIZE) == TRAILER_BYTES;
        if (*is_valid || !found)
            *offset = at;
        found = 1;
    }
    return found;
}

static int dmg_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    uint64_t offset;
    bool is_valid;
    int found = dmg_find_trailer(img, &offset, &is_valid);

    (void)signature;
    if (found != 1)
        return found;
    if (!is_valid)
        strcpy(why->words, "HeaderSize is not 512, or the file ends inside the trailer");
    return is_valid;
}

static int dmg_locate(struct image *img, uint64_t *offset)
{
    bool is_valid;
    int found = dmg_find_trailer(img, offset, &is_valid);

    return found < 0 ? found : 0;
}

/* Checks the offset and length of a list: it must end before the trailer. */
static int dmg_check_list(struct disk *disk, const char *what, uint64_t offset, uint64_t length,
                          uint64_t trailer)
{
    if (offset >= trailer || length > trailer - offset)
        return image_fail(disk->img, EUCLEAN,
                          "dmg: %s (%" PRIu64 " bytes at offset %" PRIu64
                          ") does not end before the trailer at offset %" PRIu64,
                          what, length, offset, trailer);
    if (length > LIST_BYTES_MAX)
        return image_fail(disk->img, EFBIG, "dmg: %s of %" PRIu64 " bytes is larger than %d", what,
                          length, LIST_BYTES_MAX);
    return 0;
}

/* Checks the trailer's fields, in the same order as qemu, and sets the list. */
static int dmg_open_trailer(struct disk *disk, const uint8_t *trailer, uint64_t offset,
                            bool *is_fork)
{
    struct dmg *d = disk->state;
    uint64_t fork_length = be64(trailer + TRAILER_RSRC_FORK_LENGTH);
    uint64_t sectors = be64(trailer + TRAILER_SECTOR_COUNT);
    uint32_t segment = be32(trailer + TRAILER_SEGMENT_NUMBER);
    int error;

    if (!checked_mul(sectors, SECTOR, &disk->virtual_size) || disk->virtual_size > DISK_BYTES_MAX) {
        disk->virtual_size = 0;
        return image_fail(disk->img, EFBIG, "dmg: SectorCount %" PRIu64 " is more than %" PRIu64,
                          sectors, DISK_BYTES_MAX / SECTOR);
    }
    d->data_fork_offset = be64(trailer + TRAILER_DATA_FORK_OFFSET);
    if (d->data_fork_offset > offset)
        return image_fail(disk->img, EUCLEAN,
                          "dmg: DataForkOffset %" PRIu64 " is past the trailer at offset %" PRIu64,
                          d->data_fork_offset, offset);
    d->list_offset = be64(trailer + TRAILER_RSRC_FORK_OFFSET);
    d->list_length = fork_length;
    error = dmg_check_list(disk, "resource fork", d->list_offset, fork_length, offset);
    *is_fork = fork_length != 0;
    if (!error && !*is_fork) {
        d->list_offset = be64(trailer + TRAILER_XML_OFFSET);
        d->list_length = be64(trailer + TRAILER_XML_LENGTH);
    }
    if (!error)
        error = dmg_check_list(disk, "property list", be64(trailer + TRAILER_XML_OFFSET),
                               be64(trailer + TRAILER_XML_LENGTH), offset);
    if (error)
        return error;
    if (!d->list_length)
        return image_fail(
            disk->img, EUCLEAN,
            "dmg: neither property list (XMLLength 0) nor resource fork (RsrcForkLength 0)");
    /* Data offsets of an image in several files count from the start of the first one. */
    if (segment > 1)
        return image_fail(
            disk->img, ENOTSUP,
            "dmg: SegmentNumber %" PRIu32 ": images in several files are not supported", segment);
    return 0;
}

static int dmg_open(struct disk *disk)
{
    struct dmg *d = image_alloc(disk->img, sizeof *d);
    const uint8_t *trailer;
    uint64_t offset;
    bool is_valid, is_fork = false;
    int found = d ? dmg_find_trailer(disk->img, &offset, &is_valid) : -ENOMEM;
    int error = found < 0 ? found : 0;

    if (found == 0)
        return image_fail(disk->img, EUCLEAN, "dmg: no trailer (\"koly\") at the end of the file");
    if (!error)
        error = image_require(disk->img, offset, TRAILER_BYTES, "dmg: trailer");
    if (!error)
        error = image_get(disk->img, offset, TRAILER_BYTES, &trailer);
    if (error)
        return error;
    disk->state = d;
    error = dmg_open_trailer(disk, trailer, offset, &is_fork);
    return error ? error : dmg_blocks_open(disk, is_fork);
}

static int dmg_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct dmg *d = disk->state;
    const struct dmg_chunk *chunk = &d->chunk;
    int error = dmg_blocks_find(disk, offset / SECTOR);
    uint64_t within;

    (void)want;
    if (error)
        return error;
    within = offset - chunk->sector * SECTOR;
    extent->kind = EXTENT_DATA;
    extent->host = EXTENT_NO_HOST;
    extent->flags = EXTENT_COMPRESSED;
    extent->length = chunk->sectors * SECTOR - within;
    switch (chunk->type) {
    case DMG_ZERO:
    case DMG_IGNORE:
        extent->kind = EXTENT_ZERO;
        extent->flags = 0;
        break;
    case DMG_RAW:
        if (chunk->length < chunk->sectors * SECTOR)
            return image_fail(disk->img, EUCLEAN,
                              "dmg: raw chunk %" PRIu64 ": CompressedLength %" PRIu64
                              " is too small for %" PRIu64 " sectors",
                              chunk->number, chunk->length, chunk->sectors);
        extent->host = chunk->offset + within;
        extent->flags = 0;
        break;
    case DMG_ADC:
    case DMG_ZLIB:
    case DMG_BZIP2:
    case DMG_LZFSE:
    case DMG_LZMA:
        break;
    default:
        return image_fail(disk->img, ENOTSUP, "dmg: chunk %" PRIu64 " has unknown type 0x%" PRIx32,
                          chunk->number, chunk->type);
    }
    return 0;
}

static int dmg_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct dmg *d = disk->state;
    const struct dmg_chunk *chunk = &d->chunk;
    struct packed stream = {.format = "dmg", .what = "zlib chunk", .packing = PACKED_ZLIB};
    int error = dmg_blocks_find(disk, offset / SECTOR);

    if (error)
        return error;
    if (chunk->type != DMG_ZLIB)
        return image_fail(disk->img, ENOTSUP,
                          "dmg: chunk %" PRIu64 " has type 0x%" PRIx32
                          ": only zlib can be decompressed",
                          chunk->number, chunk->type);
    stream.offset = chunk->offset;
    stream.length = chunk->length;
    stream.size = chunk->sectors * SECTOR;
    return unpack_at(disk->img, &stream, offset - chunk->sector * SECTOR, bytes, length);
}

static const struct field_word flags_words[] = {
    {FLAGS_FLATTENED, "flattened"},
    {FLAGS_INTERNET_ENABLED, "internet-enabled"},
    {0, NULL},
};

/* The names are those of Apple's UDIFResourceFile. */
static const struct field trailer_fields[] = {
    {"Signature", 0, 4, field_text, NULL},
    {"Version", 4, 4, field_be, NULL},
    {"HeaderSize", TRAILER_HEADER_SIZE, 4, field_be, NULL},
    {"Flags", 12, 4, field_flags_be, flags_words},
    {"RunningDataForkOffset", 16, 8, field_be, NULL},
    {"DataForkOffset", TRAILER_DATA_FORK_OFFSET, 8, field_be, NULL},
    {"DataForkLength", 32, 8, field_be, NULL},
    {"RsrcForkOffset", TRAILER_RSRC_FORK_OFFSET, 8, field_be, NULL},
    {"RsrcForkLength", TRAILER_RSRC_FORK_LENGTH, 8, field_be, NULL},
    {"SegmentNumber", TRAILER_SEGMENT_NUMBER, 4, field_be, NULL},
    {"SegmentCount", 60, 4, field_be, NULL},
    {"SegmentID", 64, 16, field_uuid, NULL},
    {"DataChecksumType", 80, 4, field_be, NULL},
    {"DataChecksumSize", 84, 4, field_be, NULL},
    {"DataChecksum", 88, 128, field_hex, NULL},
    {"XMLOffset", TRAILER_XML_OFFSET, 8, field_be, NULL},
    {"XMLLength", TRAILER_XML_LENGTH, 8, field_be, NULL},
    {"ChecksumType", 352, 4, field_be, NULL},
    {"ChecksumSize", 356, 4, field_be, NULL},
    {"Checksum", 360, 128, field_hex, NULL},
    {"ImageVariant", 488, 4, field_be, NULL},
    {"SectorCount", TRAILER_SECTOR_COUNT, 8, field_be, NULL},
};

static int dmg_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    bool is_valid;

    *length = TRAILER_BYTES;
    return dmg_find_trailer(disk->img, offset, &is_valid);
}

static const struct header_section dmg_sections[] = {
    {"", FIELDS(trailer_fields), dmg_find_header},
    {.fields = NULL},
};

const struct format_driver dmg_driver = {
    .name = "dmg",
    .signatures = {{TAIL, TRAILER_BYTES, "", 0}},
    .sections = dmg_sections,
    .opaque_to_qemu = true,
    .probe = dmg_probe,
    .locate = dmg_locate,
    .open = dmg_open,
    .extent_at = dmg_extent_at,
    .decode = dmg_decode,
};
