// SPDX-License-Identifier: Apache-2.0
/*
 * vpc: Virtual Hard Disk (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0). Big
 * endian.
 *
 * A fixed disk is the guest's bytes and a footer in the last 512 bytes of the file. A dynamic or
 * differencing disk has a copy of the footer at its start, which is the one that counts, a dynamic
 * header, a block allocation table (BAT) and blocks, each behind a bitmap of its sectors. All
 * blocks are whole: dynamic disks do not look at the bitmaps.
 */
#include <errno.h>
#include <stdio.h>

#include "bytes.h"
#include "checked.h"
#include "escape.h"
#include "format.h"

enum {
    FOOTER_BYTES = 512,
    FOOTER_DATA_OFFSET = 16,
    FOOTER_CREATOR_APPLICATION = 28,
    FOOTER_CURRENT_SIZE = 48,
    FOOTER_CYLINDERS = 56,
    FOOTER_HEADS = 58,
    FOOTER_SECTORS_PER_TRACK = 59,
    FOOTER_DISK_TYPE = 60,
    FOOTER_CHECKSUM = 64,

    DYNAMIC_BYTES = 1024,
    DYNAMIC_TABLE_OFFSET = 16,
    DYNAMIC_MAX_TABLE_ENTRIES = 28,
    DYNAMIC_BLOCK_SIZE = 32,
    DYNAMIC_PARENT_UNICODE_NAME = 64,
    DYNAMIC_PARENT_NAME_BYTES = 512,

    TYPE_FIXED = 2,
    TYPE_DYNAMIC = 3,
    TYPE_DIFFERENCING = 4,

    SECTOR = 512,
};

#define FOOTER_COOKIE  "conectix"
#define DYNAMIC_COOKIE "cxsparse"
#define UNALLOCATED    UINT32_MAX

/* The largest disk that a geometry can tell: sizes at it are told by the current size alone. */
#define MAX_CHS_SECTORS (UINT64_C(65535) * 16 * 255)

/* 2040 GiB, where the 32-bit sector numbers of the BAT end: qemu's limit, and that of Windows. */
#define MAX_SECTORS UINT64_C(0xff000000)

struct vhd {
    uint64_t block_size;
    uint64_t bitmap_size; /* of the sector bitmap before each block */
    uint64_t
        last_block_sectors; /* the largest BAT entry whose block ends in the file, if any_block */
    bool any_block;
    struct image_table bat;
};

/* The ones' complement of the sum of all bytes but those of the checksum itself. */
static uint32_t footer_checksum(const uint8_t *footer)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < FOOTER_BYTES; i++)
        if (i < FOOTER_CHECKSUM || i >= FOOTER_CHECKSUM + 4)
            sum += footer[i];
    return ~sum;
}

static bool footer_has_cookie(const uint8_t *footer)
{
    return memcmp(footer, FOOTER_COOKIE, 8) == 0;
}

static bool footer_is_whole(const uint8_t *footer)
{
    return be32(footer + FOOTER_CHECKSUM) == footer_checksum(footer);
}

/* Whether footer, in the last 512 bytes, makes the file a fixed disk; if not, why says why not. */
static bool is_fixed_disk(const struct image *img, const uint8_t *footer, struct reason *why)
{
    uint32_t type = be32(footer + FOOTER_DISK_TYPE);
    uint64_t size = be64(footer + FOOTER_CURRENT_SIZE);
    uint64_t room = image_size(img) - FOOTER_BYTES;

    if (!footer_is_whole(footer))
        snprintf(why->words, sizeof why->words, "footer checksum is 0x%08x, its bytes make 0x%08x",
                 be32(footer + FOOTER_CHECKSUM), footer_checksum(footer));
    else if (type != TYPE_FIXED)
        snprintf(why->words, sizeof why->words,
                 "disk type is %u, a footer alone must be that of a fixed disk (2)", type);
    else if (size > room)
        snprintf(why->words, sizeof why->words,
                 "current size %llu is more than the %llu bytes before the footer",
                 (unsigned long long)size, (unsigned long long)room);
    else
        return true;
    return false;
}

