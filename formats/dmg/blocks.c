// SPDX-License-Identifier: Apache-2.0
/*
 * The block tables of a DMG ("mish"): each has entries that map sectors of the disk to chunks. Big
 * endian. All tables are read once when the disk is opened, as in qemu. They are never kept in
 * memory as a whole: later reads start at a checkpoint.
 */
#include "blocks.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/image.h"

enum {
    TABLE_SIGNATURE_BYTES = 4,
    TABLE_SECTOR_NUMBER = 8,
    TABLE_DATA_OFFSET = 24,
    TABLE_NUMBER_OF_BLOCK_CHUNKS = 200,
    TABLE_BYTES = 204,

    ENTRY_SECTOR_NUMBER = 8,
    ENTRY_SECTOR_COUNT = 16,
    ENTRY_COMPRESSED_OFFSET = 24,
    ENTRY_COMPRESSED_LENGTH = 32,
    ENTRY_BYTES = 40,

    /* qemu's limits: it keeps a whole chunk in memory. */
    CHUNK_BYTES_MAX = 64 << 20,
    CHUNK_SECTORS_MAX = CHUNK_BYTES_MAX / SECTOR,

    WINDOW_BYTES = 64 << 10,
    CHECKPOINT_BYTES = 64 << 10, /* bytes of the list between checkpoints, at least */
};

#define TABLE_SIGNATURE "mish"

static struct image *dmg_cursor_image(const struct dmg_cursor *c)
{
    return c->is_fork ? c->fork.img : c->plist.img;
}

static uint64_t dmg_cursor_position(const struct dmg_cursor *c)
{
    return c->is_fork ? c->fork.at : c->plist.at;
}

static int dmg_cursor_read(struct dmg_cursor *c, uint8_t *bytes, size_t wanted, size_t *got)
{
    return c->is_fork ? dmg_fork_read(&c->fork, bytes, wanted, got)
                      : dmg_plist_read(&c->plist, bytes, wanted, got);
}

/* Moves to the next byte string. *must_be_table: anything else is an error. Returns 1, 0 or -errno.
 */
static int dmg_next_string(struct dmg_cursor *c, bool *must_be_table)
{
    *must_be_table = false;
    return c->is_fork ? dmg_fork_next(&c->fork) : dmg_plist_next(&c->plist, must_be_table);
}

/* Moves to the next table and reads its header. Returns 1; 0 at the end; -errno, reported. */
static int dmg_next_table(struct dmg_cursor *c)
{
    uint8_t header[TABLE_BYTES];
    bool is_table = false, must_be_table;
    size_t got, more;
    int error;

    while (!is_table) {
        int found = dmg_next_string(c, &must_be_table);

        if (found != 1)
            return found;
        error = dmg_cursor_read(c, header, TABLE_SIGNATURE_BYTES, &got);
        if (error)
            return error;
        is_table = got == TABLE_SIGNATURE_BYTES && memcmp(header, TABLE_SIGNATURE, got) == 0;
        /* qemu accepts a table anywhere in the property list. */
        if (!c->is_fork && is_table != must_be_table)
            return image_fail(
                dmg_cursor_image(c), EUCLEAN,
                must_be_table
                    ? "dmg: property list: an entry of blkx is not a block table, before offset "
                      "%" PRIu64
                    : "dmg: property list: a block table is not in blkx, before offset %" PRIu64,
                dmg_cursor_position(c));
    }
    error = dmg_cursor_read(c, header + got, sizeof header - got, &more);
    if (error)
        return error;
    if (got + more < sizeof header)
        return image_fail(dmg_cursor_image(c), EUCLEAN,
                          "dmg: block table of %zu bytes is shorter than %d", got + more,
                          TABLE_BYTES);
    c->entries = be32(header + TABLE_NUMBER_OF_BLOCK_CHUNKS);
    c->sector = be64(header + TABLE_SECTOR_NUMBER);
    c->data_offset = be64(header + TABLE_DATA_OFFSET);
    c->is_terminated = false;
    return 1;
}

/* Checks that no entry follows those that the table's header counts: qemu would use it. */
static int dmg_end_table(struct dmg_cursor *c)
{
    uint8_t entry[ENTRY_BYTES];
    size_t got;
    int error = dmg_cursor_read(c, entry, sizeof entry, &got);

    if (error || got < sizeof entry)
        return error;
    return image_fail(dmg_cursor_image(c), EUCLEAN,
                      "dmg: entry %" PRIu64 " is more than its block table's NumberOfBlockChunks",
                      c->number);
}

