// SPDX-License-Identifier: Apache-2.0
/* qcow2: sizes of persistent bitmaps (docs/interop/qcow2.txt, "Bitmaps extension", "Bitmaps"). */
#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/image.h"
#include "qcow2.h"

enum {
    EXTENSION_BYTES = 24,
    EXTENSION_NB_BITMAPS = 0,
    EXTENSION_RESERVED = 4,
    EXTENSION_DIRECTORY_SIZE = 8,
    EXTENSION_DIRECTORY_OFFSET = 16,

    ENTRY_BYTES = 24,
    ENTRY_TABLE_OFFSET = 0,
    ENTRY_TABLE_SIZE = 8,
    ENTRY_FLAGS = 12,
    FLAG_IN_USE = 1 << 0,
    FLAG_AUTO = 1 << 1,
    ENTRY_TYPE = 16,
    TYPE_DIRTY_TRACKING = 1,
    ENTRY_GRANULARITY_BITS = 17,
    GRANULARITY_BITS_MIN = 9,
    GRANULARITY_BITS_MAX = 31,
    ENTRY_NAME_SIZE = 18,
    ENTRY_EXTRA_DATA_SIZE = 20,

    /* Limits of qemu. */
    BITMAPS_MAX = 65535,
    DIRECTORY_BYTES_MAX = 64 << 20,
    BITMAP_BYTES_MAX = 512 << 20,
    NAME_MAX_BYTES = 1023,

    DIRECTORY_WINDOW_BYTES = 64 << 10,
};

int qcow2_read_bitmaps_extension(struct disk *disk, uint64_t offset, uint32_t length)
{
    struct qcow2 *q = disk->state;
    const uint8_t *p;
    int error;

    if (q->version < 3)
        return 0;
    if (length != EXTENSION_BYTES)
        return image_fail(disk->img, EUCLEAN, "qcow2: bitmaps extension: length %u is not %d",
                          length, EXTENSION_BYTES);
    if (!(q->autoclear_features & QCOW2_AUTOCLEAR_BITMAPS)) {
        image_note(disk->img, "qcow2: bitmaps are out of date (autoclear_features bit 0 is not "
                              "set): a program that does not support them wrote to the image");
        return 0;
    }
    error = image_get(disk->img, offset, length, &p);
    if (error)
        return error;
    q->nb_bitmaps = be32(p + EXTENSION_NB_BITMAPS);
    q->bitmap_directory_size = be64(p + EXTENSION_DIRECTORY_SIZE);
    q->bitmap_directory_offset = be64(p + EXTENSION_DIRECTORY_OFFSET);
    if (be32(p + EXTENSION_RESERVED))
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: bitmaps extension: reserved field 0x%x is not 0",
                          be32(p + EXTENSION_RESERVED));
    if (q->nb_bitmaps == 0 || q->nb_bitmaps > BITMAPS_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow2: nb_bitmaps %u is not between 1 and %d",
                          q->nb_bitmaps, BITMAPS_MAX);
    if (q->bitmap_directory_size > DIRECTORY_BYTES_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow2: bitmap_directory_size %llu is more than %d",
                          (unsigned long long)q->bitmap_directory_size, DIRECTORY_BYTES_MAX);
    if (q->bitmap_directory_offset % q->cluster_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: bitmap_directory_offset %llu is not a multiple of the cluster "
                          "size %llu",
                          (unsigned long long)q->bitmap_directory_offset,
                          (unsigned long long)q->cluster_size);
    q->has_bitmaps = true;
    return 0;
}

static int qcow2_bad_bitmap(struct disk *disk, uint32_t n, const char *rule)
{
    return image_fail(disk->img, EUCLEAN, "qcow2: bitmap directory entry %u %s", n, rule);
}

/* Reports a field of entry n of the bitmap directory. */
static int qcow2_bad_bitmap_field(struct disk *disk, uint32_t n, const char *field, uint64_t value,
                                  const char *rule)
{
    return image_fail(disk->img, EUCLEAN, "qcow2: bitmap directory entry %u: %s %llu %s", n, field,
                      (unsigned long long)value, rule);
}

/* Checks the bitmap table of entry n. That of a bitmap in use may be older than the disk's size. */
static int qcow2_check_bitmap_table(struct disk *disk, uint32_t n, const uint8_t *entry)
{
    const struct qcow2 *q = disk->state;
    uint64_t offset = be64(entry + ENTRY_TABLE_OFFSET);
    uint64_t size = be32(entry + ENTRY_TABLE_SIZE); /* in entries, one a cluster */
    bool is_in_use = be32(entry + ENTRY_FLAGS) & FLAG_IN_USE;

    if (offset == 0 || offset % q->cluster_size)
        return qcow2_bad_bitmap_field(disk, n, "bitmap_table_offset", offset,
                                      "is not a positive multiple of the cluster size");
    if (size == 0)
        return qcow2_bad_bitmap_field(disk, n, "bitmap_table_size", size, "is an empty table");
    if (size * q->cluster_size > BITMAP_BYTES_MAX)
        return qcow2_bad_bitmap_field(disk, n, "bitmap_table_size", size,
                                      "makes a bitmap of more than 512 MiB");
    if (!is_in_use && disk->virtual_size > (size * q->cluster_size * 8)
                                               << entry[ENTRY_GRANULARITY_BITS])
        return qcow2_bad_bitmap_field(disk, n, "bitmap_table_size", size,
                                      "does not cover the disk");
    return 0;
}

