// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2: from guest offsets to extents (docs/interop/qcow2.txt, "Cluster mapping" and "Extended L2
 * Entries").
 *
 * Every cluster is decoded as 32 subclusters. Extended entries have a bitmap of those that hold
 * data and of those that are zeros; with a standard entry all 32 are alike. L2 tables that are
 * adjacent in the file are read together.
 *
 * In an external data file each cluster is at its guest offset. So guest cluster 0 has host offset
 * 0, which otherwise means that there is no host cluster: the COPIED bit distinguishes the two.
 */
#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "formats/unit-map.h"
#include "qcow2.h"

enum {
    /* A table of the largest cluster size. image_window_share() gives less to backing images. */
    L2_WINDOW_BYTES = 2 << 20,
};

/* One guest cluster. Bit n of data and zero: subcluster n, which is a hole if both are 0. */
struct cluster {
    uint32_t data, zero;
    uint64_t host; /* offset in the file, or EXTENT_NO_HOST */
    bool is_compressed;
};

static const char unaligned[] = "its offset is not on a cluster boundary";
static const char no_zero_clusters[] = "version 2 has no zero clusters";

/* The kind of a cluster with a valid standard entry that is not compressed. */
static inline enum extent_kind qcow2_standard_kind(uint64_t entry)
{
    if (entry & QCOW2_ZERO)
        return EXTENT_ZERO;
    return entry & QCOW2_OFFSET_MASK ? EXTENT_DATA : EXTENT_HOLE;
}

/* The host offset of an entry that is not compressed, or EXTENT_NO_HOST. */
static inline uint64_t qcow2_entry_host(const struct qcow2 *q, uint64_t entry)
{
    uint64_t host = entry & QCOW2_OFFSET_MASK;

    return host || (q->data_file && (entry & QCOW2_COPIED)) ? host : EXTENT_NO_HOST;
}

/* Decodes a standard entry that is not compressed. Returns NULL, or the rule that it violates. */
static inline const char *qcow2_decode_standard(const struct qcow2 *q, uint64_t entry,
                                                struct cluster *c)
{
    bool is_zero = entry & QCOW2_ZERO;

    c->host = qcow2_entry_host(q, entry);
    if (is_zero && !(entry & QCOW2_OFFSET_MASK))
        c->host = EXTENT_NO_HOST;
    c->data = !is_zero && c->host != EXTENT_NO_HOST ? UINT32_MAX : 0;
    c->zero = is_zero ? UINT32_MAX : 0;
    if (!(entry & q->forbidden_bits))
        return NULL;
    return entry & q->forbidden_bits & QCOW2_OFFSET_MASK ? unaligned : no_zero_clusters;
}

/* Decodes an extended entry that is not compressed. Returns as qcow2_decode_standard(). */
static const char *qcow2_decode_extended(const struct qcow2 *q, uint64_t entry, uint64_t bitmap,
                                         struct cluster *c)
{
    c->data = (uint32_t)bitmap;
    c->zero = (uint32_t)(bitmap >> 32);
    c->host = qcow2_entry_host(q, entry);
    if (c->host == EXTENT_NO_HOST)
        return c->data ? "a subcluster is allocated without a host cluster" : NULL;
    if (c->host & (q->cluster_size - 1))
        return unaligned;
    return c->data & c->zero ? "a subcluster is both allocated and zero" : NULL;
}

/* Decodes the L2 entry at p. Returns as qcow2_decode_standard(). */
static inline const char *qcow2_decode_entry(const struct qcow2 *q, const uint8_t *p,
                                             struct cluster *c)
{
    uint64_t entry = be64(p);

    c->is_compressed = entry & QCOW2_COMPRESSED;
    if (c->is_compressed) {
        c->data = UINT32_MAX;
        c->zero = 0;
        c->host = EXTENT_NO_HOST;
        return NULL;
    }
    return q->has_extended_l2 ? qcow2_decode_extended(q, entry, be64(p + 8), c)
                              : qcow2_decode_standard(q, entry, c);
}

static inline enum extent_kind qcow2_subcluster_kind(const struct cluster *c, unsigned subcluster)
{
    if (c->data >> subcluster & 1)
        return EXTENT_DATA;
    return c->zero >> subcluster & 1 ? EXTENT_ZERO : EXTENT_HOLE;
}

/* Counts the subclusters of that kind from the given one on. */
static inline unsigned qcow2_subcluster_run(const struct cluster *c, unsigned subcluster,
                                            enum extent_kind kind)
{
    uint32_t alike = kind == EXTENT_DATA   ? c->data
                     : kind == EXTENT_ZERO ? c->zero
                                           : ~(c->data | c->zero);
    uint32_t others = ~alike >> subcluster;

