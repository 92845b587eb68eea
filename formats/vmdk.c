// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: VMware virtual disk (VMware, "Virtual Disk Format 5.0"), hosted sparse extents. Little
 * endian.
 *
 * A header, then, in sectors: a grain directory (GD) of grain tables (GT) of grains. A stream has
 * deflated grains and, if its GD came last, a second header in the footer that alone counts. Tables
 * past the end of the file are taken as empty, as qemu has it. Grain tables one behind the other,
 * the usual layout, are read in one go.
 */
#include "vmdk.h"

#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "checked.h"

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

    COMPRESSION_DEFLATE = 1,

    /* The last three sectors of a stream: footer marker, footer, end-of-stream marker. */
    FOOTER_SECTORS = 3,
    MARKER_VALUE = 0,
    MARKER_SIZE = 8,
    MARKER_TYPE = 12,
    MARKER_END_OF_STREAM = 0,
    MARKER_FOOTER = 3,

    ENTRY_BYTES = 4,
    GTE_UNALLOCATED = 0,
    GTE_ZEROED = 1,

    VERSION_MAX = 3,

    /* What the specification calls for; qemu takes no more. */
    GTES_MAX = 512,

    /* 1 GiB. qemu's limit; usual is 64 KiB. */
    GRAIN_SECTORS_MAX = 1 << 21,

    /* 128 MiB of directory: qemu's limit. At usual grains it spans 1 PiB. */
    GD_ENTRIES_MAX = 32 << 20,

    GT_WINDOW_BYTES = 1 << 20,

    /* Tables may take that much more than the file: then they are the same over and over. */
    REUSED_BYTES = 64 << 20,
};

#define MAGIC_HOSTED "KDMV"
#define MAGIC_COWD   "COWD"

/* gdOffset: the directory, and the header that counts, are at the end. */
#define GD_AT_END UINT64_MAX

struct vmdk_header {
    uint32_t version, flags, num_gtes_per_gt;
    uint64_t capacity_sectors, grain_size_sectors, rgd_offset_sectors, gd_offset_sectors;
    uint64_t descriptor_offset_sectors, descriptor_size_sectors, over_head_sectors;
    uint16_t compress_algorithm;
};

struct vmdk {
    bool compressed, zeroed_grains;
    unsigned grain_shift;
    uint64_t grain_size;
    uint64_t gtes;       /* entries of one grain table */
    uint64_t table_size; /* guest bytes that one grain table covers */
    struct image_table gd;
    struct image_window gt;

    /* Guest bytes whose entries are at hand: grain by grain, or NULL, none of them allocated. */
    uint64_t start, length;
    const uint8_t *entries;

