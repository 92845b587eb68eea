// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: grain directories (GD) and grain tables (GT) with entries of 4 bytes: those of hosted
 * sparse and of COWD extents. Little endian.
 *
 * Tables past the end of the file count as empty, as in qemu. Adjacent tables, the usual layout,
 * are read at once.
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

    /* The marker in front of a compressed grain. */
    MARKER_LBA = 0,
    MARKER_SIZE = 8,
    MARKER_BYTES = 12,

    /* Ours: tables of one walk may exceed the size of the file by this before they count as
       repeated. */
    REUSED_BYTES = 64 << 20,
};

struct vmdk_tables {
    struct vmdk_layout layout;
    unsigned grain_shift;
    uint64_t table_size; /* guest bytes that one grain table covers */
    struct image_table gd;
    struct image_window gt;

    /* The guest bytes whose entries are in memory: one entry a grain, or NULL, none allocated. */
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
                      "vmdk: the first %llu grain tables take more bytes than the file: the grain "
                      "directory repeats tables",
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
    disk->qemu_run_unit = layout->grain_size;
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

/* Whether a directory entry names a table that begins inside the file; one beyond its end is
 * noted. */
static bool vmdk_is_table(struct disk *disk, uint32_t entry)
{
    uint64_t offset = (uint64_t)entry * SECTOR;

    if (entry && offset >= image_size(disk->img))
        disk_note_table(disk, offset, SECTOR, "a grain table");
    return entry && offset < image_size(disk->img);
}

/* Loads the entries of the table that covers offset, with those of the adjacent tables behind it;
 * or marks a run of missing tables. */
static int vmdk_load_tables(struct disk *disk, struct vmdk_tables *t, uint64_t offset)
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
    if (!vmdk_is_table(disk, entry)) {
        while (tables < known && !vmdk_is_table(disk, le32(gd + tables * ENTRY_BYTES)))
            tables++;
    } else {
        /* Between tables that do not fill their last sector are gaps: these are read one by one. */
        most = bytes % SECTOR == 0 ? min_u64(known, t->gt.capacity / bytes) : 1;
        while (tables < most &&
               le32(gd + tables * ENTRY_BYTES) == entry + tables * (bytes / SECTOR))
            tables++;
        error = vmdk_walk_charge(disk->img, &t->walk, table, tables,
                                 tables * div_up(bytes, SECTOR) * SECTOR);
        disk_note_table(disk, (uint64_t)entry * SECTOR, tables * bytes, "a grain table");
        if (!error)
            error = image_window_at(disk->img, &t->gt, (uint64_t)entry * SECTOR,
                                    (size_t)(tables * bytes), &t->entries);
    }
    if (error)
        return error;
    t->start = table * t->table_size;
    t->length = tables * t->table_size;
    return 0;
}

/* The *left entries from that of offset on; *p NULL: all are unallocated. */
static int vmdk_entries_at(struct disk *disk, struct vmdk_tables *t, uint64_t offset,
                           const uint8_t **p, size_t *left)
{
    uint64_t inside;

    if (offset < t->start || offset - t->start >= t->length) {
        int error = vmdk_load_tables(disk, t, offset);

        if (error)
            return error;
    }
    inside = (offset - t->start) >> t->grain_shift;
    *p = t->entries ? t->entries + inside * ENTRY_BYTES : NULL;
    *left = (size_t)((t->length >> t->grain_shift) - inside);
    return 0;
}

/* How many of n entries at p, from the first on, equal entry. */
static size_t vmdk_run_equal(const uint8_t *p, size_t n, uint32_t entry)
{
    size_t i = 1;

    while (i < n && le32(p + i * ENTRY_BYTES) == entry)
        i++;
    return i;
}

/* The same for entries above the reserved values: grains anywhere. */
static size_t vmdk_run_above(const uint8_t *p, size_t n, uint32_t reserved)
{
    size_t i = 1;

    while (i < n && le32(p + i * ENTRY_BYTES) > reserved)
        i++;
    return i;
}

/* The same for entries that name adjacent grains. */
static size_t vmdk_run_adjacent(const uint8_t *p, size_t n, uint64_t grain_sectors)
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
    int error = vmdk_entries_at(disk, t, offset, &p, &left);

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
            run = vmdk_run_equal(p, left, entry);
    } else {
        extent->kind = EXTENT_DATA;
        if (l->compressed)
            extent->flags = EXTENT_COMPRESSED;
        else
            extent->host = (uint64_t)entry * SECTOR + within;
        run = (want & EXTENTS_WANT_HOST) && !l->compressed
                  ? vmdk_run_adjacent(p, left, l->grain_size / SECTOR)
                  : vmdk_run_above(p, left, l->zeroed_grains ? GTE_ZEROED : GTE_UNALLOCATED);
    }
    extent->length = ((uint64_t)run << t->grain_shift) - within;
    return 0;
}

/*
 * Finds the deflate stream of a grain behind its marker, if it has one, at stream->offset. A stream
 * may be as long as two grains: qemu's limit, as the specification has none.
 */
static int vmdk_find_stream(struct disk *disk, const struct vmdk_layout *l, uint64_t grain,
                            struct packed *stream)
{
    uint64_t lba = grain * (l->grain_size / SECTOR);
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
                          "vmdk: the marker of the grain at offset %llu has sector %llu, not %llu",
                          (unsigned long long)stream->offset,
                          (unsigned long long)le64(marker + MARKER_LBA), (unsigned long long)lba);
    if (le32(marker + MARKER_SIZE) == 0 || le32(marker + MARKER_SIZE) > stream->length)
        return image_fail(
            disk->img, EUCLEAN,
            "vmdk: the marker of the grain at offset %llu has size %u, which is not within 1 to "
            "%llu, two grains",
            (unsigned long long)stream->offset, le32(marker + MARKER_SIZE),
            (unsigned long long)stream->length);
    stream->offset += MARKER_BYTES;
    stream->length = le32(marker + MARKER_SIZE);
    return 0;
}

/* Bytes within one grain. The stream of the last grain may end where the disk does. */
static int vmdk_decode_grain(struct disk *disk, struct vmdk_tables *t, uint64_t offset,
                             uint8_t *bytes, size_t length)
{
    uint64_t grain = t->layout.grain_size, within = offset & (grain - 1);
    struct packed stream = {.format = "vmdk",
                            .what = "the grain",
                            .packing = PACKED_ZLIB,
                            .size = min_u64(grain, disk->virtual_size - (offset - within))};
    const uint8_t *p;
    size_t left;
    int error = vmdk_entries_at(disk, t, offset, &p, &left);

    if (error)
        return error;
    stream.offset = p ? (uint64_t)le32(p) * SECTOR : UINT64_MAX;
    if (stream.offset >= image_size(disk->img))
        return image_fail(disk->img, EIO,
                          "vmdk: the grain at guest offset %llu is past the end of the file",
                          (unsigned long long)offset);
    error = vmdk_find_stream(disk, &t->layout, offset >> t->grain_shift, &stream);
    return error ? error : unpack_at(disk->img, &stream, within, bytes, length);
}

int vmdk_tables_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    struct vmdk_tables *t = ((struct vmdk *)disk->state)->tables;
    uint64_t grain = t->layout.grain_size;
    int error = 0;

    while (length && !error) {
        size_t n = (size_t)min_u64(length, grain - (offset & (grain - 1)));

        error = vmdk_decode_grain(disk, t, offset, bytes, n);
        offset += n;
        bytes += n;
        length -= n;
    }
    return error;
}
