// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2: from guest offsets to extents (docs/interop/qcow2.txt, "Cluster mapping" and "Extended L2
 * Entries").
 *
 * Every cluster is taken as 32 subclusters, of which a bitmap says which hold data and which are
 * zeros; a cluster with a standard entry has them all alike. L2 tables that lie one behind the
 * other are read together.
 *
 * Where clusters are in an external data file, each is at its guest offset there. So the offset of
 * the first one is 0, which else means that there is no cluster; it is told by the bit that calls
 * its refcount 1.
 */
#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "qcow2.h"

enum {
    L2_WINDOW_BYTES = 2 << 20, /* a table of the largest cluster size; less with layers below */
};

/* One guest cluster. Bit n of data and zero: subcluster n; those in neither are not in this file.
 */
struct cluster {
    uint32_t data, zero;
    uint64_t host; /* or EXTENT_NO_HOST */
    bool compressed;
};

/* What a standard entry, not compressed and without forbidden bits, makes of its cluster. */
static inline enum extent_kind standard_kind(uint64_t entry)
{
    if (entry & QCOW2_ZERO)
        return EXTENT_ZERO;
    return entry & QCOW2_OFFSET_MASK ? EXTENT_DATA : EXTENT_HOLE;
}

/* Where the cluster of an entry that is not compressed is, or EXTENT_NO_HOST. */
static inline uint64_t host_of(const struct qcow2 *q, uint64_t entry)
{
    uint64_t host = entry & QCOW2_OFFSET_MASK;

    return host || (q->data_file && (entry & QCOW2_COPIED)) ? host : EXTENT_NO_HOST;
}

/* Decodes a standard entry. Returns false if the specification does not allow it. */
static bool decode_standard(const struct qcow2 *q, uint64_t entry, struct cluster *c)
{
    bool is_zero = entry & QCOW2_ZERO;

    c->host = host_of(q, entry);
    if (is_zero && !(entry & QCOW2_OFFSET_MASK))
        c->host = EXTENT_NO_HOST;
    c->data = !is_zero && c->host != EXTENT_NO_HOST ? UINT32_MAX : 0;
    c->zero = is_zero ? UINT32_MAX : 0;
    return !(entry & q->forbidden_bits);
}

/* Decodes an entry with its subcluster bitmap: no subcluster may be both, and data needs a place.
 */
static bool decode_extended(const struct qcow2 *q, uint64_t entry, uint64_t bitmap,
                            struct cluster *c)
{
    c->data = (uint32_t)bitmap;
    c->zero = (uint32_t)(bitmap >> 32);
    c->host = host_of(q, entry);
    if (c->host == EXTENT_NO_HOST)
        return !c->data;
    return !(c->host & (q->cluster_size - 1)) && !(c->data & c->zero);
}

/* Decodes the L2 entry at p. */
static inline bool decode(const struct qcow2 *q, const uint8_t *p, struct cluster *c)
{
    uint64_t entry = be64(p);

    c->compressed = entry & QCOW2_COMPRESSED;
    if (c->compressed) {
        c->data = UINT32_MAX;
        c->zero = 0;
        c->host = EXTENT_NO_HOST;
        return true;
    }
    return q->extended_l2 ? decode_extended(q, entry, be64(p + 8), c)
                          : decode_standard(q, entry, c);
}

static inline enum extent_kind kind_at(const struct cluster *c, unsigned subcluster)
{
    if (c->data >> subcluster & 1)
        return EXTENT_DATA;
    return c->zero >> subcluster & 1 ? EXTENT_ZERO : EXTENT_HOLE;
}

/* How many subclusters from the given one on are of that kind. */
static inline unsigned run_at(const struct cluster *c, unsigned subcluster, enum extent_kind kind)
{
    uint32_t alike = kind == EXTENT_DATA   ? c->data
                     : kind == EXTENT_ZERO ? c->zero
                                           : ~(c->data | c->zero);
    uint32_t others = ~alike >> subcluster;

    return others ? (unsigned)__builtin_ctz(others) : QCOW2_SUBCLUSTERS - subcluster;
}