/* Checks entry n of the bitmap directory. */
static int qcow2_check_bitmap(struct disk *disk, uint32_t n, const uint8_t *entry)
{
    uint32_t flags = be32(entry + ENTRY_FLAGS);
    unsigned type = entry[ENTRY_TYPE], granularity_bits = entry[ENTRY_GRANULARITY_BITS];
    unsigned name_size = be16(entry + ENTRY_NAME_SIZE);

    if (flags & ~(uint32_t)(FLAG_IN_USE | FLAG_AUTO))
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: bitmap directory entry %u: flags 0x%x has reserved bits", n,
                          flags);
    if (type != TYPE_DIRTY_TRACKING)
        return qcow2_bad_bitmap_field(disk, n, "type", type, "is not 1 (dirty tracking)");
    if (granularity_bits < GRANULARITY_BITS_MIN || granularity_bits > GRANULARITY_BITS_MAX)
        return qcow2_bad_bitmap_field(disk, n, "granularity_bits", granularity_bits,
                                      "is not between 9 and 31");
    if (name_size == 0 || name_size > NAME_MAX_BYTES)
        return qcow2_bad_bitmap_field(disk, n, "name_size", name_size, "is not between 1 and 1023");
    return qcow2_check_bitmap_table(disk, n, entry);
}

/*
 * Adds the bytes of one bitmap and its table to *bytes, and those of its directory entry to
 * *directory, in an image with clusters of cluster_size. Returns false if *bytes overflows. A disk
 * has less than 2^63 bytes, so a bitmap has at most 2^51: only the sum can overflow.
 */
static bool qcow2_add_bitmap(const struct disk *disk, const uint8_t *entry, uint64_t cluster_size,
                             uint64_t *bytes, uint64_t *directory)
{
    uint64_t granularity = UINT64_C(1) << entry[ENTRY_GRANULARITY_BITS];
    uint64_t clusters = div_up(div_up(div_up(disk->virtual_size, granularity), 8), cluster_size);

    *directory += div_up(ENTRY_BYTES + (uint64_t)be16(entry + ENTRY_NAME_SIZE), 8) * 8;
    return checked_add(
        *bytes, clusters * cluster_size + div_up(clusters * 8, cluster_size) * cluster_size, bytes);
}

/* Adds the bytes of all bitmaps, their tables and their directory to *bytes. */
static int qcow2_add_bitmaps(struct disk *disk, uint64_t cluster_size, uint64_t *bytes)
{
    struct qcow2 *q = disk->state;
    uint64_t at = 0, directory = 0;
    struct image_window window;
    int error = image_window_begin(disk->img, &window, DIRECTORY_WINDOW_BYTES);

    for (uint32_t n = 0; !error && n < q->nb_bitmaps; n++) {
        uint64_t rest = q->bitmap_directory_size - at;
        const uint8_t *entry;

        if (rest < ENTRY_BYTES)
            return qcow2_bad_bitmap(disk, n, "is past the end of the directory");
        error = image_window_ahead(disk->img, &window, q->bitmap_directory_offset + at, ENTRY_BYTES,
                                   rest, &entry);
        if (!error)
            error = qcow2_check_bitmap(disk, n, entry);
        if (error)
            return error;
        if (!qcow2_add_bitmap(disk, entry, cluster_size, bytes, &directory))
            return image_fail(disk->img, EFBIG, "qcow2: bitmaps of more than 2^64 bytes");
        at += ((uint64_t)ENTRY_BYTES + be32(entry + ENTRY_EXTRA_DATA_SIZE) +
               be16(entry + ENTRY_NAME_SIZE) + 7) &
              ~UINT64_C(7);
        if (at > q->bitmap_directory_size)
            return qcow2_bad_bitmap(disk, n, "ends past the end of the directory");
    }
    if (!error && at != q->bitmap_directory_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: bitmap_directory_size %llu is more than its %u entries need",
                          (unsigned long long)q->bitmap_directory_size, q->nb_bitmaps);
    *bytes += div_up(directory, cluster_size) * cluster_size;
    return error;
}

int qcow2_bitmaps_size(struct disk *disk, uint64_t cluster_size, uint64_t *bytes)
{
    struct qcow2 *q = disk->state;

    *bytes = 0;
    if (q->version < 3)
        return 0;
    if (q->has_bitmaps && q->bitmaps_cluster_size != cluster_size) {
        uint64_t sum = 0;
        int error = qcow2_add_bitmaps(disk, cluster_size, &sum);

        if (error)
            return error;
        q->bitmaps_cluster_size = cluster_size;
        q->bitmaps_bytes = sum;
    }
    *bytes = q->bitmaps_bytes;
    return 1;
}