/* Reads the next entry, of any type. Returns 1; 0 at the end; -errno, reported. */
static int dmg_next_entry(struct dmg_cursor *c, uint8_t *entry)
{
    size_t got;
    int error;

    while (!c->entries) {
        int found = dmg_end_table(c);

        if (!found)
            found = dmg_next_table(c);
        if (found != 1)
            return found;
    }
    error = dmg_cursor_read(c, entry, ENTRY_BYTES, &got);
    if (error)
        return error;
    if (got < ENTRY_BYTES)
        return image_fail(dmg_cursor_image(c), EUCLEAN,
                          "dmg: block table ends before entry %" PRIu64
                          "; NumberOfBlockChunks counts %" PRIu32 " more",
                          c->number, c->entries);
    c->entries--;
    c->number++;
    return 1;
}

static bool dmg_has_data(uint32_t type)
{
    return type != DMG_ZERO && type != DMG_IGNORE;
}

/* Decodes and checks an entry that is a chunk. The table's own start is added to its sector and its
 * offset. */
static int dmg_decode_chunk(const struct dmg_cursor *c, uint64_t data_fork_offset,
                            const uint8_t *entry, struct dmg_chunk *chunk)
{
    struct image *img = dmg_cursor_image(c);
    uint64_t end, offset = be64(entry + ENTRY_COMPRESSED_OFFSET);

    *chunk = (struct dmg_chunk){.number = c->number - 1,
                                .type = be32(entry),
                                .sectors = be64(entry + ENTRY_SECTOR_COUNT),
                                .length = be64(entry + ENTRY_COMPRESSED_LENGTH)};
    if (dmg_has_data(chunk->type) && chunk->sectors > CHUNK_SECTORS_MAX)
        return image_fail(img, EFBIG,
                          "dmg: chunk %" PRIu64 ": SectorCount %" PRIu64 " is more than %d",
                          chunk->number, chunk->sectors, CHUNK_SECTORS_MAX);
    if (chunk->length > CHUNK_BYTES_MAX)
        return image_fail(img, EFBIG,
                          "dmg: chunk %" PRIu64 ": CompressedLength %" PRIu64 " is more than %d",
                          chunk->number, chunk->length, CHUNK_BYTES_MAX);
    if (!checked_add(c->sector, be64(entry + ENTRY_SECTOR_NUMBER), &chunk->sector) ||
        !checked_add(chunk->sector, chunk->sectors, &end) || end > INT64_MAX / SECTOR)
        return image_fail(img, EUCLEAN,
                          "dmg: chunk %" PRIu64 ": table sector %" PRIu64 " + SectorNumber %" PRIu64
                          " + SectorCount %" PRIu64 " is beyond 2^63 bytes",
                          chunk->number, c->sector, be64(entry + ENTRY_SECTOR_NUMBER),
                          chunk->sectors);
    if (dmg_has_data(chunk->type) &&
        (!checked_add(offset, c->data_offset, &offset) ||
         !checked_add(offset, data_fork_offset, &offset) || offset > INT64_MAX - CHUNK_BYTES_MAX))
        return image_fail(
            img, EUCLEAN,
            "dmg: chunk %" PRIu64 ": DataForkOffset %" PRIu64 " + table DataOffset %" PRIu64
            " + CompressedOffset %" PRIu64 " is beyond 2^63 bytes",
            chunk->number, data_fork_offset, c->data_offset, be64(entry + ENTRY_COMPRESSED_OFFSET));
    chunk->offset = offset;
    return 0;
}

/* Reads the next chunk that has sectors. Returns 1; 0 at the end; -errno, reported. */
static int dmg_next_chunk(const struct dmg *d, struct dmg_cursor *c, struct dmg_chunk *chunk)
{
    uint8_t entry[ENTRY_BYTES];

    for (;;) {
        int error, found = dmg_next_entry(c, entry);

        if (found != 1)
            return found;
        if (c->is_terminated)
            return image_fail(dmg_cursor_image(c), EUCLEAN,
                              "dmg: entry %" PRIu64 " follows the terminator of its block table",
                              c->number - 1);
        c->is_terminated = be32(entry) == DMG_TERMINATOR;
        if (c->is_terminated || be32(entry) == DMG_COMMENT)
            continue;
        error = dmg_decode_chunk(c, d->data_fork_offset, entry, chunk);
        if (error)
            return error;
        if (chunk->sectors)
            return 1;
    }
}

static int dmg_cursor_begin(struct disk *disk, struct dmg_cursor *c, bool is_fork)
{
    struct dmg *d = disk->state;

    *c = (struct dmg_cursor){.is_fork = is_fork};
    if (is_fork)
        return dmg_fork_begin(&c->fork, disk->img, &d->window, d->list_offset, d->list_length);
    dmg_plist_begin(&c->plist, disk->img, &d->window, d->list_offset, d->list_length);
    return 0;
}