/* Whether the L1 entry leads to no table: none given, or past the end of the file, which is said:
 * there all reads as zeros. */
static bool l1_entry_is_empty(struct disk *disk, uint64_t entry)
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
 * Reads the entries that map offset: the table of l1[0] and those that follow it both in the L1
 * table and in the file; of a table larger than the window, a piece.
 */
static int load_l2(struct disk *disk, uint64_t offset, const uint8_t *l1, uint64_t count)
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
    /* A table that is met again is read again, so that the budget sees tables that go round in
     * circles. */
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
 * Makes window l2 hold the entry that maps offset. Returns 1; or 0 with *hole set to the guest
 * bytes from offset on for which there is no table; or -errno.
 */
static int find_l2(struct disk *disk, uint64_t offset, uint64_t *hole)
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
    while (empty < count && l1_entry_is_empty(disk, be64(l1 + empty * 8)))
        empty++;
    if (!empty) {
        error = load_l2(disk, offset, l1, count);
        return error ? error : 1;
    }
    *hole = empty * q->l2_guest_bytes - offset % q->l2_guest_bytes;
    return 0;
}

/* Where the entry for offset, which the tables in window l2 map, stands. */
static const uint8_t *entry_at(const struct qcow2 *q, uint64_t offset)
{
    return q->l2.bytes + ((offset - q->l2_start) >> q->cluster_bits) * q->l2_entry_bytes;
}

int qcow2_l2_entry(struct disk *disk, uint64_t offset, uint64_t *entry)
{
    uint64_t hole;
    int found = find_l2(disk, offset, &hole);

    *entry = found == 1 ? be64(entry_at(disk->state, offset)) : 0;
    return found < 0 ? found : 0;
}

/* Whether holes of the host file count for this image: asked once, when the first data cluster is
 * met. */
static int ask_host_holes(struct disk *disk)
{
    struct qcow2 *q = disk->state;
    int preallocated;

    if (q->host_holes_count != QCOW2_NOT_ASKED)
        return 0;
    preallocated = qcow2_is_preallocated(disk);
    if (preallocated < 0)
        return preallocated;
    q->host_holes_count = preallocated ? QCOW2_YES : QCOW2_NO;
    return 0;
}

/*
 * Lengthens the run of *extent, which ends with the first cluster of entries p, over the clusters
 * that follow up to end: as far as the kind is the same and, if contiguous, the host offsets too.
 */
static uint64_t follow(const struct qcow2 *q, const uint8_t *p, const uint8_t *end,
                       const struct extent *extent, const struct cluster *first, bool contiguous)
{
    unsigned subcluster_bits = q->cluster_bits - QCOW2_SUBCLUSTER_BITS;
    uint64_t length = 0, host = first->host;
    /* Behind compressed data, host holes may count. */
    bool same_coding = contiguous || (first->compressed && q->host_holes_count != QCOW2_NO);

    p += q->l2_entry_bytes;
    for (; p < end; p += q->l2_entry_bytes) {
        struct cluster c;
        unsigned run;

        if (!decode(q, p, &c) || (same_coding && c.compressed != first->compressed))
            break;
        if (contiguous) {
            host += host == EXTENT_NO_HOST ? 0 : q->cluster_size;
            if (c.host != host)
                break;
        }
        run = run_at(&c, 0, extent->kind);
        length += (uint64_t)run << subcluster_bits;
        if (run < QCOW2_SUBCLUSTERS)
            break;
    }
    return length;
}

/* Fills the extent's kind, host, part and flags from the cluster that holds its offset. */
static int describe(struct disk *disk, const struct cluster *c, struct extent *extent)
{
    struct qcow2 *q = disk->state;
    uint64_t within = extent->offset & (q->cluster_size - 1);
    int error = 0;

    extent->kind = kind_at(c, (unsigned)(within >> (q->cluster_bits - QCOW2_SUBCLUSTER_BITS)));
    if (c->compressed)
        extent->flags = EXTENT_COMPRESSED;
    if (c->host == EXTENT_NO_HOST || q->encrypted)
        return 0;
    extent->host = c->host + within;
    extent->file = q->data_file;
    if (extent->kind == EXTENT_DATA) {
        error = ask_host_holes(disk);
        if (q->host_holes_count == QCOW2_YES)
            extent->flags |= EXTENT_HOST_HOLES;
    }
    return error;
}