    return others ? (unsigned)__builtin_ctz(others) : QCOW2_SUBCLUSTERS - subcluster;
}

/* Whether an L1 entry has no L2 table: it is 0, or past the end of the file. The latter is
 * reported, and reads as a table of zeros. */
static bool qcow2_is_l1_entry_empty(struct disk *disk, uint64_t entry)
{
    const struct qcow2 *q = disk->state;
    uint64_t offset = entry & QCOW2_OFFSET_MASK;

    if (offset == 0)
        return true;
    if (offset < image_size(disk->img) || offset % q->cluster_size)
        return false;
    disk_note_table(disk, offset, q->cluster_size, "an L2 table");
    return true;
}

/*
 * Reads L2 entries into window l2, including the one that maps offset. l1: the L1 entry of offset
 * and those after it, count in all. Reads the table of the first, and the tables of the next as far
 * as they are adjacent in the file and fit in the window; or the piece of a table larger than it.
 */
static int qcow2_load_l2(struct disk *disk, uint64_t offset, const uint8_t *l1, uint64_t count)
{
    struct qcow2 *q = disk->state;
    size_t window = image_window_share(disk->img, L2_WINDOW_BYTES);
    uint64_t index = offset / q->l2_guest_bytes, start = be64(l1) & QCOW2_OFFSET_MASK;
    uint64_t tables = 1, most = min_u64(count, window / q->cluster_size), piece = 0, length;
    const uint8_t *bytes;
    int error = 0;

    if (start % q->cluster_size)
        return image_fail(
            disk->img, EUCLEAN,
            "qcow2: L2 table offset %llu of L1 entry %llu is not on a cluster boundary",
            (unsigned long long)start, (unsigned long long)index);
    while (tables < most &&
           (be64(l1 + tables * 8) & QCOW2_OFFSET_MASK) == start + tables * q->cluster_size)
        tables++;
    if (q->cluster_size > window) {
        piece = (offset % q->l2_guest_bytes >> q->cluster_bits) * q->l2_entry_bytes;
        piece -= piece % window;
    }
    length = min_u64(tables * q->cluster_size, window);
    if (!q->l2.bytes)
        error = image_window_begin(disk->img, &q->l2, window);
    /* Read a table again when the next L1 entry refers to it again: the budget must count reads of
     * tables that refer to each other. */
    q->l2.length = 0;
    q->l2_end = 0;
    disk_note_table(disk, start + piece, length, "an L2 table");
    if (!error)
        error = image_window_at(disk->img, &q->l2, start + piece, (size_t)length, &bytes);
    if (error)
        return error;
    q->l2_start = index * q->l2_guest_bytes + (piece / q->l2_entry_bytes << q->cluster_bits);
    q->l2_end = q->l2_start + (length / q->l2_entry_bytes << q->cluster_bits);
    return 0;
}

/*
 * Makes window l2 contain the entry that maps offset. Returns 1; 0 if there is no L2 table, and
 * sets *hole to the number of guest bytes from offset on that have none; or -errno.
 */
static int qcow2_find_l2(struct disk *disk, uint64_t offset, uint64_t *hole)
{
    struct qcow2 *q = disk->state;
    uint64_t index = offset / q->l2_guest_bytes, count, empty = 0;
    const uint8_t *l1;
    int error;

    if (offset >= q->l2_start && offset < q->l2_end)
        return 1;
    error = image_table_at(disk->img, &q->l1, index, &l1, &count);
    if (error)
        return error;
    while (empty < count && qcow2_is_l1_entry_empty(disk, be64(l1 + empty * 8)))
        empty++;
    if (!empty) {
        error = qcow2_load_l2(disk, offset, l1, count);
        return error ? error : 1;
    }
    *hole = empty * q->l2_guest_bytes - offset % q->l2_guest_bytes;
    return 0;
}

/* The entry that maps offset, which must be in window l2. */
static const uint8_t *qcow2_l2_entry_at(const struct qcow2 *q, uint64_t offset)
{
    return q->l2.bytes + ((offset - q->l2_start) >> q->cluster_bits) * q->l2_entry_bytes;
}

int qcow2_l2_entry(struct disk *disk, uint64_t offset, uint64_t *entry)
{
    uint64_t hole;
    int found = qcow2_find_l2(disk, offset, &hole);

    *entry = found == 1 ? be64(qcow2_l2_entry_at(disk->state, offset)) : 0;
    return found < 0 ? found : 0;
}

/* Sets q->host_holes, if it is unknown. Called for data clusters only: other images need no scan of
 * the refcounts. */
