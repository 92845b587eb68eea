// SPDX-License-Identifier: Apache-2.0
/*
 * qed: QEMU Enhanced Disk (QEMU, docs/interop/qed_spec.txt). Little endian.
 *
 * Two levels of tables (L1, L2), all of one size, map guest clusters to clusters of the file.
 * Unmapped clusters come from the backing file, if the header names one. Tables and clusters must
 * be aligned to clusters, after the header, and inside the file.
 */
#include <errno.h>

#include "bytes.h"
#include "checked.h"
#include "disk.h"
#include "extents.h"
#include "fields.h"
#include "format.h"
#include "image.h"
#include "reference.h"

enum {
    HEADER_CLUSTER_SIZE = 4,
    HEADER_TABLE_SIZE = 8,
    HEADER_HEADER_SIZE = 12,
    HEADER_FEATURES = 16,
    HEADER_COMPAT_FEATURES = 24,
    HEADER_AUTOCLEAR_FEATURES = 32,
    HEADER_L1_TABLE_OFFSET = 40,
    HEADER_IMAGE_SIZE = 48,
    HEADER_BACKING_FILENAME_OFFSET = 56,
    HEADER_BACKING_FILENAME_SIZE = 60,
    HEADER_BYTES = 64,

    FEATURE_BACKING_FILE = 1 << 0,
    FEATURE_NEED_CHECK = 1 << 1,
    FEATURE_BACKING_FORMAT_NO_PROBE = 1 << 2,
    FEATURES_KNOWN = 7,

    /* Limits of the specification. */
    CLUSTER_SIZE_MIN = 4 << 10,
    CLUSTER_SIZE_MAX = 64 << 20,
    TABLE_SIZE_MAX = 16,

    BACKING_FILENAME_MAX = 4095, /* qemu's limit, PATH_MAX - 1 */

    ENTRY_BYTES = 8,
    ENTRY_HOLE = 0,
    ENTRY_ZERO = 1,

    L2_WINDOW_BYTES = 256 << 10, /* ours: bytes of L2 tables, or of one L2 table, read at once */
};

#define MAGIC "QED"

struct qed {
    uint64_t cluster_size;
    uint64_t table_bytes; /* of the L1 table and of each L2 table */
    uint64_t header_bytes;
    uint64_t clusters_start; /* offsets of clusters and tables: from the end of the header */
    uint64_t clusters_end;   /* to the end of the last whole cluster in the file */
    uint64_t l2_guest_bytes; /* guest bytes that one L2 table maps */
    struct image_table l1;
    struct image_window l2;
    uint64_t l2_start, l2_end; /* guest range that the entries in window l2 map */
};

/* Whether a cluster may have this offset. The entries of holes and zero clusters (0, 1) may not. */
static inline bool qed_is_cluster(const struct qed *q, uint64_t offset)
{
    return !(offset & (q->cluster_size - 1)) && offset >= q->clusters_start &&
           offset < q->clusters_end;
}

/* Whether a table may have this offset: all of it must be inside the file. */
static bool qed_is_table(const struct qed *q, uint64_t offset)
{
    return qed_is_cluster(q, offset) && q->table_bytes <= q->clusters_end - offset;
}

/* Why a cluster or a table may not have this offset, for a message. */
static const char *qed_misplacement(const struct qed *q, uint64_t offset)
{
    if (offset & (q->cluster_size - 1))
        return "not on a cluster boundary";
    return offset < q->clusters_start ? "in the header" : "past the end of the file";
}

