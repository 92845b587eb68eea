// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2, versions 2 and 3 (QEMU, docs/interop/qcow2.txt). Big endian.
 *
 * Two levels of tables (L1, L2) map guest clusters to host clusters. Unmapped clusters come from
 * the backing file, if the header names one, else they are zeros. Tables past the end of the file
 * read as zeros, as in qemu.
 */
#include "qcow2.h"

#include <errno.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/fields.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/reference.h"

#define MAGIC "QFI\xfb"

enum {
    HEADER_VERSION = 4,
    HEADER_BACKING_FILE_OFFSET = 8,
    HEADER_BACKING_FILE_SIZE = 16,
    HEADER_CLUSTER_BITS = 20,
    HEADER_SIZE = 24,
    HEADER_CRYPT_METHOD = 32,
    HEADER_L1_SIZE = 36,
    HEADER_L1_TABLE_OFFSET = 40,
    HEADER_REFCOUNT_TABLE_OFFSET = 48,
    HEADER_REFCOUNT_TABLE_CLUSTERS = 56,
    HEADER_NB_SNAPSHOTS = 60,
    HEADER_SNAPSHOTS_OFFSET = 64,
    HEADER_V2_BYTES = 72,
    HEADER_INCOMPATIBLE_FEATURES = 72,
    HEADER_COMPATIBLE_FEATURES = 80,
    HEADER_AUTOCLEAR_FEATURES = 88,
    HEADER_REFCOUNT_ORDER = 96,
    HEADER_HEADER_LENGTH = 100,
    HEADER_V3_BYTES = 104,
    HEADER_COMPRESSION_TYPE = 104,

    INCOMPATIBLE_DIRTY = 1 << 0,
    INCOMPATIBLE_CORRUPT = 1 << 1,
    INCOMPATIBLE_DATA_FILE = 1 << 2,
    INCOMPATIBLE_COMPRESSION_TYPE = 1 << 3,
    INCOMPATIBLE_EXTENDED_L2 = 1 << 4,
    INCOMPATIBLE_KNOWN = 0x1f,

    /* Limits of qemu: clusters of 512 bytes to 2 MiB, and the tables that it holds in memory. */
    CLUSTER_BITS_MIN = 9,
    CLUSTER_BITS_MAX = 21,
    EXTENDED_L2_CLUSTER_BITS_MIN = 14, /* subclusters of at least 512 bytes */
    V2_REFCOUNT_ORDER = 4,             /* 16 bits */
    REFCOUNT_ORDER_MAX = 6,
    BACKING_FILE_NAME_MAX = 1023,
    L1_BYTES_MAX = 32 << 20,
    REFCOUNT_TABLE_BYTES_MAX = 8 << 20,
    SNAPSHOTS_MAX = 65536,
};

/* Checks that a table of at most limit bytes is cluster-aligned and ends below 2^63. `what` is its
 * name. */
static int qcow2_check_table(struct disk *disk, const char *what, uint64_t offset, uint64_t bytes,
                             uint64_t limit)
{
    const struct qcow2 *q = disk->state;

    if (bytes > limit)
        return image_fail(disk->img, EFBIG, "qcow2: %s of %llu bytes is larger than %llu", what,
                          (unsigned long long)bytes, (unsigned long long)limit);
    if (offset > (uint64_t)INT64_MAX - bytes)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: %s offset %llu is too large: the table must end below 2^63", what,
                          (unsigned long long)offset);
    if (offset % q->cluster_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: %s offset %llu is not a multiple of the cluster size %llu", what,
                          (unsigned long long)offset, (unsigned long long)q->cluster_size);
    return 0;
}

/* Reports feature bits that warn of damage. They do not change how the image is read. */
static void qcow2_note_features(struct image *img, uint64_t features)
{
    if (features & INCOMPATIBLE_DIRTY)
        image_note(img, "qcow2: marked dirty (incompatible_features bit 0): the image is in use or "
                        "was not closed, its refcounts may be wrong");
    if (features & INCOMPATIBLE_CORRUPT)
        image_note(img,
                   "qcow2: marked corrupt (incompatible_features bit 1): a program found errors "
                   "in the image's metadata");
}

