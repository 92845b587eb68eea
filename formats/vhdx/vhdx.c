// SPDX-License-Identifier: Apache-2.0
/*
 * VHDX (MS-VHDX), little endian: identifier, two headers and two region tables in the first MiB,
 * then the log, the BAT and the metadata as regions anywhere. Here: what leads to these, and
 * opening.
 *
 * Peculiar: of the region tables only the first is used, since qemu-img does not fall back to the
 * second. A log that must be replayed makes the rest of the file out of date, so such an image is
 * not read at all.
 */
#include "vhdx.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/crc32c.h"

enum {
    HEADER_SIGNATURE = 0x64616568,  /* "head" */
    REGIONS_SIGNATURE = 0x69676572, /* "regi" */
    REGION_REQUIRED = 1,
};

enum { /* 2.3.1 Log Entries */
       LOG_SECTOR = 4 << 10,
       LOG_SIGNATURE = 0x65676f6c, /* "loge" */
       LOG_GUID = 32,
       LOG_WINDOW_BYTES = 1 << 20,

       /* A limit of ours: usual is 1 MiB, and all of it has to be looked through before anything
          can be said. */
       LOG_BYTES_MAX = 64 << 20,
};

enum { CHECKSUM = 4 }; /* in headers and region tables alike */

const uint8_t vhdx_bat_guid[VHDX_GUID] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                          0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
const uint8_t vhdx_metadata_guid[VHDX_GUID] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                               0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const uint8_t no_guid[VHDX_GUID];

/* Whether the CRC-32C of a structure, in which its own field counts as zeros, is the one it has. */
static bool vhdx_checksum_is_right(const uint8_t *bytes, size_t length)
{
    static const uint8_t zeros[4];
    uint32_t crc = crc32c(crc32c(0, bytes, CHECKSUM), zeros, sizeof zeros);

    crc = crc32c(crc, bytes + CHECKSUM + sizeof zeros, length - CHECKSUM - sizeof zeros);
    return crc == le32(bytes + CHECKSUM);
}

/* Why a header cannot be used; NULL: it can. */
static const char *vhdx_header_fault(const uint8_t *header)
{
    if (le32(header) != HEADER_SIGNATURE)
        return "has no signature";
    if (!vhdx_checksum_is_right(header, VHDX_HEADER_BYTES))
        return "does not match its checksum";
    if (le16(header + HEADER_VERSION) != 1)
        return "is not of version 1";
    return NULL;
}

int vhdx_active_header(struct image *img, uint64_t *active)
{
    const uint8_t *one, *two;
    const char *fault_one, *fault_two;
    uint64_t sequence_one, sequence_two;
    int error = image_get(img, VHDX_HEADER1_AT, VHDX_HEADER_BYTES, &one);

    if (!error)
        error = image_get(img, VHDX_HEADER2_AT, VHDX_HEADER_BYTES, &two);
    if (error)
        return error;
    fault_one = vhdx_header_fault(one);
    fault_two = vhdx_header_fault(two);
    *active = fault_one ? VHDX_HEADER2_AT : VHDX_HEADER1_AT;
    if (fault_one && fault_two)
        return image_fail(img, EUCLEAN,
                          "vhdx: neither header is valid: the first %s, the second %s", fault_one,
                          fault_two);
    if (fault_one || fault_two) {
        image_note(img, "vhdx: header %d %s: the other is used", fault_one ? 1 : 2,
                   fault_one ? fault_one : fault_two);
        return 0;
    }
    sequence_one = le64(one + HEADER_SEQUENCE_NUMBER);
    sequence_two = le64(two + HEADER_SEQUENCE_NUMBER);
    if (sequence_one == sequence_two && memcmp(one, two, VHDX_HEADER_BYTES) != 0)
        return image_fail(img, EUCLEAN,
                          "vhdx: both headers have sequence number %llu but different contents",
                          (unsigned long long)sequence_one);
    if (sequence_two > sequence_one)
        *active = VHDX_HEADER2_AT;
    return 0;
}

/* Whether a piece of the log holds the start of an entry of the log with that GUID. */
static bool vhdx_has_log_entry(const uint8_t *bytes, size_t length, const uint8_t *guid)
{
    for (size_t i = 0; i < length; i += LOG_SECTOR)
        if (le32(bytes + i) == LOG_SIGNATURE && memcmp(bytes + i + LOG_GUID, guid, VHDX_GUID) == 0)
            return true;
    return false;
}

/*
 * Refuses a log with entries: each may replace metadata or data. Their checksums are not looked at:
 * an entry that was torn is no proof that all before it were written to their places. Holes of the
 * host file are skipped.
 */