/* Sets the sizes of clusters, tables and the header, and where clusters may be. */
static int qed_open_sizes(struct disk *disk, const uint8_t *header)
{
    struct qed *q = disk->state;
    uint32_t cluster_size = le32(header + HEADER_CLUSTER_SIZE);
    uint32_t table_size = le32(header + HEADER_TABLE_SIZE);
    uint32_t header_size = le32(header + HEADER_HEADER_SIZE);
    uint64_t end;

    if (!is_power_of_two(cluster_size) || cluster_size < CLUSTER_SIZE_MIN ||
        cluster_size > CLUSTER_SIZE_MAX)
        return image_fail(disk->img, EUCLEAN,
                          "qed: cluster_size %u is not a power of two from %d to %d", cluster_size,
                          CLUSTER_SIZE_MIN, CLUSTER_SIZE_MAX);
    if (!is_power_of_two(table_size) || table_size > TABLE_SIZE_MAX)
        return image_fail(disk->img, EUCLEAN,
                          "qed: table_size %u (clusters) is not a power of two up to %d",
                          table_size, TABLE_SIZE_MAX);
    /* qemu's limit: the size in bytes fits in 32 bits. */
    if (header_size > UINT32_MAX / cluster_size)
        return image_fail(disk->img, EUCLEAN, "qed: header_size %u is more than %u clusters",
                          header_size, UINT32_MAX / cluster_size);
    q->cluster_size = cluster_size;
    q->table_bytes = (uint64_t)table_size * cluster_size;
    q->header_bytes = (uint64_t)header_size * cluster_size;
    q->l2_guest_bytes = q->table_bytes / ENTRY_BYTES * cluster_size;
    /* As in qemu: the file's size, rounded up to sectors, then down to clusters. */
    checked_round_up(image_size(disk->img), SECTOR, &end);
    q->clusters_end = end - end % cluster_size;
    q->clusters_start = max_u64(q->header_bytes, ENTRY_ZERO + 1);
    return 0;
}

/*
 * Sets the virtual size and the L1 table. Large tables of large clusters can map more than 2^64
 * bytes; there qemu's arithmetic overflows, and it refuses good images.
 */
static int qed_open_l1(struct disk *disk, const uint8_t *header)
{
    struct qed *q = disk->state;
    uint64_t size = le64(header + HEADER_IMAGE_SIZE), most;

    q->l1 = (struct image_table){.offset = le64(header + HEADER_L1_TABLE_OFFSET),
                                 .entries = q->table_bytes / ENTRY_BYTES,
                                 .entry_bytes = ENTRY_BYTES};
    if (size % SECTOR)
        return image_fail(disk->img, EUCLEAN, "qed: image_size %llu is not a multiple of %d",
                          (unsigned long long)size, SECTOR);
    if (!checked_mul(q->l1.entries, q->l2_guest_bytes, &most) || most > DISK_BYTES_MAX)
        most = DISK_BYTES_MAX;
    if (size > most)
        return image_fail(disk->img, EFBIG, "qed: image_size %llu is more than the maximum of %llu",
                          (unsigned long long)size, (unsigned long long)most);
    if (!qed_is_table(q, q->l1.offset))
        return image_fail(disk->img, EUCLEAN, "qed: the L1 table at offset %llu is %s",
                          (unsigned long long)q->l1.offset, qed_misplacement(q, q->l1.offset));
    disk->virtual_size = size;
    return 0;
}

static int qed_open_backing(struct disk *disk, const uint8_t *header)
{
    const struct qed *q = disk->state;
    uint32_t offset = le32(header + HEADER_BACKING_FILENAME_OFFSET);
    uint32_t length = le32(header + HEADER_BACKING_FILENAME_SIZE);
    uint64_t features = le64(header + HEADER_FEATURES);

    if (!(features & FEATURE_BACKING_FILE))
        return 0;
    if ((uint64_t)offset + length > q->header_bytes)
        return image_fail(disk->img, EUCLEAN,
                          "qed: backing file name of %u bytes at offset %u is not in the header",
                          length, offset);
    if (length > BACKING_FILENAME_MAX)
        return image_fail(disk->img, EUCLEAN, "qed: backing_filename_size %u is more than %d",
                          length, BACKING_FILENAME_MAX);
    /* The flag means that the backing file is raw, whatever its content looks like. */
    return disk_read_reference(
        disk,
        (struct reference){.role = REFERENCE_BACKING,
                           .kind = "backing file",
                           .source = "backing_filename_offset",
                           .format = features & FEATURE_BACKING_FORMAT_NO_PROBE ? "raw" : NULL},
        offset, length);
}