/* Checks the feature bits, and compression_type and cluster_bits, which must match them. */
static int qcow2_check_features(struct disk *disk, const uint8_t *header, uint64_t features)
{
    struct qcow2 *q = disk->state;
    uint32_t length = be32(header + HEADER_HEADER_LENGTH);
    unsigned type = length > HEADER_COMPRESSION_TYPE ? header[HEADER_COMPRESSION_TYPE] : 0;
    bool has_type_bit = features & INCOMPATIBLE_COMPRESSION_TYPE;

    if ((q->autoclear_features & QCOW2_AUTOCLEAR_RAW_DATA) && !(features & INCOMPATIBLE_DATA_FILE))
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: autoclear_features has raw-external-data, but "
                          "incompatible_features does not have external-data-file");
    if (features & ~(uint64_t)INCOMPATIBLE_KNOWN)
        return image_fail(disk->img, ENOTSUP, "qcow2: unknown incompatible features 0x%llx",
                          (unsigned long long)(features & ~(uint64_t)INCOMPATIBLE_KNOWN));
    if ((features & INCOMPATIBLE_EXTENDED_L2) && q->cluster_bits < EXTENDED_L2_CLUSTER_BITS_MIN)
        return image_fail(
            disk->img, EUCLEAN,
            "qcow2: cluster_bits %u is less than %d, the minimum with extended L2 entries",
            q->cluster_bits, EXTENDED_L2_CLUSTER_BITS_MIN);
    if (type > QCOW2_COMPRESSION_ZSTD)
        return image_fail(disk->img, ENOTSUP,
                          "qcow2: compression_type %u is not 0 (zlib) or 1 (zstd)", type);
    if ((type != QCOW2_COMPRESSION_ZLIB) != has_type_bit)
        return image_fail(
            disk->img, EUCLEAN,
            "qcow2: compression_type %u requires incompatible_features bit 3 to be %s", type,
            has_type_bit ? "clear" : "set");
    q->compression_type = type;
    return 0;
}

/* Reads the fields that version 2 does not have. Sets *length to the header's length. */
static int qcow2_open_v3(struct disk *disk, const uint8_t *header, uint32_t *length,
                         uint64_t *features)
{
    struct qcow2 *q = disk->state;
    int error = image_require(disk->img, 0, HEADER_V3_BYTES, "qcow2: header");

    if (error)
        return error;
    *length = be32(header + HEADER_HEADER_LENGTH);
    *features = be64(header + HEADER_INCOMPATIBLE_FEATURES);
    q->autoclear_features = be64(header + HEADER_AUTOCLEAR_FEATURES);
    q->refcount_order = be32(header + HEADER_REFCOUNT_ORDER);
    if (*length < HEADER_V3_BYTES || *length > q->cluster_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: header_length %u is not between %d and the cluster size %llu",
                          *length, HEADER_V3_BYTES, (unsigned long long)q->cluster_size);
    if (q->refcount_order > REFCOUNT_ORDER_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow2: refcount_order %u is larger than %d",
                          q->refcount_order, REFCOUNT_ORDER_MAX);
    return qcow2_check_features(disk, header, *features);
}

static int qcow2_open_l1(struct disk *disk, const uint8_t *header)
{
    struct qcow2 *q = disk->state;
    uint64_t size = be64(header + HEADER_SIZE);
    uint64_t needed;
    int error;

    q->l1 = (struct image_table){.offset = be64(header + HEADER_L1_TABLE_OFFSET),
                                 .entries = be32(header + HEADER_L1_SIZE),
                                 .entry_bytes = 8};
    q->l2_entries = q->cluster_size / q->l2_entry_bytes;
    q->l2_guest_bytes = q->l2_entries * q->cluster_size;
    needed = div_up(size, q->l2_guest_bytes);
    error = qcow2_check_table(disk, "L1 table", q->l1.offset, q->l1.entries * 8, L1_BYTES_MAX);
    if (error)
        return error;
    if (size > INT64_MAX || needed > INT32_MAX)
        return image_fail(disk->img, EFBIG,
                          "qcow2: size %llu is not below 2^63 or needs more than %d L1 entries",
                          (unsigned long long)size, INT32_MAX);
    if (needed > q->l1.entries)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: l1_size %llu is less than the %llu entries that size %llu needs",
                          (unsigned long long)q->l1.entries, (unsigned long long)needed,
                          (unsigned long long)size);
    disk->virtual_size = size - size % SECTOR;
    disk_note_table(disk, q->l1.offset, q->l1.entries * 8, "the L1 table");
    return 0;
}

