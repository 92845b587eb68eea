// SPDX-License-Identifier: Apache-2.0
/*
 * parallels: Parallels expandable image (QEMU, docs/interop/parallels.txt). Little endian.
 *
 * A header of 64 bytes, the BAT with 4 bytes for each cluster, and clusters. There are two magics:
 * with the old one BAT entries count sectors, and disks have at most 2^32 sectors; with the
 * extended one BAT entries count clusters.
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
#include "unit-map.h"

enum {
    HEADER_BYTES = 64,
    MAGIC_BYTES = 16,
    HEADER_VERSION = 16,
    TRACKS = 28,
    NB_BAT_ENTRIES = 32,
    NB_SECTORS = 36,
    IN_USE = 44,
    FLAGS = 52,
    EXT_OFF = 56,

    EXTENSION_BYTES = 24,

    FEATURE_BYTES = 24,
    FEATURE_FLAGS = 8,
    FEATURE_DATA_SIZE = 16,

    BITMAP_BYTES = 32,
    BITMAP_GRANULARITY = 24,
    BITMAP_L1_SIZE = 28,

    FEATURES_MAX = 256, /* ours; qemu reads as many as fit in a cluster */
    FLAG_EMPTY_IMAGE = 1,
    VERSION_2 = 2,
    ENTRY_BYTES = 4,
};

#define MAGIC          "WithoutFreeSpace"
#define EXTENDED_MAGIC "WithouFreSpacExt"
#define IN_USE_MAGIC   UINT32_C(0x746f6e59)

#define EXTENSION_MAGIC UINT64_C(0xab234cef23dcea87)
#define END_OF_FEATURES 0
#define DIRTY_BITMAP    UINT64_C(0x20385fae252cb34a)

/* qemu's limits: clusters just below 2 GiB, and a BAT of 2 GiB. */
#define TRACKS_MAX      (INT32_MAX / 513)
#define BAT_ENTRIES_MAX (INT32_MAX / ENTRY_BYTES)

struct parallels {
    uint64_t cluster_size;
    uint64_t entry_unit; /* bytes that a BAT entry counts in */
    uint64_t step;       /* difference of the entries of clusters that are adjacent in the file */
    struct image_table bat;
};

static bool parallels_is_old(const uint8_t *header)
{
    return memcmp(header, MAGIC, MAGIC_BYTES) == 0;
}

static int parallels_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error = image_head(img, &head);

    (void)signature;
    if (error)
        return error;
    if (le32(head + HEADER_VERSION) == VERSION_2)
        return 1;
    snprintf(why->words, sizeof why->words, "version %u is not 2", le32(head + HEADER_VERSION));
    return 0;
}

/* Checks a dirty bitmap: data_size bytes at offset, which must hold its L1 table. */
static int parallels_check_bitmap(struct disk *disk, uint64_t offset, uint32_t data_size)
{
    uint8_t bitmap[BITMAP_BYTES];
    uint32_t granularity;
    int error;

    if (data_size < BITMAP_BYTES)
        return image_fail(disk->img, EUCLEAN,
                          "parallels: dirty bitmap data_size %u is less than %d", data_size,
                          BITMAP_BYTES);
    error = image_read(disk->img, offset, sizeof bitmap, bitmap);
    if (error)
        return error;
    if (le64(bitmap) != disk->virtual_size / SECTOR)
        return image_fail(
            disk->img, EUCLEAN, "parallels: dirty bitmap size %llu is not the disk's %llu sectors",
            (unsigned long long)le64(bitmap), (unsigned long long)disk->virtual_size / SECTOR);
    granularity = le32(bitmap + BITMAP_GRANULARITY);
    /* In bytes it must fit in 32 bits. */
    if (!is_power_of_two(granularity) || granularity > UINT32_MAX / SECTOR)
        return image_fail(disk->img, EUCLEAN,
                          "parallels: dirty bitmap granularity %u (sectors) is not a power of two "
                          "up to 2^22",
                          granularity);
    if ((uint64_t)le32(bitmap + BITMAP_L1_SIZE) * 8 > data_size - BITMAP_BYTES)
        return image_fail(disk->img, EUCLEAN,
                          "parallels: dirty bitmap l1_size %u does not fit in data_size %u",
                          le32(bitmap + BITMAP_L1_SIZE), data_size);
    return 0;
}

