// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: seSparse extents, little endian. VMware has published no specification: structures and
 * names are qemu's.
 *
 * A constant header, a volatile header, then the areas of grain directory, grain tables and grains.
 * Entries have 8 bytes: a type in the upper bits, and a number counted from the start of the area.
 * Only a descriptor makes a disk of such an extent. Opened by itself it shows what it holds;
 * whether it has a parent is not known.
 */
#include "sesparse.h"

#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "formats/zeros.h"
#include "tables.h"

enum {
    SESPARSE_RESERVED_BYTES = 32,

    ENTRY_BYTES = 8,
    GRAIN_SECTORS = 8,
    GRAIN = GRAIN_SECTORS * SECTOR,
    TABLE_SECTORS = 64,
    TABLE_BYTES = TABLE_SECTORS * SECTOR,
    GTES = TABLE_BYTES / ENTRY_BYTES,
    TABLE_SIZE = GTES * GRAIN, /* guest bytes that one grain table covers */
};

#define SUPPORTED_VERSION UINT64_C(0x200000001)
#define VOLATILE_MAGIC    UINT64_C(0xcafecafe)

/* The type of a grain directory entry: its upper half. */
#define GDE_TYPE      UINT64_C(0xffffffff00000000)
#define GDE_ALLOCATED UINT64_C(0x1000000000000000)

/* The type of a grain table entry. */
#define GTE_TYPE      UINT64_C(0xf000000000000000)
#define GTE_UNMAPPED  UINT64_C(0x1000000000000000)
#define GTE_ZERO      UINT64_C(0x2000000000000000)
#define GTE_ALLOCATED UINT64_C(0x3000000000000000)

struct vmdk_sesparse {
    uint64_t tables_sectors, grains_sectors; /* starts of these areas */
    struct image_table gd;
    struct image_window gt;
    struct vmdk_walk walk;

    /* The guest bytes whose entries are in memory: one entry a grain, or NULL, none allocated. */
    uint64_t start, length;
    const uint8_t *entries;
};

/* qemu's checks: the meaning of other values is not known. */
static int vmdk_sesparse_check_header(struct image *img, const uint8_t *head)
{
    static const struct {
        const char *name;
        unsigned offset;
        uint64_t value;
    } fixed[] = {
        {"version", SESPARSE_VERSION, SUPPORTED_VERSION},
        {"grain_size", SESPARSE_GRAIN_SIZE, GRAIN_SECTORS},
        {"grain_table_size", SESPARSE_GRAIN_TABLE_SIZE, TABLE_SECTORS},
        {"flags", SESPARSE_FLAGS, 0},
    };

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (le64(head + fixed[i].offset) != fixed[i].value)
            return image_fail(img, ENOTSUP, "vmdk: seSparse: %s %llu is not supported, only %llu",
                              fixed[i].name, (unsigned long long)le64(head + fixed[i].offset),
                              (unsigned long long)fixed[i].value);
    if (!are_zeros(head + SESPARSE_RESERVED, SESPARSE_RESERVED_BYTES) ||
        !are_zeros(head + SESPARSE_PAD, SESPARSE_HEADER_BYTES - SESPARSE_PAD))
        return image_fail(img, ENOTSUP,
                          "vmdk: seSparse: reserved fields of the constant header are not zero");
    return 0;
}

/* An offset that no file can have is malformed. */
static int vmdk_sesparse_check_offset(struct image *img, const char *field, uint64_t sectors)
{
    if (sectors <= INT64_MAX / SECTOR)
        return 0;
    return image_fail(img, EUCLEAN,
                      "vmdk: seSparse: %s %llu is beyond the largest possible file, 2^63 bytes",
                      field, (unsigned long long)sectors);
}

static int vmdk_sesparse_check_volatile(struct image *img, uint64_t sectors)
{
    const uint8_t *header;
    int error = vmdk_sesparse_check_offset(img, "volatile_header_offset", sectors);

    if (!error)
        error = image_require(img, sectors * SECTOR, sizeof VOLATILE_MAGIC,
                              "vmdk: seSparse: the volatile header's magic");
    if (!error)
        error = image_get(img, sectors * SECTOR, SESPARSE_HEADER_BYTES, &header);
    if (error)
        return error;
    if (le64(header) != VOLATILE_MAGIC)
        return image_fail(
            img, EUCLEAN,
            "vmdk: seSparse: the volatile header at sector %llu has magic 0x%llx, not 0x%llx",
            (unsigned long long)sectors, (unsigned long long)le64(header),
            (unsigned long long)VOLATILE_MAGIC);
    if (le64(header + VOLATILE_REPLAY_JOURNAL) != 0)
        return image_fail(
            img, ENOTSUP,
            "vmdk: seSparse: replay_journal is %llu: replaying a journal is not supported",
            (unsigned long long)le64(header + VOLATILE_REPLAY_JOURNAL));
    if (!are_zeros(header + VOLATILE_PAD, SESPARSE_HEADER_BYTES - VOLATILE_PAD))
        return image_fail(img, ENOTSUP,
                          "vmdk: seSparse: reserved fields of the volatile header are not zero");
    return 0;
}

