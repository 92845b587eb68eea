// SPDX-License-Identifier: Apache-2.0
/*
 * The block tables of a DMG ("mish"), each with entries that say where chunks of the disk are. Big
 * endian. All tables are read once when the disk is opened, as in qemu, and then followed from
 * place to place: they are never held as a whole.
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

    /* Limits of qemu, which holds a chunk as a whole. */
    CHUNK_BYTES_MAX = 64 << 20,
    CHUNK_SECTORS_MAX = CHUNK_BYTES_MAX / DMG_SECTOR,

    WINDOW_BYTES = 64 << 10,
    CHECKPOINT_BYTES = 64 << 10, /* of the list between two checkpoints */
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

/* Goes to the next byte string that may be a table. must: it is to be one. */
static int dmg_next_string(struct dmg_cursor *c, bool *must)
{
    *must = false;
    return c->is_fork ? dmg_fork_next(&c->fork) : dmg_plist_next(&c->plist, must);
}

/* The next table's header. 1; 0: there are no more; -errno, said. */
static int dmg_next_table(struct dmg_cursor *c)
{
    uint8_t header[TABLE_BYTES];
    bool is_table = false, must;
    size_t got, more;
    int error;

    while (!is_table) {
        int found = dmg_next_string(c, &must);

        if (found != 1)
            return found;
        error = dmg_cursor_read(c, header, TABLE_SIGNATURE_BYTES, &got);
        if (error)
            return error;
        is_table = got == TABLE_SIGNATURE_BYTES && memcmp(header, TABLE_SIGNATURE, got) == 0;
        /* qemu takes a table wherever it is. */
        if (!c->is_fork && is_table != must)
            return image_fail(
                dmg_cursor_image(c), EUCLEAN,
                must ? "dmg: an entry of blkx is no block table, before offset %" PRIu64
                     : "dmg: a block table that is not in blkx, before offset %" PRIu64,
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

/* Behind the last entry that the table's header tells of there must be none: qemu would take it. */
static int dmg_end_table(struct dmg_cursor *c)
{
    uint8_t entry[ENTRY_BYTES];
    size_t got;
    int error = dmg_cursor_read(c, entry, sizeof entry, &got);

    if (error || got < sizeof entry)
        return error;
    return image_fail(dmg_cursor_image(c), EUCLEAN,
                      "dmg: more entries in a block table than its NumberOfBlockChunks, before "
                      "entry %" PRIu64,
                      c->number);
}

/* The next entry of any type. 1; 0: there are no more; -errno, said. */
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
                          ", its NumberOfBlockChunks has %" PRIu32 " more",
                          c->number, c->entries);
    c->entries--;
    c->number++;
    return 1;
}

static bool dmg_has_data(uint32_t type)
{
    return type != DMG_ZERO && type != DMG_IGNORE;
}

/* An entry that is a chunk: sectors and bytes, from the table's own beginnings. */
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
                          "dmg: chunk %" PRIu64 " of %" PRIu64 " sectors has more than %d",
                          chunk->number, chunk->sectors, CHUNK_SECTORS_MAX);
    if (chunk->length > CHUNK_BYTES_MAX)
        return image_fail(img, EFBIG,
                          "dmg: chunk %" PRIu64 " of %" PRIu64 " compressed bytes has more than %d",
                          chunk->number, chunk->length, CHUNK_BYTES_MAX);
    if (!checked_add(c->sector, be64(entry + ENTRY_SECTOR_NUMBER), &chunk->sector) ||
        !checked_add(chunk->sector, chunk->sectors, &end) || end > INT64_MAX / DMG_SECTOR)
        return image_fail(img, EUCLEAN, "dmg: sectors of chunk %" PRIu64 " are beyond 2^63 bytes",
                          chunk->number);
    if (dmg_has_data(chunk->type) &&
        (!checked_add(offset, c->data_offset, &offset) ||
         !checked_add(offset, data_fork_offset, &offset) || offset > INT64_MAX - CHUNK_BYTES_MAX))
        return image_fail(img, EUCLEAN, "dmg: data of chunk %" PRIu64 " is beyond 2^63 bytes",
                          chunk->number);
    chunk->offset = offset;
    return 0;
}

/* The next chunk that has sectors. 1; 0: there are no more; -errno, said. */
static int dmg_next_chunk(const struct dmg *d, struct dmg_cursor *c, struct dmg_chunk *chunk)
{
    uint8_t entry[ENTRY_BYTES];

    for (;;) {
        int error, found = dmg_next_entry(c, entry);

        if (found != 1)
            return found;
        if (c->is_terminated)
            return image_fail(dmg_cursor_image(c), EUCLEAN,
                              "dmg: entry %" PRIu64 " is behind the terminator of its block table",
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

/* What is wrong with the place of a chunk on the disk; end: where the one before it ends. */
static int dmg_check_geometry(struct disk *disk, const struct dmg_chunk *chunk, uint64_t end)
{
    uint64_t size = disk->virtual_size / DMG_SECTOR;

    if (chunk->sector < end)
        return image_fail(disk->img, EUCLEAN,
                          "dmg: chunk %" PRIu64 " begins at sector %" PRIu64
                          ", before the end of the one before it, %" PRIu64,
                          chunk->number, chunk->sector, end);
    if (chunk->sector + chunk->sectors > size)
        return image_fail(disk->img, EUCLEAN,
                          "dmg: chunk %" PRIu64 " ends at sector %" PRIu64
                          ", behind the SectorCount %" PRIu64,
                          chunk->number, chunk->sector + chunk->sectors, size);
    return 0;
}

/* What hdiutil calls images that are compressed in one way. How the others are called does not
 * depend on their chunks. */
static const struct {
    uint32_t type;
    const char *name;
} subformats[] = {
    {DMG_ADC, "UDCO"},   {DMG_ZLIB, "UDZO"}, {DMG_BZIP2, "UDBZ"},
    {DMG_LZFSE, "ULFO"}, {DMG_LZMA, "ULMO"},
};

/* The name that goes with a further chunk: known is that of the ones before it. "": several. */
static const char *dmg_add_subformat(const char *known, uint32_t type)
{
    for (size_t i = 0; i < sizeof subformats / sizeof *subformats; i++)
        if (subformats[i].type == type)
            return !known || known == subformats[i].name ? subformats[i].name : "";
    return known;
}

/* Reads all chunks from d->cursor on. */
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

/* Goes to where the chunk of that sector is found soonest. */
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
