// SPDX-License-Identifier: Apache-2.0
/*
 * qcow, version 1 (McLoughlin, "The QCOW Image Format"; QEMU, block/qcow.c). Big endian.
 *
 * Two levels of tables (L1, L2) map guest clusters to file offsets, which need not be aligned to
 * clusters. Unmapped clusters come from the backing file, if the header names one. Tables past the
 * end of the file read as zeros, as in qemu.
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
#include "reference.h"
#include "unpack.h"

enum {
    HEADER_VERSION = 4,
    HEADER_BACKING_FILE_OFFSET = 8,
    HEADER_BACKING_FILE_SIZE = 16,
    HEADER_MTIME = 20,
    HEADER_SIZE = 24,
    HEADER_CLUSTER_BITS = 32,
    HEADER_L2_BITS = 33,
    HEADER_PADDING = 34,
    HEADER_CRYPT_METHOD = 36,
    HEADER_L1_TABLE_OFFSET = 40,
    HEADER_BYTES = 48,

    FIRST_VERSION = 1,
    CRYPT_AES = 1,
    ENTRY_BYTES = 8,

    /* Limits of qemu: clusters and L2 tables of 512 bytes to 64 KiB. */
    CLUSTER_BITS_MIN = 9,
    CLUSTER_BITS_MAX = 16,
    L2_BITS_MIN = 6,
    L2_BITS_MAX = 13,
    SIZE_MIN = 2,
    BACKING_FILE_NAME_MAX = 1023,

    L2_WINDOW_BYTES = 256 << 10, /* ours: L2 tables read at once */
};

#define MAGIC            "QFI\xfb"
#define ENTRY_COMPRESSED (UINT64_C(1) << 63)

/* qemu reads the L1 table with one request, and this is the longest one. */
#define L1_BYTES_MAX ((UINT64_C(1) << 31) - SECTOR)

struct qcow {
    unsigned cluster_bits;
    uint64_t cluster_size;
    uint64_t l2_bytes;       /* of one L2 table */
    uint64_t l2_guest_bytes; /* guest bytes that one L2 table maps */
    struct image_table l1;
    struct image_window l2;
    uint64_t l2_start, l2_end; /* guest range that the tables in window l2 map */
};

/* Version 0 does not exist. Versions from 2 on are qcow2, which has its own driver. */
static int qcow_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error = image_head(img, &head);
    uint32_t version;

    (void)signature;
    if (error)
        return error;
    version = be32(head + HEADER_VERSION);
    if (version == 0)
        snprintf(why->words, sizeof why->words, "version 0 is not %d", FIRST_VERSION);
    return version == FIRST_VERSION;
}

static int qcow_open_magic(struct disk *disk, const uint8_t *header)
{
    uint32_t version = be32(header + HEADER_VERSION);

    if (memcmp(header, MAGIC, 4) != 0)
        return image_fail(disk->img, EUCLEAN, "qcow: magic 0x%08x at offset 0 is not 0x%08x",
                          be32(header), be32((const uint8_t *)MAGIC));
    if (version != FIRST_VERSION)
        return image_fail(disk->img, ENOTSUP, "qcow: version %u is not %d", version, FIRST_VERSION);
    return 0;
}

/* Sets the sizes of clusters and L2 tables, and whether clusters are encrypted. */
static int qcow_open_layout(struct disk *disk, const uint8_t *header)
{
    struct qcow *q = disk->state;
    unsigned l2_bits = header[HEADER_L2_BITS];
    uint32_t crypt_method = be32(header + HEADER_CRYPT_METHOD);

    q->cluster_bits = header[HEADER_CLUSTER_BITS];
    if (q->cluster_bits < CLUSTER_BITS_MIN || q->cluster_bits > CLUSTER_BITS_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow: cluster_bits %u is not between %d and %d",
                          q->cluster_bits, CLUSTER_BITS_MIN, CLUSTER_BITS_MAX);
    if (l2_bits < L2_BITS_MIN || l2_bits > L2_BITS_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow: l2_bits %u is not between %d and %d", l2_bits,
                          L2_BITS_MIN, L2_BITS_MAX);
    if (crypt_method > CRYPT_AES)
        return image_fail(disk->img, ENOTSUP,
                          "qcow: crypt_method %u is neither 0 (none) nor %d (AES)", crypt_method,
                          CRYPT_AES);
    disk->is_encrypted = crypt_method == CRYPT_AES;
    q->cluster_size = UINT64_C(1) << q->cluster_bits;
    disk->qemu_run_unit = q->cluster_size;
    q->l2_bytes = (UINT64_C(1) << l2_bits) * ENTRY_BYTES;
    q->l2_guest_bytes = q->cluster_size << l2_bits;
    return 0;
}

