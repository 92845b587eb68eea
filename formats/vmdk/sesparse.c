// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: seSparse extents (VMware's, without a published specification: structures and names are
 * those that qemu has), little endian.
 *
 * A constant header, a volatile one, then, in sectors: a grain directory, grain tables and grains,
 * each kind in an area of its own, where entries of 8 bytes count from. The upper bits of an entry
 * are its type. Only a descriptor makes a disk of such an extent; opened by itself it is told what
 * it holds, and that another may be below is not known.
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
    GRAIN = GRAIN_SECTORS * VMDK_SECTOR,
    TABLE_SECTORS = 64,
    TABLE_BYTES = TABLE_SECTORS * VMDK_SECTOR,
    GTES = TABLE_BYTES / ENTRY_BYTES,
    TABLE_SIZE = GTES * GRAIN, /* guest bytes that one grain table covers */
};

#define SUPPORTED_VERSION UINT64_C(0x200000001)
#define VOLATILE_MAGIC    UINT64_C(0xcafecafe)

/* An entry of the directory: its upper half, and that of one that names a table. */
#define GDE_TYPE      UINT64_C(0xffffffff00000000)
#define GDE_ALLOCATED UINT64_C(0x1000000000000000)

/* The type of a grain table entry. */
#define GTE_TYPE      UINT64_C(0xf000000000000000)
#define GTE_UNMAPPED  UINT64_C(0x1000000000000000)
#define GTE_ZERO      UINT64_C(0x2000000000000000)
#define GTE_ALLOCATED UINT64_C(0x3000000000000000)

struct vmdk_sesparse {
    uint64_t tables_sectors, grains_sectors; /* where these areas begin */
    struct image_table gd;
    struct image_window gt;
    struct vmdk_walk walk;

    /* Guest bytes whose entries are at hand: grain by grain, or NULL, none of them allocated. */
    uint64_t start, length;
    const uint8_t *entries;
};

/* What qemu asks of the headers: values that differ are unknown to it, and to us. */
static int check_const(struct image *img, const uint8_t *head)
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
            return image_fail(img, ENOTSUP, "vmdk: seSparse: %s %llu is not handled, only %llu",
                              fixed[i].name, (unsigned long long)le64(head + fixed[i].offset),
                              (unsigned long long)fixed[i].value);
    if (!are_zeros(head + SESPARSE_RESERVED, SESPARSE_RESERVED_BYTES) ||
        !are_zeros(head + SESPARSE_PAD, SESPARSE_HEADER_BYTES - SESPARSE_PAD))
        return image_fail(img, ENOTSUP, "vmdk: seSparse: reserved fields are used");
    return 0;
}

/* Sectors, as an offset that a file can have. */
static int check_offset(struct image *img, const char *field, uint64_t sectors)
{
    if (sectors <= INT64_MAX / VMDK_SECTOR)
        return 0;
    return image_fail(img, EUCLEAN, "vmdk: seSparse: %s %llu is more sectors than any file has",
                      field, (unsigned long long)sectors);
}

static int check_volatile(struct image *img, uint64_t sectors)
{
    const uint8_t *header;
    int error = check_offset(img, "volatile_header_offset", sectors);

    if (!error)
        error = image_require(img, sectors * VMDK_SECTOR, sizeof VOLATILE_MAGIC,
                              "vmdk: seSparse: the volatile header's magic");
    if (!error)
        error = image_get(img, sectors * VMDK_SECTOR, SESPARSE_HEADER_BYTES, &header);
    if (error)
        return error;
    if (le64(header) != VOLATILE_MAGIC)
        return image_fail(img, EUCLEAN, "vmdk: seSparse: no volatile header at sector %llu",
                          (unsigned long long)sectors);
    if (le64(header + VOLATILE_REPLAY_JOURNAL) != 0)
        return image_fail(img, ENOTSUP,
                          "vmdk: seSparse: the journal must be replayed, which is not handled");
    if (!are_zeros(header + VOLATILE_PAD, SESPARSE_HEADER_BYTES - VOLATILE_PAD))
        return image_fail(img, ENOTSUP,
                          "vmdk: seSparse: reserved fields of the volatile header are used");
    return 0;
}

/* The size of the disk, and whether the directory covers it. */
static int check_sizes(struct disk *disk, const uint8_t *head)
{
    uint64_t sectors = le64(head + SESPARSE_CAPACITY),
             gd_sectors = le64(head + SESPARSE_GRAIN_DIR_SIZE);
    uint64_t gd_entries;

    if (!checked_mul(sectors, VMDK_SECTOR, &disk->virtual_size) ||
        disk->virtual_size > DISK_BYTES_MAX)
        return image_fail(disk->img, EFBIG,
                          "vmdk: seSparse: capacity %llu is more than 2^54 - 2^21 sectors",
                          (unsigned long long)sectors);
    if (!checked_mul(gd_sectors, VMDK_SECTOR / ENTRY_BYTES, &gd_entries) ||
        gd_entries > VMDK_GD_ENTRIES_MAX)
        return image_fail(disk->img, EFBIG,
                          "vmdk: seSparse: grain_dir_size %llu has more than %d entries",
                          (unsigned long long)gd_sectors, VMDK_GD_ENTRIES_MAX);
    if (gd_entries < div_up(disk->virtual_size, TABLE_SIZE))
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: seSparse: grain_dir_size %llu does not cover capacity %llu",
                          (unsigned long long)gd_sectors, (unsigned long long)sectors);
    return check_offset(disk->img, "grain_dir_offset", le64(head + SESPARSE_GRAIN_DIR_OFFSET));
}