/* Checks the features up to one of magic 0. All must be in the extension's cluster, before end. */
static int parallels_check_features(struct disk *disk, uint64_t offset, uint64_t end)
{
    struct image *img = disk->img;

    for (int i = 0; i < FEATURES_MAX; i++) {
        uint8_t feature[FEATURE_BYTES];
        uint32_t data_size;
        int error;

        if (offset > end || end - offset < FEATURE_BYTES)
            return image_fail(
                img, EUCLEAN,
                "parallels: format extension has no end of features (magic 0) in its cluster");
        error = image_read(img, offset, sizeof feature, feature);
        if (error)
            return error;
        offset += FEATURE_BYTES;
        data_size = le32(feature + FEATURE_DATA_SIZE);
        if (le64(feature + FEATURE_FLAGS))
            return image_fail(img, ENOTSUP,
                              "parallels: extension feature with unknown flags 0x%llx",
                              (unsigned long long)le64(feature + FEATURE_FLAGS));
        if (data_size > end - offset)
            return image_fail(
                img, EUCLEAN,
                "parallels: extension feature data_size %u ends past the extension's cluster",
                data_size);
        if (le64(feature) == END_OF_FEATURES)
            return 0;
        if (le64(feature) != DIRTY_BITMAP)
            return image_fail(img, ENOTSUP,
                              "parallels: extension feature with unknown magic 0x%016llx",
                              (unsigned long long)le64(feature));
        error = parallels_check_bitmap(disk, offset, data_size);
        if (error)
            return error;
        offset += ((uint64_t)data_size + 7) & ~UINT64_C(7);
    }
    return image_fail(img, EFBIG, "parallels: format extension has more than %d features",
                      FEATURES_MAX);
}

/*
 * Checks the format extension: a cluster of features. No guest byte depends on them. check_sum is
 * not verified: a cluster can have nearly 2 GiB, which would have to be read.
 */
static int parallels_check_extension(struct disk *disk, const struct parallels *p, uint64_t ext_off)
{
    uint64_t offset, end;
    uint8_t header[EXTENSION_BYTES];
    int error;

    /* File offsets have 63 bits. */
    if (!checked_mul(ext_off, SECTOR, &offset) || !checked_add(offset, p->cluster_size, &end) ||
        end > INT64_MAX)
        return image_fail(disk->img, EUCLEAN,
                          "parallels: ext_off %llu (sectors) is beyond the largest file offset",
                          (unsigned long long)ext_off);
    error = image_require(disk->img, offset, sizeof header, "parallels: format extension");
    if (!error)
        error = image_read(disk->img, offset, sizeof header, header);
    if (error)
        return error;
    if (le64(header) != EXTENSION_MAGIC)
        return image_fail(
            disk->img, EUCLEAN,
            "parallels: format extension magic 0x%016llx at sector %llu is not 0x%016llx",
            (unsigned long long)le64(header), (unsigned long long)ext_off,
            (unsigned long long)EXTENSION_MAGIC);
    return parallels_check_features(disk, offset + EXTENSION_BYTES, end);
}

/* Checks the version, tracks (the sectors of a cluster), and the number of BAT entries. */
static int parallels_check_limits(struct image *img, const uint8_t *header)
{
    uint32_t tracks = le32(header + TRACKS), entries = le32(header + NB_BAT_ENTRIES);

    if (le32(header + HEADER_VERSION) != VERSION_2)
        return image_fail(img, ENOTSUP, "parallels: version %u is not 2",
                          le32(header + HEADER_VERSION));
    if (!tracks)
        return image_fail(img, EUCLEAN, "parallels: tracks 0: a cluster has no sectors");
    if (tracks > TRACKS_MAX)
        return image_fail(img, EFBIG, "parallels: tracks %u is more than %d", tracks, TRACKS_MAX);
    if (entries > BAT_ENTRIES_MAX)
        return image_fail(img, EFBIG, "parallels: nb_bat_entries %u is more than %d", entries,
                          BAT_ENTRIES_MAX);
    return 0;
}