/* Sets the virtual size and the L1 table, whose length follows from the size. */
static int qcow_open_l1(struct disk *disk, const uint8_t *header)
{
    struct qcow *q = disk->state;
    uint64_t size = be64(header + HEADER_SIZE);

    q->l1 = (struct image_table){.offset = be64(header + HEADER_L1_TABLE_OFFSET),
                                 .entries = div_up(size, q->l2_guest_bytes),
                                 .entry_bytes = ENTRY_BYTES};
    if (size < SIZE_MIN)
        return image_fail(disk->img, EUCLEAN, "qcow: size %llu is less than %d",
                          (unsigned long long)size, SIZE_MIN);
    if (q->l1.entries > L1_BYTES_MAX / ENTRY_BYTES)
        return image_fail(disk->img, EFBIG,
                          "qcow: size %llu needs an L1 table of more than %llu bytes",
                          (unsigned long long)size, (unsigned long long)L1_BYTES_MAX);
    if (q->l1.offset > DISK_BYTES_MAX - q->l1.entries * ENTRY_BYTES)
        return image_fail(disk->img, EUCLEAN,
                          "qcow: l1_table_offset %llu is beyond the largest file offset",
                          (unsigned long long)q->l1.offset);
    disk->virtual_size = size - size % SECTOR;
    disk_note_table(disk, q->l1.offset, q->l1.entries * ENTRY_BYTES, "the L1 table");
    return 0;
}

/* Reads the name of the backing file. The header has no field for its format. */
static int qcow_open_backing(struct disk *disk, const uint8_t *header)
{
    uint64_t offset = be64(header + HEADER_BACKING_FILE_OFFSET);
    uint32_t length = be32(header + HEADER_BACKING_FILE_SIZE);

    if (offset == 0)
        return 0;
    if (length > BACKING_FILE_NAME_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow: backing_file_size %u is more than %d", length,
                          BACKING_FILE_NAME_MAX);
    if (offset > DISK_BYTES_MAX - length)
        return image_fail(disk->img, EUCLEAN,
                          "qcow: backing_file_offset %llu is beyond the largest file offset",
                          (unsigned long long)offset);
    return disk_read_reference(disk,
                               (struct reference){.role = REFERENCE_BACKING,
                                                  .kind = "backing file",
                                                  .source = "backing_file_offset"},
                               offset, length);
}

static int qcow_open(struct disk *disk)
{
    struct qcow *q = image_alloc(disk->img, sizeof *q);
    const uint8_t *header;
    int error = q ? image_head(disk->img, &header) : -ENOMEM;

    if (error)
        return error;
    disk->state = q;
    error = qcow_open_magic(disk, header);
    if (!error)
        error = qcow_open_layout(disk, header);
    if (!error)
        error = qcow_open_l1(disk, header);
    if (!error)
        error = qcow_open_backing(disk, header);
    return error;
}

/* Whether the L1 entry maps nothing: it is 0, or its table is past the end of the file, which is
 * reported. */
static bool qcow_is_l1_entry_empty(struct disk *disk, uint64_t entry)
{
    const struct qcow *q = disk->state;

    if (entry == 0)
        return true;
    if (entry < image_size(disk->img) || entry > DISK_BYTES_MAX)
        return false;
    disk_note_table(disk, entry, q->l2_bytes, "an L2 table");
    return true;
}

/* Reads the L2 table of l1[0], and those of the next entries as long as they follow it in the file.
 */