int vmdk_sesparse_open(struct disk *disk, const uint8_t *head)
{
    struct vmdk *vmdk = disk->state;
    struct vmdk_sesparse *s = image_alloc(disk->img, sizeof *s);
    int error = s ? check_const(disk->img, head) : -ENOMEM;

    disk->subformat = "seSparse";
    if (!error)
        error = check_volatile(disk->img, le64(head + SESPARSE_VOLATILE_HEADER_OFFSET));
    if (!error)
        error = check_sizes(disk, head);
    if (!error)
        error = check_offset(disk->img, "grains_offset", le64(head + SESPARSE_GRAINS_OFFSET));
    if (error)
        return error;
    s->tables_sectors = le64(head + SESPARSE_GRAIN_TABLES_OFFSET);
    s->grains_sectors = le64(head + SESPARSE_GRAINS_OFFSET);
    s->gd = (struct image_table){.offset = le64(head + SESPARSE_GRAIN_DIR_OFFSET) * VMDK_SECTOR,
                                 .entries = div_up(disk->virtual_size, TABLE_SIZE),
                                 .entry_bytes = ENTRY_BYTES};
    vmdk->sesparse = s;
    disk_note_table(disk, s->gd.offset, s->gd.entries * ENTRY_BYTES, "the grain directory");
    return 0;
}

/*
 * The sector of the table that a directory entry names; 0: it names none. As in qemu, sectors have
 * 32 bits, and sector 0 is none, too. Returns whether the entry is a good one.
 */
static bool table_sector(const struct vmdk_sesparse *s, uint64_t entry, uint64_t *sector)
{
    *sector = 0;
    if (!entry)
        return true;
    return (entry & GDE_TYPE) == GDE_ALLOCATED &&
           checked_add(s->tables_sectors, (entry & ~GDE_TYPE) * TABLE_SECTORS, sector) &&
           *sector <= UINT32_MAX;
}

/* Whether an entry is a good one that names no table, or one of which the file holds nothing, which
 * is said. */
static bool is_empty(struct disk *disk, const struct vmdk_sesparse *s, uint64_t entry)
{
    uint64_t sector;

    if (!table_sector(s, entry, &sector))
        return false;
    if (!sector)
        return true;
    if (sector * VMDK_SECTOR < image_size(disk->img))
        return false;
    disk_note_table(disk, sector * VMDK_SECTOR, TABLE_BYTES, "a grain table");
    return true;
}

/* Whether an entry names the table at that sector. */
static bool names(const struct vmdk_sesparse *s, uint64_t entry, uint64_t sector)
{
    uint64_t named;

    return table_sector(s, entry, &named) && named == sector;
}

/* Brings in the entries of the table that covers offset, and of those behind it that are read with
 * it or are alike. */
static int tables_load(struct disk *disk, struct vmdk_sesparse *s, uint64_t offset)
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
    if (!table_sector(s, le64(gd), &sector))
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: seSparse: entry %llu of the grain directory is 0x%llx",
                          (unsigned long long)table, (unsigned long long)le64(gd));
    if (is_empty(disk, s, le64(gd))) {
        while (tables < known && is_empty(disk, s, le64(gd + tables * ENTRY_BYTES)))
            tables++;
    } else {
        known = min_u64(known, s->gt.capacity / TABLE_BYTES);
        while (tables < known &&
               names(s, le64(gd + tables * ENTRY_BYTES), sector + tables * TABLE_SECTORS))
            tables++;
        error =
            vmdk_walk_charge(disk->img, &s->walk, table, tables, tables * (uint64_t)TABLE_BYTES);
        disk_note_table(disk, sector * VMDK_SECTOR, tables * (uint64_t)TABLE_BYTES,
                        "a grain table");
        if (!error)
            error = image_window_at(disk->img, &s->gt, sector * VMDK_SECTOR,
                                    (size_t)(tables * TABLE_BYTES), &s->entries);
    }
    if (error)
        return error;
    s->start = table * TABLE_SIZE;
    s->length = tables * TABLE_SIZE;
    return 0;
}

/* What a grain table entry says: kind, and of DATA the grain's place. Returns whether it is good.
 */
static bool gte_decode(const struct vmdk_sesparse *s, uint64_t entry, struct extent *extent)
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
        extent->host = sectors * VMDK_SECTOR;
        return sectors < INT64_MAX / VMDK_SECTOR;
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
        int error = tables_load(disk, s, offset);

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
    if (!gte_decode(s, le64(p), extent))
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: seSparse: the grain table entry of guest offset %llu is 0x%llx",
                          (unsigned long long)offset, (unsigned long long)le64(p));
    while (run < left && gte_decode(s, le64(p + run * ENTRY_BYTES), &next) &&
           next.kind == extent->kind &&
           (!(want & EXTENTS_WANT_HOST) || extent->host == EXTENT_NO_HOST ||
            next.host == extent->host + run * GRAIN))
        run++;
    if (extent->host != EXTENT_NO_HOST)
        extent->host += within;
    extent->length = run * GRAIN - within;
    return 0;
}