/* Sets the virtual size. With the old magic, nb_sectors has only its low 32 bits. */
static int parallels_open_size(struct disk *disk, const uint8_t *header)
{
    uint64_t sectors =
        parallels_is_old(header) ? le32(header + NB_SECTORS) : le64(header + NB_SECTORS);

    if (sectors > DISK_BYTES_MAX / SECTOR)
        return image_fail(disk->img, EFBIG, "parallels: nb_sectors %llu is more than %llu",
                          (unsigned long long)sectors,
                          (unsigned long long)(DISK_BYTES_MAX / SECTOR));
    disk->virtual_size = sectors * SECTOR;
    return 0;
}

/* Reports flags that do not change how the BAT is read. */
static void parallels_note_oddities(struct image *img, const uint8_t *header)
{
    if (le32(header + IN_USE) == IN_USE_MAGIC)
        image_note(img, "parallels: in_use 0x%08x: the image is open or was not closed properly",
                   IN_USE_MAGIC);
    if (le32(header + FLAGS) & FLAG_EMPTY_IMAGE)
        image_note(img, "parallels: flags has empty-image set; the BAT is read anyway");
}

/* Sets the cluster size and the BAT. Clusters are not allocated if their entries are past the end
 * of the BAT or of the file. */
static void parallels_open_bat(const struct image *img, struct parallels *p, const uint8_t *header)
{
    uint64_t size = image_size(img), tracks = le32(header + TRACKS);
    uint64_t in_file = size > HEADER_BYTES ? div_up(size - HEADER_BYTES, ENTRY_BYTES) : 0;

    p->cluster_size = tracks * SECTOR;
    p->step = parallels_is_old(header) ? tracks : 1;
    p->entry_unit = parallels_is_old(header) ? SECTOR : p->cluster_size;
    p->bat = (struct image_table){.offset = HEADER_BYTES,
                                  .entries = min_u64(le32(header + NB_BAT_ENTRIES), in_file),
                                  .entry_bytes = ENTRY_BYTES};
}

static int parallels_open(struct disk *disk)
{
    struct parallels *p = image_alloc(disk->img, sizeof *p);
    const uint8_t *header;
    int error = p ? image_head(disk->img, &header) : -ENOMEM;

    if (error)
        return error;
    if (!parallels_is_old(header) && memcmp(header, EXTENDED_MAGIC, MAGIC_BYTES) != 0)
        return image_fail(disk->img, EUCLEAN,
                          "parallels: magic at offset 0 is neither \"%s\" nor \"%s\"", MAGIC,
                          EXTENDED_MAGIC);
    disk->state = p;
    disk->subformat = parallels_is_old(header) ? MAGIC : EXTENDED_MAGIC;
    error = parallels_check_limits(disk->img, header);
    if (!error)
        error = parallels_open_size(disk, header);
    if (error)
        return error;
    parallels_open_bat(disk->img, p, header);
    parallels_note_oddities(disk->img, header);
    return le64(header + EXT_OFF) ? parallels_check_extension(disk, p, le64(header + EXT_OFF)) : 0;
}

/* Counts the entries from the first on that are 0. */
static uint64_t parallels_hole_run(const uint8_t *bat, uint64_t count)
{
    uint64_t n = 1;

    while (n < count && !le32(bat + ENTRY_BYTES * n))
        n++;
    return n;
}

/* Counts the entries from the first on that are not 0. If step is not 0, each must be that much
 * more than the one before. */
static uint64_t parallels_data_run(const uint8_t *bat, uint64_t count, uint64_t step)
{
    uint64_t next = le32(bat), n = 1;
    uint32_t entry;

    for (; n < count; n++) {
        entry = le32(bat + ENTRY_BYTES * n);
        next += step;
        if (!entry || (step && entry != next))
            break;
    }
    return n;
}