static int qcow_load_l2(struct disk *disk, uint64_t l1_index, const uint8_t *l1, uint64_t count)
{
    struct qcow *q = disk->state;
    size_t window = image_window_share(disk->img, L2_WINDOW_BYTES);
    uint64_t start = be64(l1), tables = 1, length;
    uint64_t most = min_u64(count, window / q->l2_bytes);
    const uint8_t *bytes;
    int error = 0;

    if (start > DISK_BYTES_MAX)
        return image_fail(
            disk->img, EUCLEAN,
            "qcow: L1 entry %llu: L2 table offset %llu is beyond the largest file offset",
            (unsigned long long)l1_index, (unsigned long long)start);
    while (tables < most && be64(l1 + tables * ENTRY_BYTES) == start + tables * q->l2_bytes)
        tables++;
    if (!q->l2.bytes)
        error = image_window_begin(disk->img, &q->l2, window);
    /* Read again what may be in the window already: entries that share a table must use up the
     * session's budget, or a small file could make a walk endless. */
    q->l2.length = 0;
    q->l2_end = 0;
    /* Without the entries that are wholly past the end of the file. */
    length = div_up(image_size(disk->img) - start, ENTRY_BYTES) * ENTRY_BYTES;
    length = min_u64(length, tables * q->l2_bytes);
    disk_note_table(disk, start, tables * q->l2_bytes, "an L2 table");
    if (!error)
        error = image_window_at(disk->img, &q->l2, start, (size_t)length, &bytes);
    if (error)
        return error;
    q->l2_start = l1_index * q->l2_guest_bytes;
    q->l2_end = q->l2_start + tables * q->l2_guest_bytes;
    return 0;
}

/*
 * Finds the L2 entries from the one for offset on. Returns 1; 0 if there is none, with *hole set to
 * the number of guest bytes without entries from offset on; -errno.
 */
static int qcow_find_entries(struct disk *disk, uint64_t offset, const uint8_t **entries,
                             uint64_t *count, uint64_t *hole)
{
    struct qcow *q = disk->state;
    uint64_t index = offset / q->l2_guest_bytes, l1_count, empty = 0, at;
    const uint8_t *l1;
    int error = 0;

    if (offset < q->l2_start || offset >= q->l2_end) {
        /* If the file ends before this L1 entry, nothing from here on is mapped. */
        *hole = disk->virtual_size - offset;
        if (q->l1.offset + index * ENTRY_BYTES >= image_size(disk->img))
            return 0;
        error = image_table_at(disk->img, &q->l1, index, &l1, &l1_count);
        while (!error && empty < l1_count &&
               qcow_is_l1_entry_empty(disk, be64(l1 + empty * ENTRY_BYTES)))
            empty++;
        *hole = empty * q->l2_guest_bytes - offset % q->l2_guest_bytes;
        if (!error && !empty)
            error = qcow_load_l2(disk, index, l1, l1_count);
        if (error || empty)
            return error;
    }
    at = ((offset - q->l2_start) >> q->cluster_bits) * ENTRY_BYTES;
    *hole = q->l2_end - offset;
    if (at >= q->l2.length)
        return 0;
    *entries = q->l2.bytes + at;
    *count = (q->l2.length - at) / ENTRY_BYTES;
    return 1;
}

/* Counts the entries from the first on that are all 0, or all not 0. */
static uint64_t qcow_allocation_run(const uint8_t *entries, uint64_t count)
{
    bool empty = be64(entries) == 0;
    uint64_t n = 1;

    while (n < count && (be64(entries + n * ENTRY_BYTES) == 0) == empty)
        n++;
    return n;
}

/* Counts the entries from the first on whose clusters are contiguous in the file. */
static uint64_t qcow_contiguous_run(const struct qcow *q, const uint8_t *entries, uint64_t count)
{
    uint64_t n = 1, first = be64(entries);

    while (n < count && be64(entries + n * ENTRY_BYTES) == first + n * q->cluster_size)
        n++;
    return n;
}

/*
 * Describes the data of the mapped cluster of the first entry, and sets *run to the number of
 * clusters that the description covers: 1 if they are compressed or encrypted. Called only if host
 * offsets are requested: as in qemu, the offset of a cluster is not checked before data is read.
 */
static int qcow_describe_data(struct disk *disk, const uint8_t *entries, uint64_t count,
                              struct extent *extent, uint64_t *run)
{
    const struct qcow *q = disk->state;
    uint64_t entry = be64(entries), within = extent->offset % q->cluster_size;