static int qcow2_open_refcounts_and_snapshots(struct disk *disk, const uint8_t *header)
{
    struct qcow2 *q = disk->state;
    uint32_t clusters = be32(header + HEADER_REFCOUNT_TABLE_CLUSTERS);
    uint32_t snapshots = be32(header + HEADER_NB_SNAPSHOTS);
    uint64_t bytes = clusters * q->cluster_size;
    int error;

    q->refcount_table = (struct image_table){.offset = be64(header + HEADER_REFCOUNT_TABLE_OFFSET),
                                             .entries = bytes / 8,
                                             .entry_bytes = 8};
    if (clusters == 0)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: refcount_table_clusters 0: a refcount table is required");
    error = qcow2_check_table(disk, "refcount table", q->refcount_table.offset, bytes,
                              REFCOUNT_TABLE_BYTES_MAX);
    if (error)
        return error;
    if (snapshots > SNAPSHOTS_MAX)
        return image_fail(disk->img, EFBIG, "qcow2: nb_snapshots %u is more than %d", snapshots,
                          SNAPSHOTS_MAX);
    return qcow2_check_table(disk, "snapshot table", be64(header + HEADER_SNAPSHOTS_OFFSET), 0, 0);
}

/* Reads the backing file's name, which is in the first cluster. Its format is in an extension. */
static int qcow2_open_backing(struct disk *disk, const uint8_t *header)
{
    struct qcow2 *q = disk->state;
    uint64_t offset = be64(header + HEADER_BACKING_FILE_OFFSET);
    uint32_t length = be32(header + HEADER_BACKING_FILE_SIZE);

    if (offset == 0 || length == 0)
        return 0;
    if (length > BACKING_FILE_NAME_MAX || length > q->cluster_size - offset)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: backing file name (%u bytes at offset %llu) is longer than %d "
                          "bytes or ends past "
                          "the first cluster",
                          length, (unsigned long long)offset, BACKING_FILE_NAME_MAX);
    return disk_read_reference(disk,
                               (struct reference){.role = REFERENCE_BACKING,
                                                  .kind = "backing file",
                                                  .source = "backing_file_offset"},
                               offset, length);
}

/* Reads version, cluster size and encryption, which the checks of other fields need. */
static int qcow2_open_v2(struct disk *disk, const uint8_t *header)
{
    struct qcow2 *q = disk->state;
    int error = image_require(disk->img, 0, HEADER_V2_BYTES, "qcow2: header");

    if (error)
        return error;
    if (memcmp(header, MAGIC, 4) != 0)
        return image_fail(disk->img, EUCLEAN, "qcow2: no magic (QFI\\xfb) at the start");
    q->version = be32(header + HEADER_VERSION);
    if (q->version != 2 && q->version != 3)
        return image_fail(disk->img, ENOTSUP, "qcow2: version %u is not 2 or 3", q->version);
    disk->subformat = q->version == 2 ? "v2" : "v3";
    q->cluster_bits = be32(header + HEADER_CLUSTER_BITS);
    if (q->cluster_bits < CLUSTER_BITS_MIN || q->cluster_bits > CLUSTER_BITS_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow2: cluster_bits %u is not between %d and %d",
                          q->cluster_bits, CLUSTER_BITS_MIN, CLUSTER_BITS_MAX);
    q->cluster_size = UINT64_C(1) << q->cluster_bits;
    if (be64(header + HEADER_BACKING_FILE_OFFSET) > q->cluster_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: backing_file_offset %llu is not in the first cluster",
                          (unsigned long long)be64(header + HEADER_BACKING_FILE_OFFSET));
    q->crypt_method = be32(header + HEADER_CRYPT_METHOD);
    if (q->crypt_method > QCOW2_CRYPT_LUKS)
        return image_fail(disk->img, ENOTSUP,
                          "qcow2: crypt_method %u is not 0 (none), 1 (AES) or 2 (LUKS)",
                          q->crypt_method);
    disk->is_encrypted = q->crypt_method != QCOW2_CRYPT_NONE;
    q->refcount_order = V2_REFCOUNT_ORDER;
    return 0;
}

static int qcow2_open(struct disk *disk)
{
    struct qcow2 *q = image_alloc(disk->img, sizeof *q);
    uint32_t length = HEADER_V2_BYTES;
    uint64_t features = 0, end;
    const uint8_t *header;
    int error = q ? image_head(disk->img, &header) : -ENOMEM;

    if (error)
        return error;
    disk->state = q;
    error = qcow2_open_v2(disk, header);
    if (!error && q->version >= 3)
        error = qcow2_open_v3(disk, header, &length, &features);
    if (error)
        return error;
    q->has_extended_l2 = features & INCOMPATIBLE_EXTENDED_L2;
    q->l2_entry_bytes = q->has_extended_l2 ? 16 : 8;
    /* Offsets are cluster-aligned; version 2 has no zero clusters. */
    q->forbidden_bits =
        (QCOW2_OFFSET_MASK & (q->cluster_size - 1)) | (q->version < 3 ? QCOW2_ZERO : 0);
    error = qcow2_open_l1(disk, header);
    if (!error)
        error = qcow2_open_refcounts_and_snapshots(disk, header);
    if (!error)
        error = qcow2_open_backing(disk, header);
    end = be64(header + HEADER_BACKING_FILE_OFFSET);
    if (!error)
        error = qcow2_read_extensions(disk, length, end ? end : q->cluster_size,
                                      features & INCOMPATIBLE_DATA_FILE);
    if (!error)
        qcow2_note_features(disk->img, features);
    return error;
}