static int qcow2_detect_host_holes(struct disk *disk)
{
    struct qcow2 *q = disk->state;
    int preallocated;

    if (q->host_holes != QCOW2_HOST_HOLES_UNKNOWN)
        return 0;
    preallocated = qcow2_is_preallocated(disk);
    if (preallocated < 0)
        return preallocated;
    q->host_holes = preallocated ? QCOW2_HOST_HOLES_ZERO : QCOW2_HOST_HOLES_IGNORED;
    return 0;
}

/*
 * Returns by how many bytes the run of *extent continues after its first cluster, whose entry is at
 * p, up to the entry at end. The kind must be the same and, if must_adjoin, the host offsets
 * adjacent.
 */
static uint64_t qcow2_extend_run(const struct qcow2 *q, const uint8_t *p, const uint8_t *end,
                                 const struct extent *extent, const struct cluster *first,
                                 bool must_adjoin)
{
    unsigned subcluster_bits = q->cluster_bits - QCOW2_SUBCLUSTER_BITS;
    uint64_t length = 0, host = first->host;
    /* Compressed clusters have no host holes, but standard ones after them may be in one. */
    bool same_coding =
        must_adjoin || (first->is_compressed && q->host_holes != QCOW2_HOST_HOLES_IGNORED);

    p += q->l2_entry_bytes;
    for (; p < end; p += q->l2_entry_bytes) {
        struct cluster c;
        unsigned run;

        if (qcow2_decode_entry(q, p, &c) ||
            (same_coding && c.is_compressed != first->is_compressed))
            break;
        if (must_adjoin) {
            host += host == EXTENT_NO_HOST ? 0 : q->cluster_size;
            if (c.host != host)
                break;
        }
        run = qcow2_subcluster_run(&c, 0, extent->kind);
        length += (uint64_t)run << subcluster_bits;
        if (run < QCOW2_SUBCLUSTERS)
            break;
    }
    return length;
}

/* Sets the extent's kind, host, file and flags from the cluster that contains its offset. */
static int qcow2_fill_extent(struct disk *disk, const struct cluster *c, struct extent *extent)
{
    struct qcow2 *q = disk->state;
    uint64_t within = extent->offset & (q->cluster_size - 1);
    int error = 0;

    extent->kind =
        qcow2_subcluster_kind(c, (unsigned)(within >> (q->cluster_bits - QCOW2_SUBCLUSTER_BITS)));
    if (c->is_compressed)
        extent->flags = EXTENT_COMPRESSED;
    if (c->host == EXTENT_NO_HOST || q->crypt_method != QCOW2_CRYPT_NONE)
        return 0;
    extent->host = c->host + within;
    extent->file = q->data_file;
    if (extent->kind == EXTENT_DATA) {
        error = qcow2_detect_host_holes(disk);
        if (q->host_holes == QCOW2_HOST_HOLES_ZERO)
            extent->flags |= EXTENT_HOST_HOLES;
    }
    return error;
}

/* Checks a cluster of an image with a data file. Its guest offset is `offset`. */
static int qcow2_check_data_file(struct disk *disk, const struct cluster *c, uint64_t offset)
{
    const struct qcow2 *q = disk->state;

    if (!q->data_file)
        return 0;
    if (c->is_compressed)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: cluster at guest offset %llu is compressed, which is not allowed "
                          "with a data file",
                          (unsigned long long)offset);
    if (c->host != EXTENT_NO_HOST && c->host != offset)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: cluster at guest offset %llu is at offset %llu of the data file, "
                          "which must be the same",
                          (unsigned long long)offset, (unsigned long long)c->host);
    return 0;
}

static bool qcow2_is_standard_kind(const struct qcow2 *q, uint64_t entry, enum extent_kind kind)
{
    if (entry & QCOW2_COMPRESSED)
        return kind == EXTENT_DATA;
    return !(entry & q->forbidden_bits) && qcow2_standard_kind(entry) == kind;
}

/*
 * Fast path: standard L2 entries, host offsets not requested. Sets kind and length of *extent from
 * the entry at p and those of the same kind after it. Returns false if the first one is compressed
 * or invalid; then *extent is unchanged.
 */
static bool qcow2_standard_run(const struct qcow2 *q, const uint8_t *p, const uint8_t *end,
                               struct extent *extent)
{
    uint64_t entry = be64(p);
    const uint8_t *next = p + 8;

    if (entry & (QCOW2_COMPRESSED | q->forbidden_bits))
        return false;
    extent->kind = qcow2_standard_kind(entry);
    while (next < end && qcow2_is_standard_kind(q, be64(next), extent->kind))
        next += 8;
    extent->length =
        ((uint64_t)(next - p) / 8 << q->cluster_bits) - (extent->offset & (q->cluster_size - 1));
    return true;
}