static int vhdx_search_log(struct disk *disk, const struct vhdx_region *log, const uint8_t *guid)
{
    uint64_t end = log->offset + log->length;
    size_t share = image_window_share(disk->img, LOG_WINDOW_BYTES);
    struct image_window window;
    int error = image_require(disk->img, log->offset, log->length, "vhdx: the log");

    if (!error)
        error = image_window_begin(disk->img, &window, share);
    for (uint64_t at = log->offset; !error && at < end;) {
        size_t length = (size_t)min_u64(share, end - at);
        const uint8_t *bytes;
        uint64_t stop;
        bool data;

        error = image_host_range(disk->img, at, &data, &stop);
        if (!error && !data && stop - at >= LOG_SECTOR) {
            at += (min_u64(stop, end) - at) / LOG_SECTOR * LOG_SECTOR;
            continue;
        }
        if (!error)
            error = image_window_at(disk->img, &window, at, length, &bytes);
        if (!error && vhdx_has_log_entry(bytes, length, guid))
            return image_fail(
                disk->img, ENOTSUP,
                "vhdx: the log holds changes that must be replayed first: open the image "
                "for writing once where it is used, or run qemu-img check -r all");
        at += length;
    }
    return error;
}

/* The log region. GUID or length zero: there is nothing in it, wherever it is. */
static int vhdx_check_log(struct disk *disk, struct vhdx *v, const uint8_t *header)
{
    struct image *img = disk->img;
    const uint8_t *guid = header + HEADER_LOG_GUID;
    uint16_t version = le16(header + HEADER_LOG_VERSION);

    v->log.offset = le64(header + HEADER_LOG_OFFSET);
    v->log.length = le32(header + HEADER_LOG_LENGTH);
    if (version != 0)
        return image_fail(img, ENOTSUP, "vhdx: log version %u is not known", version);
    if (v->log.offset < VHDX_MIB || v->log.offset % VHDX_MIB || v->log.offset > INT64_MAX)
        return image_fail(img, EUCLEAN,
                          "vhdx: log offset %llu is not a multiple of 1 MiB from 1 MiB on",
                          (unsigned long long)v->log.offset);
    if (memcmp(guid, no_guid, VHDX_GUID) == 0 || v->log.length == 0)
        return 0;
    if (v->log.length % VHDX_MIB)
        return image_fail(img, EUCLEAN, "vhdx: log length %llu is not a multiple of 1 MiB",
                          (unsigned long long)v->log.length);
    if (v->log.length > LOG_BYTES_MAX)
        return image_fail(img, EFBIG, "vhdx: log length %llu is more than %d MiB",
                          (unsigned long long)v->log.length, LOG_BYTES_MAX >> 20);
    return vhdx_search_log(disk, &v->log, guid);
}

static struct vhdx_region vhdx_region(const uint8_t *table, uint32_t i)
{
    const uint8_t *entry = table + REGIONS_ENTRIES + (size_t)i * REGION_BYTES;

    return (struct vhdx_region){le64(entry + REGION_FILE_OFFSET), le32(entry + REGION_LENGTH)};
}