    /* Bytes of tables looked at since the walk last went backwards, and the next table. */
    uint64_t walked, next_table;
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
 * Replaces the header by the one in the footer. A file that does not end with a whole sector is
 * taken as filled up with zeros, as qemu has it: the end-of-stream marker is all zeros and may lack
 * some.
 */
static int footer_read(struct image *img, struct vmdk_header *h)
{
    uint64_t sectors = div_up(image_size(img), VMDK_SECTOR);
    const uint8_t *marker, *footer, *end;
    int error;

    if (sectors <= FOOTER_SECTORS)
        return image_fail(img, EUCLEAN,
                          "vmdk: the file is too short for the footer that gdOffset calls for");
    error = image_get(img, (sectors - FOOTER_SECTORS) * VMDK_SECTOR, FOOTER_SECTORS * VMDK_SECTOR,
                      &marker);
    if (error)
        return error;
    footer = marker + VMDK_SECTOR;
    end = footer + VMDK_SECTOR;
    if (le32(marker + MARKER_SIZE) != 0 || le32(marker + MARKER_TYPE) != MARKER_FOOTER)
        return image_fail(img, EUCLEAN,
                          "vmdk: no footer marker 1536 bytes before the end of the file");
    if (memcmp(footer, MAGIC_HOSTED, 4) != 0)
        return image_fail(img, EUCLEAN, "vmdk: the footer does not begin with " MAGIC_HOSTED);
    if (le64(end + MARKER_VALUE) != 0 || le32(end + MARKER_SIZE) != 0 ||
        le32(end + MARKER_TYPE) != MARKER_END_OF_STREAM)
        return image_fail(img, EUCLEAN, "vmdk: the last sector is not an end-of-stream marker");
    header_decode(h, footer);
    if (h->gd_offset_sectors == GD_AT_END)
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
    if (h->grain_size_sectors > GRAIN_SECTORS_MAX)
        return image_fail(img, EFBIG, "vmdk: grainSize %llu is more than %d sectors",
                          (unsigned long long)h->grain_size_sectors, GRAIN_SECTORS_MAX);
    if (!checked_mul(h->capacity_sectors, VMDK_SECTOR, &capacity) || capacity > DISK_BYTES_MAX)
        return image_fail(img, EFBIG, "vmdk: capacity %llu is more than 2^54 - 2^21 sectors",
                          (unsigned long long)h->capacity_sectors);
    if (div_up(h->capacity_sectors, h->num_gtes_per_gt * h->grain_size_sectors) > GD_ENTRIES_MAX)
        return image_fail(
            img, EFBIG,
            "vmdk: capacity %llu takes more than %d grain tables of %u grains of %llu sectors",
            (unsigned long long)h->capacity_sectors, GD_ENTRIES_MAX, h->num_gtes_per_gt,
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

/* The state for reading tables; reads none. */
static int tables_begin(struct disk *disk, const struct vmdk_header *h)
{
    struct image *img = disk->img;
    struct vmdk *v = image_alloc(img, sizeof *v);

    if (!v)
        return -ENOMEM;
    v->compressed = h->compress_algorithm == COMPRESSION_DEFLATE;
    v->zeroed_grains = h->flags & FLAG_ZEROED_GRAINS;
    v->grain_size = h->grain_size_sectors * VMDK_SECTOR;
    v->grain_shift = (unsigned)__builtin_ctzll(v->grain_size);
    v->gtes = h->num_gtes_per_gt;
    v->table_size = v->gtes * v->grain_size;
    v->gd = (struct image_table){.offset = h->gd_offset_sectors * VMDK_SECTOR,
                                 .entries = div_up(disk->virtual_size, v->table_size),
                                 .entry_bytes = ENTRY_BYTES};
    disk->state = v;
    return image_window_begin(img, &v->gt, GT_WINDOW_BYTES);
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
    error = vmdk_text_read(disk->img, offset, VMDK_DESCRIPTOR_MAX, &text);
    if (error || !vmdk_is_spread(&text))
        return error;
    *done = true;
    return vmdk_descriptor_open(disk, &text);
}

static int hosted_open(struct disk *disk, const uint8_t *head)
{
    struct vmdk_header front, h;
    bool done = false;
    int error = 0;

    header_decode(&front, head);
    if (front.capacity_sectors == 0)
        error = open_without_capacity(disk, &front, &done);
    if (error || done)
        return error;
    h = front;
    if (front.gd_offset_sectors == GD_AT_END)
        error = footer_read(disk->img, &h);
    if (!error)
        error = check_sizes(disk->img, &h);
    if (error)
        return error;
    disk->virtual_size = h.capacity_sectors * VMDK_SECTOR;
    disk->subformat =
        h.compress_algorithm == COMPRESSION_DEFLATE ? "streamOptimized" : "monolithicSparse";
    error = check_places(disk->img, &h);
    if (!error)
        error = vmdk_embedded_open(disk, front.descriptor_offset_sectors,
                                   front.descriptor_size_sectors);
    return error ? error : tables_begin(disk, &h);
}

static int vmdk_open(struct disk *disk)
{
    struct vmdk_text text;
    const uint8_t *head;
    int error = image_head(disk->img, &head);

    if (error)
        return error;
    if (memcmp(head, MAGIC_HOSTED, 4) == 0)
        return hosted_open(disk, head);
    if (memcmp(head, MAGIC_COWD, 4) == 0) {
        disk->subformat = "vmfsSparse";
        return image_fail(disk->img, ENOTSUP, "vmdk: COWD extents (vmfsSparse) are not handled");
    }
    error = vmdk_text_read(disk->img, 0, VMDK_DESCRIPTOR_MAX, &text);
    return error ? error : vmdk_descriptor_open(disk, &text);
}

static int vmdk_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error;

    if (signature->length)
        return 1;
    error = image_head(img, &head);
    return error ? error : vmdk_descriptor_probe(head, why);
}

/*
 * Refuses a walk in which tables together take more bytes than the file and some: entries of the
 * directory that name the same few tables, for which a small file could keep us busy for hours.
 * Tables of their own never come to that, as each begins in a sector of its own. Ends every walk,
 * however often the directory repeats itself.
 */
static int charge(struct disk *disk, uint64_t table, uint64_t tables, uint64_t bytes)
{
    struct vmdk *v = disk->state;

    if (table < v->next_table)
        v->walked = 0;
    v->next_table = table + tables;
    v->walked += bytes;
    if (v->walked <= image_size(disk->img) + REUSED_BYTES)
        return 0;
    return image_fail(disk->img, EFBIG,
                      "vmdk: the first %llu grain tables take more bytes than the file: some are "
                      "used over and over",
                      (unsigned long long)v->next_table);
}

/* Whether a directory entry names a table of which the file holds anything. */
static bool is_table(const struct disk *disk, uint32_t entry)
{
    return entry && (uint64_t)entry * VMDK_SECTOR < image_size(disk->img);
}

/* Brings in the entries of the table that covers offset, and of those behind it that are read with
 * it or are alike. */
static int tables_load(struct disk *disk, uint64_t offset)
{
    struct vmdk *v = disk->state;
    uint64_t table = offset / v->table_size, bytes = v->gtes * ENTRY_BYTES;
    uint64_t tables = 1, known, most;
    const uint8_t *gd;
    uint32_t entry;
    int error = image_table_at(disk->img, &v->gd, table, &gd, &known);

    v->length = 0;
    v->entries = NULL;
    if (error)
        return error;
    entry = le32(gd);
    if (!is_table(disk, entry)) {
        while (tables < known && !is_table(disk, le32(gd + tables * ENTRY_BYTES)))
            tables++;
    } else {
        /* Tables that do not fill their last sector have gaps between them: one by one. */
        most = bytes % VMDK_SECTOR == 0 ? min_u64(known, GT_WINDOW_BYTES / bytes) : 1;
        while (tables < most &&
               le32(gd + tables * ENTRY_BYTES) == entry + tables * (bytes / VMDK_SECTOR))
            tables++;
        error = charge(disk, table, tables, tables * div_up(bytes, VMDK_SECTOR) * VMDK_SECTOR);
        if (!error)
            error = image_window_at(disk->img, &v->gt, (uint64_t)entry * VMDK_SECTOR,
                                    (size_t)(tables * bytes), &v->entries);
    }
    if (error)
        return error;
    v->start = table * v->table_size;
    v->length = tables * v->table_size;
    return 0;
}

/* Entries, of n at p, that are the given one. */
static size_t run_of(const uint8_t *p, size_t n, uint32_t entry)
{
    size_t i = 1;

    while (i < n && le32(p + i * ENTRY_BYTES) == entry)
        i++;
    return i;
}

/* Entries that are above the reserved ones: they name grains, wherever these are. */
static size_t run_above(const uint8_t *p, size_t n, uint32_t reserved)
{
    size_t i = 1;

    while (i < n && le32(p + i * ENTRY_BYTES) > reserved)
        i++;
    return i;
}

/* Entries that name grains one behind the other in the file. */
static size_t run_adjacent(const uint8_t *p, size_t n, uint64_t grain_sectors)
{
    uint64_t next = le32(p);
    size_t i = 0;

    do {
        i++;
        next += grain_sectors;
    } while (i < n && le32(p + i * ENTRY_BYTES) == next);
    return i;
}

static int vmdk_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct vmdk *v = disk->state;
    uint64_t inside = offset - v->start, within = offset & (v->grain_size - 1);
    const uint8_t *p;
    uint32_t entry;
    size_t left, run;

    if (offset < v->start || inside >= v->length) {
        int error = tables_load(disk, offset);

        if (error)
            return error;
        inside = offset - v->start;
    }
    extent->kind = EXTENT_HOLE;
    extent->host = EXTENT_NO_HOST;
    extent->flags = 0;
    extent->length = v->length - inside;
    if (!v->entries)
        return 0;
    p = v->entries + (inside >> v->grain_shift) * ENTRY_BYTES;
    left = (size_t)((v->length >> v->grain_shift) - (inside >> v->grain_shift));
    entry = le32(p);
    if (entry == GTE_UNALLOCATED || (entry == GTE_ZEROED && v->zeroed_grains)) {
        extent->kind = entry == GTE_UNALLOCATED ? EXTENT_HOLE : EXTENT_ZERO;
        run = run_of(p, left, entry);
    } else {
        extent->kind = EXTENT_DATA;
        if (v->compressed)
            extent->flags = EXTENT_COMPRESSED;
        else
            extent->host = (uint64_t)entry * VMDK_SECTOR + within;
        run = (want & EXTENTS_WANT_HOST) && !v->compressed
                  ? run_adjacent(p, left, v->grain_size / VMDK_SECTOR)
                  : run_above(p, left, v->zeroed_grains ? GTE_ZEROED : GTE_UNALLOCATED);
    }
    extent->length = ((uint64_t)run << v->grain_shift) - within;
    return 0;
}

const struct format_driver vmdk_driver = {
    .name = "vmdk",
    .signatures = {{HEAD, 0, MAGIC_HOSTED, 4}, {HEAD, 0, MAGIC_COWD, 4}, {HEAD, 0, "", 0}},
    .probe = vmdk_probe,
    .open = vmdk_open,
    .extent_at = vmdk_extent_at,
};
