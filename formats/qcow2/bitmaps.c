// SPDX-License-Identifier: Apache-2.0
/* qcow2: persistent bitmaps (docs/interop/qcow2.txt, "Bitmaps extension", "Bitmaps"), as far as
 * their sizes go. */
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
    HEADER_AUTOCLEAR_FEATURES = 88,
    AUTOCLEAR_BITMAPS = 1,

    ENTRY_BYTES = 24,
    ENTRY_TABLE_OFFSET = 0,
    ENTRY_TABLE_SIZE = 8,
    ENTRY_FLAGS = 12,
    FLAG_IN_USE = 1,
    FLAGS_KNOWN = 3, /* in use, auto */
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
    const uint8_t *p, *header;
    int error = image_head(disk->img, &header);

    if (error || q->version < 3)
        return error;
    if (length != EXTENSION_BYTES)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: bitmaps extension has %u bytes, it must have %d", length,
                          EXTENSION_BYTES);
    if (!(be64(header + HEADER_AUTOCLEAR_FEATURES) & AUTOCLEAR_BITMAPS)) {
        image_note(disk->img, "qcow2: the bitmaps are out of date: a program that does not know "
                              "them wrote to the image");
        return 0;
    }
    error = image_get(disk->img, offset, length, &p);
    if (error)
        return error;
    q->bitmaps = be32(p + EXTENSION_NB_BITMAPS);
    q->bitmap_directory_size = be64(p + EXTENSION_DIRECTORY_SIZE);
    q->bitmap_directory_offset = be64(p + EXTENSION_DIRECTORY_OFFSET);
    if (be32(p + EXTENSION_RESERVED))
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: the reserved field of the bitmaps extension is not 0");
    if (q->bitmaps == 0 || q->bitmaps > BITMAPS_MAX)
        return image_fail(disk->img, EUCLEAN, "qcow2: nb_bitmaps %u is not between 1 and %d",
                          q->bitmaps, BITMAPS_MAX);
    if (q->bitmap_directory_size > DIRECTORY_BYTES_MAX ||
        q->bitmap_directory_offset % q->cluster_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: bitmap directory of %llu bytes at offset %llu is over %d bytes "
                          "or not on a cluster "
                          "boundary",
                          (unsigned long long)q->bitmap_directory_size,
                          (unsigned long long)q->bitmap_directory_offset, DIRECTORY_BYTES_MAX);
    q->has_bitmaps = true;
    return 0;
}

/* What an entry breaks; NULL: nothing. */
static const char *entry_fault(const struct disk *disk, const uint8_t *entry)
{
    const struct qcow2 *q = disk->state;
    uint64_t table_offset = be64(entry + ENTRY_TABLE_OFFSET),
             table_size = be32(entry + ENTRY_TABLE_SIZE);
    uint32_t flags = be32(entry + ENTRY_FLAGS);
    unsigned granularity_bits = entry[ENTRY_GRANULARITY_BITS];

    if ((flags & ~(uint32_t)FLAGS_KNOWN) || entry[ENTRY_TYPE] != TYPE_DIRTY_TRACKING)
        return "has unknown flags or an unknown type";
    if (granularity_bits < GRANULARITY_BITS_MIN || granularity_bits > GRANULARITY_BITS_MAX)
        return "has granularity_bits that are not between 9 and 31";
    if (be16(entry + ENTRY_NAME_SIZE) == 0 || be16(entry + ENTRY_NAME_SIZE) > NAME_MAX_BYTES)
        return "has a name_size that is not between 1 and 1023";
    if (table_offset == 0 || table_offset % q->cluster_size || table_size == 0)
        return "has a bitmap table that is empty or not on a cluster boundary";
    if (table_size * q->cluster_size > BITMAP_BYTES_MAX)
        return "has a bitmap of more than 512 MiB";
    if (!(flags & FLAG_IN_USE) && disk->virtual_size > (table_size * q->cluster_size * 8)
                                                           << granularity_bits)
        return "has a bitmap table that does not cover the disk";
    return NULL;
}

/*
 * Adds what one bitmap takes: its clusters, its table, and its place in the directory. A disk has
 * at most 2^63 bytes, a bitmap so at most 2^51: only the sum over all of them may not fit.
 */
static bool add_bitmap(const struct disk *disk, const uint8_t *entry, uint64_t cluster_size,
                       uint64_t *bytes, uint64_t *directory)
{
    uint64_t granularity = UINT64_C(1) << entry[ENTRY_GRANULARITY_BITS];
    uint64_t clusters = div_up(div_up(div_up(disk->virtual_size, granularity), 8), cluster_size);

    *directory += div_up(ENTRY_BYTES + (uint64_t)be16(entry + ENTRY_NAME_SIZE), 8) * 8;
    return checked_add(
        *bytes, clusters * cluster_size + div_up(clusters * 8, cluster_size) * cluster_size, bytes);
}

static int bad_entry(struct disk *disk, uint32_t n, const char *rule)
{
    return image_fail(disk->img, EUCLEAN, "qcow2: entry %u of the bitmap directory %s", n, rule);
}

/* Adds up all entries of the directory. */
static int add_bitmaps(struct disk *disk, uint64_t cluster_size, uint64_t *bytes)
{
    struct qcow2 *q = disk->state;
    uint64_t at = 0, directory = 0;
    struct image_window window;
    int error = image_window_begin(disk->img, &window, DIRECTORY_WINDOW_BYTES);

    for (uint32_t n = 0; !error && n < q->bitmaps; n++) {
        uint64_t rest = q->bitmap_directory_size - at;
        const uint8_t *entry;
        const char *fault;

        if (rest < ENTRY_BYTES)
            return bad_entry(disk, n, "is past the end of the directory");
        error = image_window_ahead(disk->img, &window, q->bitmap_directory_offset + at, ENTRY_BYTES,
                                   rest, &entry);
        if (error)
            return error;
        fault = entry_fault(disk, entry);
        if (fault)
            return bad_entry(disk, n, fault);
        if (!add_bitmap(disk, entry, cluster_size, bytes, &directory))
            return image_fail(disk->img, EFBIG, "qcow2: the bitmaps take more than 2^64 bytes");
        at += ((uint64_t)ENTRY_BYTES + be32(entry + ENTRY_EXTRA_DATA_SIZE) +
               be16(entry + ENTRY_NAME_SIZE) + 7) &
              ~UINT64_C(7);
        if (at > q->bitmap_directory_size)
            return bad_entry(disk, n, "is longer than the directory");
    }
    if (!error && at != q->bitmap_directory_size)
        return image_fail(disk->img, EUCLEAN,
                          "qcow2: the bitmap directory is longer than its %u entries", q->bitmaps);
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
        int error = add_bitmaps(disk, cluster_size, &sum);

        if (error)
            return error;
        q->bitmaps_cluster_size = cluster_size;
        q->bitmaps_bytes = sum;
    }
    *bytes = q->bitmaps_bytes;
    return 1;
}