/* Sets the virtual size. The grain directory must cover it. */
static int vmdk_sesparse_check_sizes(struct disk *disk, const uint8_t *head)
{
    uint64_t sectors = le64(head + SESPARSE_CAPACITY),
             gd_sectors = le64(head + SESPARSE_GRAIN_DIR_SIZE);
    uint64_t gd_entries;

    if (!checked_mul(sectors, SECTOR, &disk->virtual_size) || disk->virtual_size > DISK_BYTES_MAX)
        return image_fail(disk->img, EFBIG,
                          "vmdk: seSparse: capacity %llu is more than 2^54 - 2^21 sectors",
                          (unsigned long long)sectors);
    if (!checked_mul(gd_sectors, SECTOR / ENTRY_BYTES, &gd_entries) ||
        gd_entries > VMDK_GD_ENTRIES_MAX)
        return image_fail(disk->img, EFBIG,
                          "vmdk: seSparse: grain_dir_size %llu makes more than %d entries",
                          (unsigned long long)gd_sectors, VMDK_GD_ENTRIES_MAX);
    if (gd_entries < div_up(disk->virtual_size, TABLE_SIZE))
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: seSparse: grain_dir_size %llu does not cover capacity %llu",
                          (unsigned long long)gd_sectors, (unsigned long long)sectors);
    return vmdk_sesparse_check_offset(disk->img, "grain_dir_offset",
                                      le64(head + SESPARSE_GRAIN_DIR_OFFSET));
}

int vmdk_sesparse_open(struct disk *disk, const uint8_t *head)
{
    struct vmdk *vmdk = disk->state;
    struct vmdk_sesparse *s = image_alloc(disk->img, sizeof *s);
    int error = s ? vmdk_sesparse_check_header(disk->img, head) : -ENOMEM;

    disk->subformat = "seSparse";
    if (!error)
        error =
            vmdk_sesparse_check_volatile(disk->img, le64(head + SESPARSE_VOLATILE_HEADER_OFFSET));
    if (!error)
        error = vmdk_sesparse_check_sizes(disk, head);
    if (!error)
        error = vmdk_sesparse_check_offset(disk->img, "grains_offset",
                                           le64(head + SESPARSE_GRAINS_OFFSET));
    if (error)
        return error;
    s->tables_sectors = le64(head + SESPARSE_GRAIN_TABLES_OFFSET);
    s->grains_sectors = le64(head + SESPARSE_GRAINS_OFFSET);
    s->gd = (struct image_table){.offset = le64(head + SESPARSE_GRAIN_DIR_OFFSET) * SECTOR,
                                 .entries = div_up(disk->virtual_size, TABLE_SIZE),
                                 .entry_bytes = ENTRY_BYTES};
    vmdk->sesparse = s;
    disk_note_table(disk, s->gd.offset, s->gd.entries * ENTRY_BYTES, "the grain directory");
    return 0;
}

/*
 * Sets *sector to that of the table that a directory entry names; 0: it names none. Returns whether
 * the entry is valid. As in qemu, sector numbers have 32 bits, and sector 0 stands for no table.
 */
static bool vmdk_sesparse_table_sector(const struct vmdk_sesparse *s, uint64_t entry,
                                       uint64_t *sector)
{
    *sector = 0;
    if (!entry)
        return true;
    return (entry & GDE_TYPE) == GDE_ALLOCATED &&
           checked_add(s->tables_sectors, (entry & ~GDE_TYPE) * TABLE_SECTORS, sector) &&
           *sector <= UINT32_MAX;
}

/* Whether an entry is valid but names no table, or one beyond the end of the file, which is noted.
 */
static bool vmdk_sesparse_is_empty(struct disk *disk, const struct vmdk_sesparse *s, uint64_t entry)
{
    uint64_t sector;

    if (!vmdk_sesparse_table_sector(s, entry, &sector))
        return false;
    if (!sector)
        return true;
    if (sector * SECTOR < image_size(disk->img))
        return false;
    disk_note_table(disk, sector * SECTOR, TABLE_BYTES, "a grain table");
    return true;
}