static int qed_open(struct disk *disk)
{
    struct qed *q = image_alloc(disk->img, sizeof *q);
    uint64_t unknown;
    const uint8_t *header;
    int error = q ? image_head(disk->img, &header) : -ENOMEM;

    if (error)
        return error;
    disk->state = q;
    if (memcmp(header, MAGIC, sizeof MAGIC) != 0)
        return image_fail(disk->img, EUCLEAN, "qed: magic 0x%08x at offset 0 is not 0x%08x",
                          be32(header), be32((const uint8_t *)MAGIC));
    unknown = le64(header + HEADER_FEATURES) & ~(uint64_t)FEATURES_KNOWN;
    if (unknown)
        return image_fail(disk->img, ENOTSUP, "qed: features has unknown bits 0x%llx",
                          (unsigned long long)unknown);
    error = qed_open_sizes(disk, header);
    if (!error)
        error = qed_open_l1(disk, header);
    if (!error)
        error = qed_open_backing(disk, header);
    if (!error && (le64(header + HEADER_FEATURES) & FEATURE_NEED_CHECK))
        image_note(
            disk->img,
            "qed: features has need-check set: the image is open or was not closed properly");
    return error;
}

/*
 * Reads the L2 entry for offset and its neighbours: the table of l1[0], and those of the next
 * entries as long as they follow it in the file; of a table larger than the window, a piece.
 */
static int qed_load_l2(struct disk *disk, uint64_t offset, const uint8_t *l1, uint64_t count)
{
    struct qed *q = disk->state;
    size_t window = image_window_share(disk->img, L2_WINDOW_BYTES);
    uint64_t start = le64(l1), tables = 1, most = min_u64(count, window / q->table_bytes);
    uint64_t index = offset / q->l2_guest_bytes, piece = 0, length;
    const uint8_t *bytes;
    int error = 0;

    if (!qed_is_table(q, start))
        return image_fail(
            disk->img, EUCLEAN, "qed: the L2 table of L1 entry %llu at offset %llu is %s",
            (unsigned long long)index, (unsigned long long)start, qed_misplacement(q, start));
    while (tables < most && le64(l1 + tables * ENTRY_BYTES) == start + tables * q->table_bytes &&
           qed_is_table(q, start + tables * q->table_bytes))
        tables++;
    if (q->table_bytes > window) {
        piece = offset % q->l2_guest_bytes / q->cluster_size * ENTRY_BYTES;
        piece -= piece % window;
    }
    length = min_u64(tables * q->table_bytes, window);
    if (!q->l2.bytes)
        error = image_window_begin(disk->img, &q->l2, window);
    /* Read again what may be in the window already: entries that share a table must use up the
     * session's budget, or a small file could make a walk endless. */
    q->l2.length = 0;
    q->l2_end = 0;
    if (!error)
        error = image_window_at(disk->img, &q->l2, start + piece, (size_t)length, &bytes);
    if (error)
        return error;
    q->l2_start = index * q->l2_guest_bytes + piece / ENTRY_BYTES * q->cluster_size;
    q->l2_end = q->l2_start + length / ENTRY_BYTES * q->cluster_size;
    return 0;
}

/*
 * Brings the L2 entry for offset into window l2. Returns 1; 0 if there is no L2 table, with *hole
 * set to the number of guest bytes without a table from offset on; -errno.
 */
static int qed_find_l2(struct disk *disk, uint64_t offset, uint64_t *hole)
{
    struct qed *q = disk->state;
    uint64_t count, empty = 0;
    const uint8_t *l1;
    int error;

    if (offset >= q->l2_start && offset < q->l2_end)
        return 1;
    error = image_table_at(disk->img, &q->l1, offset / q->l2_guest_bytes, &l1, &count);
    if (error)
        return error;
    while (empty < count && le64(l1 + empty * ENTRY_BYTES) == ENTRY_HOLE)
        empty++;
    if (!empty) {
        error = qed_load_l2(disk, offset, l1, count);
        return error ? error : 1;
    }
    *hole = empty * q->l2_guest_bytes - offset % q->l2_guest_bytes;
    return 0;
}

static inline enum extent_kind qed_entry_kind(uint64_t entry)
{
    if (entry == ENTRY_ZERO)
        return EXTENT_ZERO;
    return entry == ENTRY_HOLE ? EXTENT_HOLE : EXTENT_DATA;
}

/* Counts the entries from the first on that are equal: all holes, or all zero clusters. */
static uint64_t qed_equal_run(const uint8_t *entries, uint64_t count)
{
    uint64_t first = le64(entries), n = 1;

    while (n < count && le64(entries + n * ENTRY_BYTES) == first)
        n++;
    return n;
}

/* Counts the entries from the first on that are valid clusters. */
static uint64_t qed_data_run(const struct qed *q, const uint8_t *entries, uint64_t count)
{
    uint64_t n = 1;

    while (n < count && qed_is_cluster(q, le64(entries + n * ENTRY_BYTES)))
        n++;
    return n;
}

