// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: grain directories and grain tables with entries of 4 bytes, those of hosted sparse and of
 * COWD extents.
 *
 * Tables past the end of the file are taken as empty, as qemu has it. Tables one behind the other,
 * the usual layout, are read in one go.
 */
#include "tables.h"

#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"
#include "formats/unpack.h"

enum {
    ENTRY_BYTES = 4,
    GTE_UNALLOCATED = 0,
    GTE_ZEROED = 1,

    /* In front of a compressed grain. */
    MARKER_LBA = 0,
    MARKER_SIZE = 8,
    MARKER_BYTES = 12,

    /* Tables may take that much more than the file: then they are the same over and over. */
    REUSED_BYTES = 64 << 20,
};

struct vmdk_tables {
    struct vmdk_layout layout;
    unsigned grain_shift;
    uint64_t table_size; /* guest bytes that one grain table covers */
    struct image_table gd;
    struct image_window gt;

    /* Guest bytes whose entries are at hand: grain by grain, or NULL, none of them allocated. */
    uint64_t start, length;
    const uint8_t *entries;

    struct vmdk_walk walk;
};

int vmdk_walk_charge(struct image *img, struct vmdk_walk *walk, uint64_t table, uint64_t tables,
                     uint64_t bytes)
{
    if (table < walk->next)
        walk->bytes = 0;
    walk->next = table + tables;
    walk->bytes += bytes;
    if (walk->bytes <= image_size(img) + REUSED_BYTES)
        return 0;
    return image_fail(img, EFBIG,
                      "vmdk: the first %llu grain tables take more bytes than the file: some are "
                      "used over and over",
                      (unsigned long long)walk->next);
}

int vmdk_window_begin(struct disk *disk, struct image_window *w, uint64_t bytes)
{
    const struct vmdk *vmdk = disk->state;
    size_t share = image_window_share(disk->img, vmdk->window_bytes);

    return w->bytes ? 0 : image_window_begin(disk->img, w, (size_t)min_u64(share, bytes));
}

int vmdk_tables_begin(struct disk *disk, const struct vmdk_layout *layout)
{
    struct vmdk *vmdk = disk->state;
    struct vmdk_tables *t = image_alloc(disk->img, sizeof *t);

    if (!t)
        return -ENOMEM;
    disk->told_at_once = layout->grain_size;
    t->layout = *layout;
    t->grain_shift = (unsigned)__builtin_ctzll(layout->grain_size);
    t->table_size = layout->gtes * layout->grain_size;
    t->gd = (struct image_table){.offset = layout->gd_offset,
                                 .entries = div_up(disk->virtual_size, t->table_size),
                                 .entry_bytes = ENTRY_BYTES};
    vmdk->tables = t;
    disk_note_table(disk, t->gd.offset, t->gd.entries * ENTRY_BYTES, "the grain directory");
    return 0;
}

/* Whether a directory entry names a table of which the file holds anything; that it holds nothing
 * of it is said. */
static bool is_table(struct disk *disk, uint32_t entry)
{
    uint64_t offset = (uint64_t)entry * VMDK_SECTOR;

    if (entry && offset >= image_size(disk->img))
        disk_note_table(disk, offset, VMDK_SECTOR, "a grain table");
    return entry && offset < image_size(disk->img);
}

/* Brings in the entries of the table that covers offset, and of those behind it that are read with
 * it or are alike. */
static int tables_load(struct disk *disk, struct vmdk_tables *t, uint64_t offset)
{
    uint64_t table = offset / t->table_size, bytes = t->layout.gtes * ENTRY_BYTES;
    uint64_t tables = 1, known, most;
    const uint8_t *gd;
    uint32_t entry;
    int error = vmdk_window_begin(disk, &t->gt, t->gd.entries * bytes);

    t->length = 0;
    t->entries = NULL;
    if (!error)
        error = image_table_at(disk->img, &t->gd, table, &gd, &known);
    if (error)
        return error;
    entry = le32(gd);
    if (!is_table(disk, entry)) {
        while (tables < known && !is_table(disk, le32(gd + tables * ENTRY_BYTES)))
            tables++;
    } else {
        /* Tables that do not fill their last sector have gaps between them: one by one. */
        most = bytes % VMDK_SECTOR == 0 ? min_u64(known, t->gt.capacity / bytes) : 1;
        while (tables < most &&
               le32(gd + tables * ENTRY_BYTES) == entry + tables * (bytes / VMDK_SECTOR))
            tables++;
        error = vmdk_walk_charge(disk->img, &t->walk, table, tables,
                                 tables * div_up(bytes, VMDK_SECTOR) * VMDK_SECTOR);
        disk_note_table(disk, (uint64_t)entry * VMDK_SECTOR, tables * bytes, "a grain table");
        if (!error)
            error = image_window_at(disk->img, &t->gt, (uint64_t)entry * VMDK_SECTOR,
                                    (size_t)(tables * bytes), &t->entries);
    }
    if (error)
        return error;
    t->start = table * t->table_size;
    t->length = tables * t->table_size;
    return 0;
}

/* The entries from that of offset on, *left of them; *p NULL: they all say unallocated. */
static int entries_at(struct disk *disk, struct vmdk_tables *t, uint64_t offset, const uint8_t **p,
                      size_t *left)
{
    uint64_t inside;

    if (offset < t->start || offset - t->start >= t->length) {
        int error = tables_load(disk, t, offset);

        if (error)
            return error;
    }
    inside = (offset - t->start) >> t->grain_shift;
    *p = t->entries ? t->entries + inside * ENTRY_BYTES : NULL;
    *left = (size_t)((t->length >> t->grain_shift) - inside);
    return 0;
}