static int parallels_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                               struct extent *extent)
{
    struct parallels *p = disk->state;
    uint64_t index = offset / p->cluster_size, within = offset % p->cluster_size, count;
    const uint8_t *bat = NULL;
    uint64_t entry;
    int error;

    extent->kind = EXTENT_HOLE;
    if (index >= p->bat.entries) {
        extent->length = disk->virtual_size - offset;
        return 0;
    }
    error = image_table_at(disk->img, &p->bat, index, &bat, &count);
    if (error)
        return error;
    entry = le32(bat);
    if (!entry) {
        extent->length = parallels_hole_run(bat, count) * p->cluster_size - within;
        return 0;
    }
    extent->kind = EXTENT_DATA;
    extent->length =
        parallels_data_run(bat, count, want & EXTENTS_WANT_HOST ? p->step : 0) * p->cluster_size -
        within;
    /* No overflow: less than 2^32 clusters of less than 2^31 bytes. */
    extent->host = entry * p->entry_unit + within;
    return 0;
}

static inline enum unit_bits parallels_classify(const void *context, const uint8_t *entry)
{
    (void)context;
    return le32(entry) ? UNIT_DATA : UNIT_EMPTY;
}

static int parallels_map_units(struct disk *disk, uint64_t offset, struct unit_map *map)
{
    struct parallels *p = disk->state;
    uint64_t index = offset / p->cluster_size, count;
    const uint8_t *bat;
    int error;

    if (offset % p->cluster_size || index >= p->bat.entries)
        return 0;
    error = image_table_at(disk->img, &p->bat, index, &bat, &count);
    if (error)
        return error;
    map->unit = p->cluster_size;
    unit_map_fill(map, bat, ENTRY_BYTES, (uint32_t)min_u64(count, UNIT_MAP_UNITS),
                  parallels_classify, NULL);
    return 1;
}

static const struct field_word flag_words[] = {{FLAG_EMPTY_IMAGE, "empty-image"}, {0, NULL}};

static const struct field header_fields[] = {
    {"magic", 0, MAGIC_BYTES, field_text, NULL},
    {"version", HEADER_VERSION, 4, field_le, NULL},
    {"heads", 20, 4, field_le, NULL},
    {"cylinders", 24, 4, field_le, NULL},
    {"tracks", TRACKS, 4, field_le, NULL},
    {"nb_bat_entries", NB_BAT_ENTRIES, 4, field_le, NULL},
    {"nb_sectors", NB_SECTORS, 8, field_le, NULL},
    {"in_use", IN_USE, 4, field_le, NULL},
    {"data_off", 48, 4, field_le, NULL},
    {"flags", FLAGS, 4, field_flags_le, flag_words},
    {"ext_off", EXT_OFF, 8, field_le, NULL},
};

static const struct field extension_fields[] = {
    {"magic", 0, 8, field_le, NULL},
    {"check_sum", 8, 16, field_hex, NULL},
};

static int parallels_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    *offset = 0;
    *length = HEADER_BYTES;
    return 1;
}

static int parallels_find_extension(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *header;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    *length = EXTENSION_BYTES;
    return checked_mul(le64(header + EXT_OFF), SECTOR, offset) && *offset;
}

static const struct header_section parallels_sections[] = {
    {"", FIELDS(header_fields), parallels_find_header},
    {"extension", FIELDS(extension_fields), parallels_find_extension},
    {.fields = NULL},
};

const struct format_driver parallels_driver = {
    .name = "parallels",
    .signatures = {{HEAD, 0, MAGIC, MAGIC_BYTES}, {HEAD, 0, EXTENDED_MAGIC, MAGIC_BYTES}},
    .sections = parallels_sections,
    .probe = parallels_probe,
    .open = parallels_open,
    .extent_at = parallels_extent_at,
    .map_units = parallels_map_units,
};