/* Counts the entries from the first on that are valid clusters and contiguous in the file. */
static uint64_t qed_contiguous_run(const struct qed *q, const uint8_t *entries, uint64_t count)
{
    uint64_t n = 1, next = le64(entries) + q->cluster_size;

    for (; n < count && le64(entries + n * ENTRY_BYTES) == next && qed_is_cluster(q, next); n++)
        next += q->cluster_size;
    return n;
}

static int qed_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct qed *q = disk->state;
    uint64_t within = offset % q->cluster_size, entry, count, run;
    const uint8_t *entries;
    int found = qed_find_l2(disk, offset, &extent->length);

    extent->kind = EXTENT_HOLE;
    if (found <= 0)
        return found;
    entries = q->l2.bytes + (offset - q->l2_start) / q->cluster_size * ENTRY_BYTES;
    count = (q->l2_end - offset + within) / q->cluster_size;
    entry = le64(entries);
    extent->kind = qed_entry_kind(entry);
    if (extent->kind == EXTENT_DATA && !qed_is_cluster(q, entry))
        return image_fail(disk->img, EUCLEAN,
                          "qed: the cluster of guest offset %llu at offset %llu is %s",
                          (unsigned long long)(offset - within), (unsigned long long)entry,
                          qed_misplacement(q, entry));
    if (extent->kind == EXTENT_DATA) {
        run = want & EXTENTS_WANT_HOST ? qed_contiguous_run(q, entries, count)
                                       : qed_data_run(q, entries, count);
        extent->host = entry + within;
    } else {
        run = qed_equal_run(entries, count);
    }
    extent->length = run * q->cluster_size - within;
    return 0;
}

static const struct field_word feature_words[] = {
    {FEATURE_BACKING_FILE, "backing-file"},
    {FEATURE_NEED_CHECK, "need-check"},
    {FEATURE_BACKING_FORMAT_NO_PROBE, "backing-format-no-probe"},
    {0, NULL},
};
static const struct field_word no_words[] = {{0, NULL}};

/* The names are those of the specification, section "Header". */
static const struct field header_fields[] = {
    {"magic", 0, 4, field_hex, NULL},
    {"cluster_size", HEADER_CLUSTER_SIZE, 4, field_le, NULL},
    {"table_size", HEADER_TABLE_SIZE, 4, field_le, NULL},
    {"header_size", HEADER_HEADER_SIZE, 4, field_le, NULL},
    {"features", HEADER_FEATURES, 8, field_flags_le, feature_words},
    {"compat_features", HEADER_COMPAT_FEATURES, 8, field_flags_le, no_words},
    {"autoclear_features", HEADER_AUTOCLEAR_FEATURES, 8, field_flags_le, no_words},
    {"l1_table_offset", HEADER_L1_TABLE_OFFSET, 8, field_le, NULL},
    {"image_size", HEADER_IMAGE_SIZE, 8, field_le, NULL},
    {"backing_filename_offset", HEADER_BACKING_FILENAME_OFFSET, 4, field_le, NULL},
    {"backing_filename_size", HEADER_BACKING_FILENAME_SIZE, 4, field_le, NULL},
};

static const struct field backing_fields[] = {{"backing_filename", 0, 0, field_text, NULL}};

/* Without a backing file the header ends before the fields that locate its name. */
static int qed_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *header;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    *offset = 0;
    *length = le64(header + HEADER_FEATURES) & FEATURE_BACKING_FILE
                  ? HEADER_BYTES
                  : HEADER_BACKING_FILENAME_OFFSET;
    return 1;
}

static int qed_find_backing(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *header;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    *offset = le32(header + HEADER_BACKING_FILENAME_OFFSET);
    *length = le32(header + HEADER_BACKING_FILENAME_SIZE);
    return (le64(header + HEADER_FEATURES) & FEATURE_BACKING_FILE) && *length;
}

static const struct header_section qed_sections[] = {
    {"", FIELDS(header_fields), qed_find_header},
    {"", FIELDS(backing_fields), qed_find_backing},
    {.fields = NULL},
};

const struct format_driver qed_driver = {
    .name = "qed",
    .sections = qed_sections,
    .signatures = {{HEAD, 0, MAGIC, sizeof MAGIC}},
    .open = qed_open,
    .extent_at = qed_extent_at,
};