/* Both end below 2^64: that was checked. */
static bool vhdx_regions_overlap(struct vhdx_region a, struct vhdx_region b)
{
    return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

/* Refuses region i if it overlaps the log or a region before it: at most 2047 * 2046 / 2
 * comparisons in all. */
static int vhdx_check_overlap(struct image *img, const struct vhdx *v, const uint8_t *table,
                              uint32_t i)
{
    struct vhdx_region region = vhdx_region(table, i);
    bool overlaps;
    uint64_t end;

    if (!checked_add(region.offset, region.length, &end))
        return image_fail(img, EUCLEAN, "vhdx: region %u ends past 2^64 bytes", i);
    overlaps = vhdx_regions_overlap(region, v->log);
    for (uint32_t k = 0; !overlaps && k < i; k++)
        overlaps = vhdx_regions_overlap(region, vhdx_region(table, k));
    if (overlaps)
        return image_fail(img, EUCLEAN,
                          "vhdx: region %u (%llu bytes at offset %llu) overlaps another or the log",
                          i, (unsigned long long)region.length, (unsigned long long)region.offset);
    return 0;
}

/* Takes region i as the one called name. */
static int vhdx_take_region(struct image *img, const uint8_t *table, uint32_t i, const char *name,
                            struct vhdx_region *region)
{
    if (region->offset)
        return image_fail(img, EUCLEAN, "vhdx: the region table has two %s regions", name);
    *region = vhdx_region(table, i);
    if (region->offset < VHDX_MIB || region->offset % VHDX_MIB)
        return image_fail(img, EUCLEAN,
                          "vhdx: %s region offset %llu is not a multiple of 1 MiB from 1 MiB on",
                          name, (unsigned long long)region->offset);
    return 0;
}

/* The entries of the region table. */
static int vhdx_take_regions(struct image *img, struct vhdx *v, const uint8_t *table,
                             uint32_t count)
{
    int error = 0;

    for (uint32_t i = 0; !error && i < count; i++) {
        const uint8_t *entry = table + REGIONS_ENTRIES + (size_t)i * REGION_BYTES;

        error = vhdx_check_overlap(img, v, table, i);
        if (error)
            return error;
        if (memcmp(entry + REGION_GUID, vhdx_bat_guid, VHDX_GUID) == 0)
            error = vhdx_take_region(img, table, i, "BAT", &v->bat);
        else if (memcmp(entry + REGION_GUID, vhdx_metadata_guid, VHDX_GUID) == 0)
            error = vhdx_take_region(img, table, i, "metadata", &v->metadata);
        else if (le32(entry + REGION_FLAGS) & REGION_REQUIRED)
            return image_fail(img, ENOTSUP, "vhdx: region %u is required but its kind is not known",
                              i);
    }
    return error;
}

static int vhdx_read_regions(struct image *img, struct vhdx *v)
{
    const uint8_t *table;
    uint32_t count;
    int error = image_get(img, VHDX_REGIONS1_AT, VHDX_REGIONS_BYTES, &table);

    if (error)
        return error;
    if (le32(table) != REGIONS_SIGNATURE)
        return image_fail(img, EUCLEAN, "vhdx: the region table has no signature");
    if (!vhdx_checksum_is_right(table, VHDX_REGIONS_BYTES))
        return image_fail(img, EUCLEAN, "vhdx: the region table does not match its checksum");
    count = le32(table + REGIONS_ENTRY_COUNT);
    if (count > VHDX_TABLE_ENTRIES)
        return image_fail(img, EUCLEAN, "vhdx: region table has %u entries: at most %d fit", count,
                          VHDX_TABLE_ENTRIES);
    error = vhdx_take_regions(img, v, table, count);
    if (error)
        return error;
    if (!v->bat.offset || !v->metadata.offset)
        return image_fail(img, EUCLEAN, "vhdx: the region table has no %s region",
                          v->bat.offset ? "metadata" : "BAT");
    return 0;
}

/* The BAT must have room for the disk; what it says is not looked at yet. */
static int vhdx_check_bat(struct disk *disk, struct vhdx *v)
{
    uint64_t entries;

    v->blocks = div_up(v->size, v->block_size);
    /* 2.5: each chunk that another follows has a sector bitmap entry; in a differencing image each
     * has. */
    if (disk->below)
        entries = div_up(v->blocks, v->chunk_ratio) * (v->chunk_ratio + 1);
    else
        entries = v->blocks + (v->blocks - 1) / v->chunk_ratio;
    v->entries =
        (struct image_table){.offset = v->bat.offset, .entries = entries, .entry_bytes = 8};
    if (entries * 8 > v->bat.length)
        return image_fail(
            disk->img, EUCLEAN,
            "vhdx: BAT region of %llu bytes is too small: the disk needs %llu entries",
            (unsigned long long)v->bat.length, (unsigned long long)entries);
    return image_require(disk->img, v->bat.offset, entries * 8, "vhdx: the BAT");
}

static int vhdx_open(struct disk *disk)
{
    struct vhdx *v = image_alloc(disk->img, sizeof *v);
    const uint8_t *head, *header;
    uint64_t header_at;
    int error;

    if (!v)
        return -ENOMEM;
    disk->state = v;
    error = image_head(disk->img, &head);
    if (error)
        return error;
    if (memcmp(head, VHDX_SIGNATURE, strlen(VHDX_SIGNATURE)) != 0)
        return image_fail(disk->img, EUCLEAN, "vhdx: the file does not begin with \"%s\"",
                          VHDX_SIGNATURE);
    error = vhdx_active_header(disk->img, &header_at);
    if (!error)
        error = image_get(disk->img, header_at, VHDX_HEADER_BYTES, &header);
    if (!error)
        error = vhdx_check_log(disk, v, header);
    if (!error)
        error = vhdx_read_regions(disk->img, v);
    if (!error)
        error = vhdx_read_metadata(disk, v);
    if (!error)
        error = vhdx_check_bat(disk, v);
    return error;
}

const struct format_driver vhdx_driver = {
    .name = "vhdx",
    .parts = vhdx_parts,
    .opaque_to_qemu = true, /* qemu looks at the BAT, but tells nobody */
    .signatures = {{.anchor = HEAD, .magic = VHDX_SIGNATURE, .length = 8}},
    .open = vhdx_open,
    .extent_at = vhdx_extent_at,
    .check_parent = vhdx_check_parent,
};