static bool vmdk_sesparse_names_table(const struct vmdk_sesparse *s, uint64_t entry,
                                      uint64_t sector)
{
    uint64_t named;

    return vmdk_sesparse_table_sector(s, entry, &named) && named == sector;
}

/* As the function of tables.c: loads the table that covers offset and the adjacent tables behind
 * it, or marks a run of missing tables. */
static int vmdk_sesparse_load_tables(struct disk *disk, struct vmdk_sesparse *s, uint64_t offset)
{
    uint64_t table = offset / TABLE_SIZE, tables = 1, known, sector;
    const uint8_t *gd;
    int error = vmdk_window_begin(disk, &s->gt, s->gd.entries * TABLE_BYTES);

    s->length = 0;
    s->entries = NULL;
    if (!error)
        error = image_table_at(disk->img, &s->gd, table, &gd, &known);
    if (error)
        return error;
    if (!vmdk_sesparse_table_sector(s, le64(gd), &sector))
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: seSparse: grain directory entry %llu is not valid: 0x%llx",
                          (unsigned long long)table, (unsigned long long)le64(gd));
    if (vmdk_sesparse_is_empty(disk, s, le64(gd))) {
        while (tables < known && vmdk_sesparse_is_empty(disk, s, le64(gd + tables * ENTRY_BYTES)))
            tables++;
    } else {
        known = min_u64(known, s->gt.capacity / TABLE_BYTES);
        while (tables < known && vmdk_sesparse_names_table(s, le64(gd + tables * ENTRY_BYTES),
                                                           sector + tables * TABLE_SECTORS))
            tables++;
        error =
            vmdk_walk_charge(disk->img, &s->walk, table, tables, tables * (uint64_t)TABLE_BYTES);
        disk_note_table(disk, sector * SECTOR, tables * (uint64_t)TABLE_BYTES, "a grain table");
        if (!error)
            error = image_window_at(disk->img, &s->gt, sector * SECTOR,
                                    (size_t)(tables * TABLE_BYTES), &s->entries);
    }
    if (error)
        return error;
    s->start = table * TABLE_SIZE;
    s->length = tables * TABLE_SIZE;
    return 0;
}

/* Sets kind and, for DATA, host of the grain. Returns whether the entry is valid. */
static bool vmdk_sesparse_decode_gte(const struct vmdk_sesparse *s, uint64_t entry,
                                     struct extent *extent)
{
    uint64_t number = (entry & ~GTE_TYPE) >> 48 | (entry & UINT64_C(0xffffffffffff)) << 12;
    uint64_t sectors;

    extent->host = EXTENT_NO_HOST;
    switch (entry & GTE_TYPE) {
    case 0:
        extent->kind = EXTENT_HOLE;
        return entry == 0;
    case GTE_UNMAPPED:
    case GTE_ZERO:
        extent->kind = EXTENT_ZERO;
        return true;
    case GTE_ALLOCATED:
        extent->kind = EXTENT_DATA;
        sectors = number * GRAIN_SECTORS + s->grains_sectors;
        extent->host = sectors * SECTOR;
        return sectors < INT64_MAX / SECTOR;
    default:
        return false;
    }
}

int vmdk_sesparse_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                            struct extent *extent)
{
    struct vmdk_sesparse *s = ((struct vmdk *)disk->state)->sesparse;
    uint64_t within = offset % GRAIN, run = 1, left;
    struct extent next;
    const uint8_t *p;

    if (offset < s->start || offset - s->start >= s->length) {
        int error = vmdk_sesparse_load_tables(disk, s, offset);

        if (error)
            return error;
    }
    left = (s->length - (offset - s->start) / GRAIN * GRAIN) / GRAIN;
    extent->kind = EXTENT_HOLE;
    extent->host = EXTENT_NO_HOST;
    extent->flags = 0;
    extent->length = left * GRAIN - within;
    if (!s->entries)
        return 0;
    p = s->entries + (offset - s->start) / GRAIN * ENTRY_BYTES;
    if (!vmdk_sesparse_decode_gte(s, le64(p), extent))
        return image_fail(
            disk->img, EUCLEAN,
            "vmdk: seSparse: the grain table entry of guest offset %llu is not valid: 0x%llx",
            (unsigned long long)offset, (unsigned long long)le64(p));
    while (run < left && vmdk_sesparse_decode_gte(s, le64(p + run * ENTRY_BYTES), &next) &&
           next.kind == extent->kind &&
           (!(want & EXTENTS_WANT_HOST) || extent->host == EXTENT_NO_HOST ||
            next.host == extent->host + run * GRAIN))
        run++;
    if (extent->host != EXTENT_NO_HOST)
        extent->host += within;
    extent->length = run * GRAIN - within;
    return 0;
}