/* Whether the file ends with the footer of a fixed disk. 1, 0 or -errno. */
static int ends_as_fixed_disk(struct image *img, struct reason *why)
{
    const uint8_t *tail;
    int error;

    if (image_size(img) < FOOTER_BYTES)
        return 0;
    error = image_tail(img, &tail);
    if (error)
        return error;
    return footer_has_cookie(tail) && is_fixed_disk(img, tail, why);
}

/*
 * A footer at the start of the file is the copy that dynamic disks have there, unless it is what a
 * guest wrote into the first sector of its fixed disk: then it says so (or is damaged), and the
 * file ends with the true footer.
 */
static int vhd_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    struct reason ignored;
    const uint8_t *head;
    int fixed, error;

    if (signature->anchor == TAIL)
        return ends_as_fixed_disk(img, why);
    error = image_head(img, &head);
    if (error)
        return error;
    if (footer_is_whole(head) && be32(head + FOOTER_DISK_TYPE) != TYPE_FIXED)
        return 1;
    fixed = ends_as_fixed_disk(img, &ignored);
    if (fixed == 1)
        snprintf(why->words, sizeof why->words,
                 "the first sector of the fixed disk whose footer ends the file");
    return fixed < 0 ? fixed : !fixed;
}

/*
 * The sectors of the disk: those of the geometry for the creators that mean it (Virtual PC, and
 * qemu without force_size), the current size for all others; the rule of qemu since 10.0.
 */
static uint64_t footer_sectors(const uint8_t *footer)
{
    uint64_t chs = (uint64_t)be16(footer + FOOTER_CYLINDERS) * footer[FOOTER_HEADS] *
                   footer[FOOTER_SECTORS_PER_TRACK];
    const uint8_t *creator = footer + FOOTER_CREATOR_APPLICATION;
    bool means_chs = memcmp(creator, "vpc ", 4) == 0 || memcmp(creator, "qemu", 4) == 0;

    if (means_chs && chs != MAX_CHS_SECTORS)
        return chs;
    return be64(footer + FOOTER_CURRENT_SIZE) / SECTOR;
}

/* The name of the parent that a differencing disk's header gives, for errors. */
static int name_parent(struct disk *disk, const uint8_t *header)
{
    struct reference *parent = image_alloc(disk->img, sizeof *parent);
    char *name = image_alloc(disk->img, 4 * DYNAMIC_PARENT_NAME_BYTES);

    if (!parent || !name)
        return -ENOMEM;
    escape_utf16(name, 4 * DYNAMIC_PARENT_NAME_BYTES, header + DYNAMIC_PARENT_UNICODE_NAME,
                 DYNAMIC_PARENT_NAME_BYTES, UTF16_BE);
    *parent = (struct reference){"parent", name};
    disk->beside = parent;
    return 0;
}

/* Where the BAT is and what its entries may be. The file must hold all of it, in whole sectors. */
static int open_bat(struct disk *disk, struct vhd *vhd)
{
    uint64_t end, file_end, block = vhd->bitmap_size + vhd->block_size;

    checked_round_up(image_size(disk->img), SECTOR, &file_end);
    if (!checked_add(vhd->bat.offset, vhd->bat.entries * 4, &end) || end > file_end)
        return image_fail(disk->img, EUCLEAN,
                          "vpc: block allocation table of %llu entries at offset %llu is past the "
                          "end of the file",
                          (unsigned long long)vhd->bat.entries,
                          (unsigned long long)vhd->bat.offset);
    vhd->any_block = block <= file_end;
    if (vhd->any_block)
        vhd->last_block_sectors = (file_end - block) / SECTOR;
    return 0;
}