/* The general case: subclusters, host offsets, holes of the host file, invalid entries. */
static int qcow2_general_extent(struct disk *disk, const uint8_t *p, const uint8_t *end,
                                unsigned want, struct extent *extent)
{
    struct qcow2 *q = disk->state;
    unsigned subcluster_bits = q->cluster_bits - QCOW2_SUBCLUSTER_BITS;
    uint64_t within = extent->offset & (q->cluster_size - 1);
    unsigned run, subcluster = (unsigned)(within >> subcluster_bits);
    struct cluster c;
    const char *rule = qcow2_decode_entry(q, p, &c);
    int error;

    if (rule)
        return image_fail(disk->img, EUCLEAN, "qcow2: L2 entry 0x%016llx of guest offset %llu: %s",
                          (unsigned long long)be64(p),
                          (unsigned long long)(extent->offset - within), rule);
    error = qcow2_check_data_file(disk, &c, extent->offset - within);
    if (!error)
        error = qcow2_fill_extent(disk, &c, extent);
    run = qcow2_subcluster_run(&c, subcluster, extent->kind);
    extent->length = ((uint64_t)(subcluster + run) << subcluster_bits) - within;
    if (run == QCOW2_SUBCLUSTERS - subcluster)
        extent->length += qcow2_extend_run(q, p, end, extent, &c,
                                           (want & EXTENTS_WANT_HOST) || q->data_file ||
                                               (extent->flags & EXTENT_HOST_HOLES));
    return error;
}

int qcow2_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct qcow2 *q = disk->state;
    const uint8_t *entries, *end;
    int found;

    found = qcow2_find_l2(disk, offset, &extent->length);
    if (found <= 0) {
        extent->kind = EXTENT_HOLE;
        return found;
    }
    entries = qcow2_l2_entry_at(q, offset);
    end = qcow2_l2_entry_at(q, q->l2_end);
    if (!q->has_extended_l2 && !q->data_file && !(want & EXTENTS_WANT_HOST) &&
        q->host_holes == QCOW2_HOST_HOLES_IGNORED && qcow2_standard_run(q, entries, end, extent))
        return 0;
    return qcow2_general_extent(disk, entries, end, want, extent);
}

/* Most entries are plain data clusters: one test finds those. */
static inline enum unit_bits qcow2_classify(const void *context, const uint8_t *p)
{
    const struct qcow2 *q = context;
    uint64_t entry = be64(p);

    if (!(entry & (QCOW2_COMPRESSED | QCOW2_ZERO | q->forbidden_bits)))
        return entry & QCOW2_OFFSET_MASK ? UNIT_DATA : UNIT_EMPTY;
    if (entry & QCOW2_COMPRESSED)
        return UNIT_DATA;
    return entry & q->forbidden_bits ? UNIT_ODD : UNIT_EMPTY;
}

/* Whether so many data clusters follow that qcow2_standard_run() is faster than a map. */
static bool qcow2_begins_long_run(const struct qcow2 *q, uint64_t offset)
{
    const uint8_t *p = qcow2_l2_entry_at(q, offset), *end = qcow2_l2_entry_at(q, q->l2_end);
    enum { LONG = 256 };

    if (q->host_holes != QCOW2_HOST_HOLES_IGNORED || (end - p) / 8 < LONG)
        return false;
    for (unsigned i = 0; i < LONG; i++)
        if (qcow2_classify(q, p + 8 * i) != UNIT_DATA)
            return false;
    return true;
}

/* Subclusters, clusters of a data file, holes of the file that count, and ranges without a table,
 * which may be as long as the disk, are left to extent_at. */
int qcow2_map_units(struct disk *disk, uint64_t offset, struct unit_map *map)
{
    struct qcow2 *q = disk->state;
    uint64_t hole;
    int found;

    if (q->has_extended_l2 || q->data_file || q->host_holes == QCOW2_HOST_HOLES_ZERO ||
        offset & (q->cluster_size - 1))
        return 0;
    found = qcow2_find_l2(disk, offset, &hole);
    if (found <= 0 || qcow2_begins_long_run(q, offset))
        return found < 0 ? found : 0;
    map->unit = q->cluster_size;
    unit_map_fill(map, qcow2_l2_entry_at(q, offset), q->l2_entry_bytes,
                  (uint32_t)min_u64((q->l2_end - offset) >> q->cluster_bits, UNIT_MAP_UNITS),
                  qcow2_classify, q);
    if (q->host_holes == QCOW2_HOST_HOLES_UNKNOWN &&
        unit_map_next(map, map->data, 0) < map->count) {
        int error = qcow2_detect_host_holes(disk);

        if (error)
            return error;
    }
    return q->host_holes != QCOW2_HOST_HOLES_ZERO;
}