    *run = 1;
    if (entry & ENTRY_COMPRESSED) {
        extent->flags = EXTENT_COMPRESSED;
        return 0;
    }
    if (entry % SECTOR)
        return image_fail(disk->img, EUCLEAN,
                          "qcow: cluster of guest offset %llu: offset %llu is not a multiple of %d",
                          (unsigned long long)(extent->offset - within), (unsigned long long)entry,
                          SECTOR);
    *run = disk->is_encrypted ? 1 : qcow_contiguous_run(q, entries, count);
    if (!disk->is_encrypted)
        extent->host = entry + within;
    return 0;
}

static int qcow_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct qcow *q = disk->state;
    uint64_t count, run;
    const uint8_t *entries;
    int found = qcow_find_entries(disk, offset, &entries, &count, &extent->length), error = 0;

    extent->kind = EXTENT_HOLE;
    if (found <= 0)
        return found;
    if (be64(entries) != 0)
        extent->kind = EXTENT_DATA;
    if (extent->kind == EXTENT_DATA && (want & EXTENTS_WANT_HOST))
        error = qcow_describe_data(disk, entries, count, extent, &run);
    else
        run = qcow_allocation_run(entries, count);
    if (!error)
        extent->length = run * q->cluster_size - offset % q->cluster_size;
    return error;
}

/*
 * An entry of a compressed cluster is, from the top: 1 bit that is set, cluster_bits bits with the
 * length of the stream in bytes, and its file offset. qemu compresses with a window of 4 KiB, but
 * reads streams with any window, because it inflates a cluster at once. Compressed clusters are not
 * encrypted, even if the others are.
 */
static int qcow_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct qcow *q = disk->state;
    unsigned offset_bits = 63 - q->cluster_bits;
    struct packed stream = {.format = "qcow",
                            .what = "compressed cluster",
                            .packing = PACKED_DEFLATE,
                            .size = q->cluster_size};
    uint64_t count, hole, entry;
    const uint8_t *entries;
    int found = qcow_find_entries(disk, offset, &entries, &count, &hole);

    if (found < 0)
        return found;
    entry = found ? be64(entries) : 0;
    if (!(entry & ENTRY_COMPRESSED))
        return image_fail(
            disk->img, EUCLEAN,
            "qcow: cluster of guest offset %llu is no longer compressed: its L2 entry has changed",
            (unsigned long long)offset);
    stream.offset = entry & ((UINT64_C(1) << offset_bits) - 1);
    stream.length = entry >> offset_bits & (q->cluster_size - 1);
    return unpack_at(disk->img, &stream, offset % q->cluster_size, bytes, length);
}

static const struct field header_fields[] = {
    {"magic", 0, 4, field_hex, NULL},
    {"version", HEADER_VERSION, 4, field_be, NULL},
    {"backing_file_offset", HEADER_BACKING_FILE_OFFSET, 8, field_be, NULL},
    {"backing_file_size", HEADER_BACKING_FILE_SIZE, 4, field_be, NULL},
    {"mtime", HEADER_MTIME, 4, field_be, NULL},
    {"size", HEADER_SIZE, 8, field_be, NULL},
    {"cluster_bits", HEADER_CLUSTER_BITS, 1, field_be, NULL},
    {"l2_bits", HEADER_L2_BITS, 1, field_be, NULL},
    {"padding", HEADER_PADDING, 2, field_be, NULL},
    {"crypt_method", HEADER_CRYPT_METHOD, 4, field_be, NULL},
    {"l1_table_offset", HEADER_L1_TABLE_OFFSET, 8, field_be, NULL},
};

static int qcow_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    *offset = 0;
    *length = HEADER_BYTES;
    return 1;
}

static const struct header_section qcow_sections[] = {
    {"", FIELDS(header_fields), qcow_find_header},
    {.fields = NULL},
};

const struct format_driver qcow_driver = {
    .name = "qcow",
    .sections = qcow_sections,
    .signatures = {{HEAD, 0, MAGIC, 4}},
    .probe = qcow_probe,
    .open = qcow_open,
    .extent_at = qcow_extent_at,
    .decode = qcow_decode,
};