/* The rules of the dynamic header's fields. */
static int open_dynamic_header(struct disk *disk, struct vhd *vhd, uint64_t data_offset,
                               bool is_differencing)
{
    struct image *img = disk->img;
    const uint8_t *header;
    int error = image_require(img, data_offset, DYNAMIC_BYTES, "vpc: dynamic disk header");

    if (!error)
        error = image_get(img, data_offset, DYNAMIC_BYTES, &header);
    if (error)
        return error;
    if (memcmp(header, DYNAMIC_COOKIE, 8) != 0)
        return image_fail(img, EUCLEAN, "vpc: no dynamic disk header (%s) at offset %llu",
                          DYNAMIC_COOKIE, (unsigned long long)data_offset);
    vhd->block_size = be32(header + DYNAMIC_BLOCK_SIZE);
    if (!is_power_of_two(vhd->block_size) || vhd->block_size < SECTOR)
        return image_fail(img, EUCLEAN,
                          "vpc: block size %llu is not a power of two of at least 512",
                          (unsigned long long)vhd->block_size);
    vhd->bitmap_size = div_up(vhd->block_size / SECTOR, 8 * SECTOR) * SECTOR;
    vhd->bat.offset = be64(header + DYNAMIC_TABLE_OFFSET);
    vhd->bat.entries = be32(header + DYNAMIC_MAX_TABLE_ENTRIES);
    vhd->bat.entry_bytes = 4;
    if (vhd->bat.entries * vhd->block_size < disk->virtual_size)
        return image_fail(
            img, EUCLEAN,
            "vpc: %llu table entries of %llu bytes do not cover the disk of %llu bytes",
            (unsigned long long)vhd->bat.entries, (unsigned long long)vhd->block_size,
            (unsigned long long)disk->virtual_size);
    error = is_differencing ? name_parent(disk, header) : 0;
    return error ? error : open_bat(disk, vhd);
}

static int open_dynamic(struct disk *disk, const uint8_t *footer)
{
    uint32_t type = be32(footer + FOOTER_DISK_TYPE);
    struct vhd *vhd = image_alloc(disk->img, sizeof *vhd);

    if (!vhd)
        return -ENOMEM;
    disk->state = vhd;
    disk->subformat = type == TYPE_DIFFERENCING ? "differencing" : "dynamic";
    if (type != TYPE_DYNAMIC && type != TYPE_DIFFERENCING)
        image_note(disk->img,
                   "vpc: disk type is %u in the leading footer; read as a dynamic disk (3)", type);
    return open_dynamic_header(disk, vhd, be64(footer + FOOTER_DATA_OFFSET),
                               type == TYPE_DIFFERENCING);
}

/* A fixed disk: its footer is the last 512 bytes; of one that has lost its last byte, a reserved
 * one, the last 511. */
static int open_fixed(struct disk *disk, const uint8_t *footer)
{
    uint32_t type = be32(footer + FOOTER_DISK_TYPE);

    if (!footer_has_cookie(footer))
        return image_fail(disk->img, EUCLEAN,
                          "vpc: no footer (%s) at the start or in the last 512 bytes",
                          FOOTER_COOKIE);
    if (type != TYPE_FIXED)
        return image_fail(
            disk->img, EUCLEAN,
            "vpc: disk type is %u in the only footer, the last one: not that of a fixed disk (2)",
            type);
    disk->subformat = "fixed";
    return 0;
}

/*
 * The last footer of the file: in its last 512 bytes; or, without its last byte or more, which then
 * read as zeros, where its last sector begins.
 */
static int find_last_footer(struct image *img, const uint8_t **footer)
{
    uint64_t size = image_size(img);
    int error = image_tail(img, footer);

    if (error || (size >= FOOTER_BYTES && footer_has_cookie(*footer)))
        return error;
    return image_get(img, size ? (size - 1) / SECTOR * SECTOR : 0, FOOTER_BYTES, footer);
}