/* Checks the position of a chunk on the disk; end: the sector at which the chunk before it ends. */
static int dmg_check_geometry(struct disk *disk, const struct dmg_chunk *chunk, uint64_t end)
{
    uint64_t size = disk->virtual_size / SECTOR;

    if (chunk->sector < end)
        return image_fail(disk->img, EUCLEAN,
                          "dmg: chunk %" PRIu64 " begins at sector %" PRIu64
                          ", before the end of the previous chunk at sector %" PRIu64,
                          chunk->number, chunk->sector, end);
    if (chunk->sector + chunk->sectors > size)
        return image_fail(disk->img, EUCLEAN,
                          "dmg: chunk %" PRIu64 " ends at sector %" PRIu64
                          ", past SectorCount %" PRIu64,
                          chunk->number, chunk->sector + chunk->sectors, size);
    return 0;
}

/* hdiutil's names for images with one kind of compression. Its other names do not depend on the
 * types of chunks. */
static const struct {
    uint32_t type;
    const char *name;
} subformats[] = {
    {DMG_ADC, "UDCO"},   {DMG_ZLIB, "UDZO"}, {DMG_BZIP2, "UDBZ"},
    {DMG_LZFSE, "ULFO"}, {DMG_LZMA, "ULMO"},
};

/* The name of an image after one more chunk, known being the name before it: NULL if nothing is
 * compressed so far, "" if there are several kinds of compression. */
static const char *dmg_add_subformat(const char *known, uint32_t type)
{
    for (size_t i = 0; i < sizeof subformats / sizeof *subformats; i++)
        if (subformats[i].type == type)
            return !known || known == subformats[i].name ? subformats[i].name : "";
    return known;
}

/* Reads and checks all chunks from d->cursor on, and fills in subformat and checkpoints. */
static int dmg_read_chunks(struct disk *disk, size_t checkpoints_max)
{
    struct dmg *d = disk->state;
    uint64_t end = 0, next_checkpoint = 0;
    const char *subformat = NULL;
    struct dmg_chunk chunk;
    int found;

    for (;;) {
        struct dmg_cursor before = d->cursor;

        found = dmg_next_chunk(d, &d->cursor, &chunk);
        if (found != 1)
            break;
        if (!d->geometry_error)
            d->geometry_error = dmg_check_geometry(disk, &chunk, end);
        end = chunk.sector + chunk.sectors;
        subformat = dmg_add_subformat(subformat, chunk.type);
        if (dmg_cursor_position(&before) >= next_checkpoint &&
            d->checkpoint_count < checkpoints_max) {
            d->checkpoints[d->checkpoint_count++] = (struct dmg_checkpoint){chunk.sector, before};
            next_checkpoint = dmg_cursor_position(&before) + CHECKPOINT_BYTES;
        }
    }
    if (!found && subformat && *subformat)
        disk->subformat = subformat;
    return found;
}

int dmg_blocks_open(struct disk *disk, bool is_fork)
{
    struct dmg *d = disk->state;
    size_t most = (size_t)(d->list_length / CHECKPOINT_BYTES + 1);
    int error = image_window_begin(disk->img, &d->window, WINDOW_BYTES);

    if (error)
        return error;
    d->checkpoints = image_alloc(disk->img, most * sizeof *d->checkpoints);
    if (!d->checkpoints)
        return -ENOMEM;
    error = dmg_cursor_begin(disk, &d->start, is_fork);
    d->cursor = d->start;
    return error ? error : dmg_read_chunks(disk, most);
}

/* Moves the cursor to the nearest known position before the chunk of this sector. */
static void dmg_seek(struct dmg *d, uint64_t sector)
{
    size_t low = 0, high = d->checkpoint_count;
    const struct dmg_cursor *best;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (d->checkpoints[middle].sector <= sector)
            low = middle + 1;
        else
            high = middle;
    }
    best = low ? &d->checkpoints[low - 1].cursor : &d->start;
    if (!d->chunk.sectors || sector < d->chunk.sector ||
        dmg_cursor_position(best) > dmg_cursor_position(&d->cursor))
        d->cursor = *best;
}

int dmg_blocks_find(struct disk *disk, uint64_t sector)
{
    struct dmg *d = disk->state;
    struct dmg_chunk chunk = d->chunk;
    int found = 1;

    if (d->geometry_error)
        return d->geometry_error;
    if (sector >= chunk.sector && sector - chunk.sector < chunk.sectors)
        return 0;
    dmg_seek(d, sector);
    d->chunk.sectors = 0;
    do {
        found = dmg_next_chunk(d, &d->cursor, &chunk);
        if (found < 0)
            return found;
    } while (found && chunk.sector + chunk.sectors <= sector);
    if (!found || chunk.sector > sector)
        return image_fail(disk->img, EUCLEAN, "dmg: sector %" PRIu64 " is in no chunk", sector);
    d->chunk = chunk;
    return 0;
}