/* Version 1 is the format qcow. All later versions are qcow2; open refuses those above 3. */
static int qcow2_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error = image_head(img, &head);

    (void)signature;
    (void)why;
    return error ? error : be32(head + HEADER_VERSION) >= 2;
}

static const struct field_word incompatible_words[] = {
    {INCOMPATIBLE_DIRTY, "dirty"},
    {INCOMPATIBLE_CORRUPT, "corrupt"},
    {INCOMPATIBLE_DATA_FILE, "external-data-file"},
    {INCOMPATIBLE_COMPRESSION_TYPE, "compression-type"},
    {INCOMPATIBLE_EXTENDED_L2, "extended-l2"},
    {0, NULL},
};
static const struct field_word compatible_words[] = {{1 << 0, "lazy-refcounts"}, {0, NULL}};
static const struct field_word autoclear_words[] = {
    {QCOW2_AUTOCLEAR_BITMAPS, "bitmaps"},
    {QCOW2_AUTOCLEAR_RAW_DATA, "raw-external-data"},
    {0, NULL},
};

/* Names of the specification's section "Header". */
static const struct field header_fields[] = {
    {"magic", 0, 4, field_hex, NULL},
    {"version", HEADER_VERSION, 4, field_be, NULL},
    {"backing_file_offset", HEADER_BACKING_FILE_OFFSET, 8, field_be, NULL},
    {"backing_file_size", HEADER_BACKING_FILE_SIZE, 4, field_be, NULL},
    {"cluster_bits", HEADER_CLUSTER_BITS, 4, field_be, NULL},
    {"size", HEADER_SIZE, 8, field_be, NULL},
    {"crypt_method", HEADER_CRYPT_METHOD, 4, field_be, NULL},
    {"l1_size", HEADER_L1_SIZE, 4, field_be, NULL},
    {"l1_table_offset", HEADER_L1_TABLE_OFFSET, 8, field_be, NULL},
    {"refcount_table_offset", HEADER_REFCOUNT_TABLE_OFFSET, 8, field_be, NULL},
    {"refcount_table_clusters", HEADER_REFCOUNT_TABLE_CLUSTERS, 4, field_be, NULL},
    {"nb_snapshots", HEADER_NB_SNAPSHOTS, 4, field_be, NULL},
    {"snapshots_offset", HEADER_SNAPSHOTS_OFFSET, 8, field_be, NULL},
    {"incompatible_features", HEADER_INCOMPATIBLE_FEATURES, 8, field_flags_be, incompatible_words},
    {"compatible_features", HEADER_COMPATIBLE_FEATURES, 8, field_flags_be, compatible_words},
    {"autoclear_features", HEADER_AUTOCLEAR_FEATURES, 8, field_flags_be, autoclear_words},
    {"refcount_order", HEADER_REFCOUNT_ORDER, 4, field_be, NULL},
    {"header_length", HEADER_HEADER_LENGTH, 4, field_be, NULL},
    {"compression_type", HEADER_COMPRESSION_TYPE, 1, field_be, NULL},
};

/* header_section.find. The header of version 2 has 72 bytes; later ones have a length field. */
static int qcow2_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *header;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    *offset = 0;
    *length = HEADER_V2_BYTES;
    if (be32(header + HEADER_VERSION) >= 3)
        *length = max_u64(be32(header + HEADER_HEADER_LENGTH), HEADER_V3_BYTES);
    return 1;
}

static const struct header_section qcow2_sections[] = {
    {"", FIELDS(header_fields), qcow2_find_header},
    {.fields = NULL},
};

const struct format_driver qcow2_driver = {
    .name = "qcow2",
    .sections = qcow2_sections,
    .signatures = {{HEAD, 0, MAGIC, 4}},
    .probe = qcow2_probe,
    .open = qcow2_open,
    .extent_at = qcow2_extent_at,
    .map_units = qcow2_map_units,
    .decode = qcow2_decode,
    .bitmaps_size = qcow2_bitmaps_size,
};