/* The footer that counts: the leading copy if that is one, else the last. */
static int find_footer(struct image *img, const uint8_t **footer, bool *leading)
{
    struct reason ignored;
    int error = image_head(img, footer), found;

    if (error)
        return error;
    found = footer_has_cookie(*footer)
                ? vhd_probe(img, &(const struct signature){.anchor = HEAD}, &ignored)
                : 0;
    *leading = found == 1;
    if (found)
        return found < 0 ? found : 0;
    return find_last_footer(img, footer);
}

static int vhd_open(struct disk *disk)
{
    const uint8_t *footer;
    uint64_t sectors;
    bool leading;
    int error = find_footer(disk->img, &footer, &leading);

    if (error)
        return error;
    if (!leading) {
        error = open_fixed(disk, footer);
        if (error)
            return error;
    }
    if (!footer_is_whole(footer))
        return image_fail(
            disk->img, EUCLEAN, "vpc: checksum of the %s footer is 0x%08x, its bytes make 0x%08x",
            leading ? "leading" : "last", be32(footer + FOOTER_CHECKSUM), footer_checksum(footer));
    sectors = footer_sectors(footer);
    if (sectors > MAX_SECTORS)
        return image_fail(
            disk->img, EFBIG,
            "vpc: the disk has %llu sectors, more than the %llu (2040 GiB) of the format",
            (unsigned long long)sectors, (unsigned long long)MAX_SECTORS);
    disk->virtual_size = sectors * SECTOR;
    return leading ? open_dynamic(disk, footer) : 0;
}

/* The BAT entry of a block may be anything: its block must lie in the file. */
static bool bat_entry_is_good(const struct vhd *vhd, uint32_t entry)
{
    return entry == UNALLOCATED || (vhd->any_block && entry <= vhd->last_block_sectors);
}

/* Entries of bat[0..count) that are all unallocated or all good blocks, as the first one is. */
static uint64_t bat_run(const struct vhd *vhd, const uint8_t *bat, uint64_t count)
{
    bool hole = be32(bat) == UNALLOCATED;
    uint64_t n = 1;

    while (n < count && (be32(bat + 4 * n) == UNALLOCATED) == hole &&
           bat_entry_is_good(vhd, be32(bat + 4 * n)))
        n++;
    return n;
}

static int dynamic_extent_at(struct disk *disk, uint64_t offset, unsigned want,
                             struct extent *extent)
{
    struct vhd *vhd = disk->state;
    uint64_t index = offset / vhd->block_size, within = offset % vhd->block_size;
    uint64_t count, run = 1;
    const uint8_t *bat = NULL;
    uint32_t entry;
    int error = image_table_at(disk->img, &vhd->bat, index, &bat, &count);

    if (error)
        return error;
    entry = be32(bat);
    if (!bat_entry_is_good(vhd, entry))
        return image_fail(disk->img, EUCLEAN,
                          "vpc: block %llu at sector %u ends past the end of the file",
                          (unsigned long long)index, entry);
    if (entry == UNALLOCATED || !(want & EXTENTS_WANT_HOST))
        run = bat_run(vhd, bat, count);
    extent->length = run * vhd->block_size - within;
    extent->kind = entry == UNALLOCATED ? EXTENT_ZERO : EXTENT_DATA;
    if (entry != UNALLOCATED)
        extent->host = (uint64_t)entry * SECTOR + vhd->bitmap_size + within;
    return 0;
}

static int vhd_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    if (disk->state)
        return dynamic_extent_at(disk, offset, want, extent);
    extent->kind = EXTENT_DATA;
    extent->host = offset;
    extent->length = disk->virtual_size - offset;
    extent->flags = EXTENT_HOST_HOLES;
    return 0;
}

const struct format_driver vhd_driver = {
    .name = "vpc",
    .signatures = {{HEAD, 0, FOOTER_COOKIE, 8}, {TAIL, FOOTER_BYTES, FOOTER_COOKIE, 8}},
    .probe = vhd_probe,
    .open = vhd_open,
    .extent_at = vhd_extent_at,
};