/* Entries, of n at p, that are the given one. */
static size_t run_of(const uint8_t *p, size_t n, uint32_t entry)
{
    size_t i = 1;

    while (i < n && le32(p + i * ENTRY_BYTES) == entry)
        i++;
    return i;
}

/* Entries that are above the reserved ones: they name grains, wherever these are. */
static size_t run_above(const uint8_t *p, size_t n, uint32_t reserved)
{
    size_t i = 1;

    while (i < n && le32(p + i * ENTRY_BYTES) > reserved)
        i++;
    return i;
}

/* Entries that name grains one behind the other in the file. */
static size_t run_adjacent(const uint8_t *p, size_t n, uint64_t grain_sectors)
{
    uint64_t next = le32(p);
    size_t i = 0;

    do {
        i++;
        next += grain_sectors;
    } while (i < n && le32(p + i * ENTRY_BYTES) == next);
    return i;
}

int vmdk_tables_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct vmdk_tables *t = ((struct vmdk *)disk->state)->tables;
    const struct vmdk_layout *l = &t->layout;
    uint64_t within = offset & (l->grain_size - 1);
    const uint8_t *p;
    uint32_t entry;
    size_t left, run;
    int error = entries_at(disk, t, offset, &p, &left);

    if (error)
        return error;
    extent->kind = EXTENT_HOLE;
    extent->host = EXTENT_NO_HOST;
    extent->flags = 0;
    run = left;
    entry = p ? le32(p) : GTE_UNALLOCATED;
    if (entry == GTE_UNALLOCATED || (entry == GTE_ZEROED && l->zeroed_grains)) {
        extent->kind = entry == GTE_UNALLOCATED ? EXTENT_HOLE : EXTENT_ZERO;
        if (p)
            run = run_of(p, left, entry);
    } else {
        extent->kind = EXTENT_DATA;
        if (l->compressed)
            extent->flags = EXTENT_COMPRESSED;
        else
            extent->host = (uint64_t)entry * VMDK_SECTOR + within;
        run = (want & EXTENTS_WANT_HOST) && !l->compressed
                  ? run_adjacent(p, left, l->grain_size / VMDK_SECTOR)
                  : run_above(p, left, l->zeroed_grains ? GTE_ZEROED : GTE_UNALLOCATED);
    }
    extent->length = ((uint64_t)run << t->grain_shift) - within;
    return 0;
}

/*
 * The deflate stream of a grain, from its marker at stream->offset on. Like qemu, we take streams
 * of up to two grains; the specification says nothing.
 */
static int find_stream(struct disk *disk, const struct vmdk_layout *l, uint64_t grain,
                       struct packed *stream)
{
    uint64_t lba = grain * (l->grain_size / VMDK_SECTOR);
    uint8_t marker[MARKER_BYTES];
    int error;

    stream->length = 2 * l->grain_size;
    if (!l->markers)
        return 0;
    error = image_read(disk->img, stream->offset, sizeof marker, marker);
    if (error)
        return error;
    if (le64(marker + MARKER_LBA) != lba)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: the marker of the grain at offset %llu is that of sector %llu, "
                          "not of %llu",
                          (unsigned long long)stream->offset,
                          (unsigned long long)le64(marker + MARKER_LBA), (unsigned long long)lba);
    if (le32(marker + MARKER_SIZE) == 0 || le32(marker + MARKER_SIZE) > stream->length)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: the marker of the grain at offset %llu tells a size of %u, which "
                          "is not within 1 and that of two grains",
                          (unsigned long long)stream->offset, le32(marker + MARKER_SIZE));
    stream->offset += MARKER_BYTES;
    stream->length = le32(marker + MARKER_SIZE);
    return 0;
}

/* Bytes of one grain. The stream of the last one makes no more than the disk needs. */
static int decode_grain(struct disk *disk, struct vmdk_tables *t, uint64_t offset, uint8_t *bytes,
                        size_t length)
{
    uint64_t grain = t->layout.grain_size, within = offset & (grain - 1);
    struct packed stream = {.format = "vmdk",
                            .what = "the grain",
                            .packing = PACKED_ZLIB,
                            .size = min_u64(grain, disk->virtual_size - (offset - within))};
    const uint8_t *p;
    size_t left;
    int error = entries_at(disk, t, offset, &p, &left);

    if (error)
        return error;
    stream.offset = p ? (uint64_t)le32(p) * VMDK_SECTOR : UINT64_MAX;
    if (stream.offset >= image_size(disk->img))
        return image_fail(disk->img, EIO,
                          "vmdk: the grain of guest offset %llu is past the end of the file",
                          (unsigned long long)offset);
    error = find_stream(disk, &t->layout, offset >> t->grain_shift, &stream);
    return error ? error : unpack_at(disk->img, &stream, within, bytes, length);
}

int vmdk_tables_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    struct vmdk_tables *t = ((struct vmdk *)disk->state)->tables;
    uint64_t grain = t->layout.grain_size;
    int error = 0;

    while (length && !error) {
        size_t n = (size_t)min_u64(length, grain - (offset & (grain - 1)));

        error = decode_grain(disk, t, offset, bytes, n);
        offset += n;
        bytes += n;
        length -= n;
    }
    return error;
}