/* What else must be true of a cluster in a data file, of which offset is the guest's. */
static int check_data_file(struct disk *disk, const struct cluster *c, uint64_t offset)
{
    const struct qcow2 *q = disk->state;

    if (!q->data_file)
        return 0;
    if (c->compressed)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: the cluster of guest offset %llu is compressed, which none in a "
                          "data file may be",
                          (unsigned long long)offset);
    if (c->host != EXTENT_NO_HOST && c->host != offset)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: the cluster of guest offset %llu is at offset %llu of the data "
                          "file, it must be at its own",
                          (unsigned long long)offset, (unsigned long long)c->host);
    return 0;
}

static bool is_kind(const struct qcow2 *q, uint64_t entry, enum extent_kind kind)
{
    if (entry & QCOW2_COMPRESSED)
        return kind == EXTENT_DATA;
    return !(entry & q->forbidden_bits) && standard_kind(entry) == kind;
}

/*
 * The short way, for standard entries whose host offsets nobody wants: entries alike, one after the
 * other. Returns false, and has done nothing, if the first one needs a closer look.
 */
static bool follow_standard(const struct qcow2 *q, const uint8_t *p, const uint8_t *end,
                            struct extent *extent)
{
    uint64_t entry = be64(p);
    const uint8_t *next = p + 8;

    if (entry & (QCOW2_COMPRESSED | q->forbidden_bits))
        return false;
    extent->kind = standard_kind(entry);
    while (next < end && is_kind(q, be64(next), extent->kind))
        next += 8;
    extent->length =
        ((uint64_t)(next - p) / 8 << q->cluster_bits) - (extent->offset & (q->cluster_size - 1));
    return true;
}

/* Any entry, as closely as it takes: subclusters, host offsets, holes of the host, and what is
 * wrong with it. */
static int look_closely(struct disk *disk, const uint8_t *p, const uint8_t *end, unsigned want,
                        struct extent *extent)
{
    struct qcow2 *q = disk->state;
    unsigned subcluster_bits = q->cluster_bits - QCOW2_SUBCLUSTER_BITS;
    uint64_t within = extent->offset & (q->cluster_size - 1);
    unsigned run, subcluster = (unsigned)(within >> subcluster_bits);
    struct cluster c;
    int error;

    if (!decode(q, p, &c))
        return image_fail(
            disk->img, EUCLEAN, "qcow2: L2 entry 0x%016llx of guest offset %llu breaks the rules%s",
            (unsigned long long)be64(p), (unsigned long long)(extent->offset - within),
            be64(p) & QCOW2_OFFSET_MASK & (q->cluster_size - 1)
                ? ": its offset is not on a cluster boundary"
                : "");
    error = check_data_file(disk, &c, extent->offset - within);
    if (!error)
        error = describe(disk, &c, extent);
    run = run_at(&c, subcluster, extent->kind);
    extent->length = ((uint64_t)(subcluster + run) << subcluster_bits) - within;
    if (run == QCOW2_SUBCLUSTERS - subcluster)
        extent->length += follow(q, p, end, extent, &c,
                                 (want & EXTENTS_WANT_HOST) || q->data_file ||
                                     (extent->flags & EXTENT_HOST_HOLES));
    return error;
}

int qcow2_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct qcow2 *q = disk->state;
    const uint8_t *entries, *end;
    int found;

    found = find_l2(disk, offset, &extent->length);
    if (found <= 0) {
        extent->kind = EXTENT_HOLE;
        return found;
    }
    entries = entry_at(q, offset);
    end = entry_at(q, q->l2_end);
    if (!q->extended_l2 && !q->data_file && !(want & EXTENTS_WANT_HOST) &&
        q->host_holes_count == QCOW2_NO && follow_standard(q, entries, end, extent))
        return 0;
    return look_closely(disk, entries, end, want, extent);
}
