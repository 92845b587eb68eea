// SPDX-License-Identifier: Apache-2.0
/*
 * Makes VDI images (VirtualBox, version 1.1). Little endian. The map stands at 512, the blocks from
 * the next MiB on.
 *
 *     kind=dynamic|static|differencing  size=8M  block_size=1M  every=N  blocks=0,3  data=N
 * map=INDEX:ENTRY FIELD=value (of the header)
 *
 * blocks are allocated, in the file in this order; of a static image all are, in their own order.
 * Each block begins with data bytes (the default: all of a dynamic block, none of a static one).
 * every=N: every Nth block is allocated, without data; the file is sparse. map: a raw entry, last.
 */
#include "maker.h"

#include <string.h>

enum {
    HEADER_BYTES = 512,
    MAP_OFFSET = 512,
    MIB = 1 << 20,
    TYPE_DYNAMIC = 1,
    TYPE_STATIC = 2,
    TYPE_DIFFERENCING = 4,
    ENTRY_BYTES = 4,
    PIECE_ENTRIES = 16384,
};

#define FREE_BLOCK UINT32_MAX

static const struct maker_field header_fields[] = {
    {"signature", 64, 4, '<'},
    {"version", 68, 4, '<'},
    {"header_size", 72, 4, '<'},
    {"image_type", 76, 4, '<'},
    {"image_flags", 80, 4, '<'},
    {"offset_bmap", 340, 4, '<'},
    {"offset_data", 344, 4, '<'},
    {"cylinders", 348, 4, '<'},
    {"heads", 352, 4, '<'},
    {"sectors", 356, 4, '<'},
    {"sector_size", 360, 4, '<'},
    {"disk_size", 368, 8, '<'},
    {"header_block_size", 376, 4, '<'},
    {"block_extra", 380, 4, '<'},
    {"blocks_in_image", 384, 4, '<'},
    {"blocks_allocated", 388, 4, '<'},
    {"uuid_image", 392, 8, '<'},
    {"uuid_image_end", 400, 8, '<'},
    {"uuid_last_snap", 408, 8, '<'},
    {"uuid_last_snap_end", 416, 8, '<'},
    {"uuid_link", 424, 8, '<'},
    {"uuid_link_end", 432, 8, '<'},
    {"uuid_parent", 440, 8, '<'},
    {"uuid_parent_end", 448, 8, '<'},
    {"lchs_cylinders", 456, 4, '<'},
    {"lchs_heads", 460, 4, '<'},
    {"lchs_sectors", 464, 4, '<'},
    {"lchs_sector_size", 468, 4, '<'},
    {0},
};

struct vdi {
    struct maker *m;
    unsigned type;
    uint64_t size;
    uint64_t block_size;
    uint64_t blocks;
    uint64_t data_offset;
    uint64_t allocated;
};

static void put32(uint8_t *p, uint32_t offset, uint64_t value)
{
    maker_put(p, offset, 4, '<', value);
}

static void write_header(const struct vdi *v)
{
    uint8_t header[HEADER_BYTES] = "<<< Oracle VM VirtualBox Disk Image >>>\n";

    put32(header, 64, 0xbeda107f);
    put32(header, 68, 0x00010001);
    put32(header, 72, 400);
    put32(header, 76, v->type);
    put32(header, 340, MAP_OFFSET);
    put32(header, 344, v->data_offset);
    put32(header, 360, 512);
    maker_put(header, 368, 8, '<', v->size);
    put32(header, 376, v->block_size);
    put32(header, 384, v->blocks);
    put32(header, 388, v->allocated);
    for (uint8_t i = 0; i < 32; i++) /* uuid_image, uuid_last_snap */
        header[392 + i] = (uint8_t)(0xa0 + i);
    put32(header, 468, 512); /* of the LCHS geometry, the rest of which is not known yet */
    maker_fields(v->m, "", header_fields, header, NULL);
    maker_write(v->m, 0, header, sizeof header);
}

static void write_entry(const struct vdi *v, uint64_t index, uint64_t value)
{
    uint8_t entry[ENTRY_BYTES];

    put32(entry, 0, value);
    maker_write(v->m, MAP_OFFSET + ENTRY_BYTES * index, entry, sizeof entry);
}

/* All of the map: each one of every blocks is allocated; 0: none. */
static void write_map(struct vdi *v, uint64_t every)
{
    uint8_t piece[ENTRY_BYTES * PIECE_ENTRIES];

    for (uint64_t i = 0, n; i < v->blocks; i += n) {
        n = v->blocks - i < PIECE_ENTRIES ? v->blocks - i : PIECE_ENTRIES;
        for (uint64_t k = 0; k < n; k++) {
            bool has = every && (i + k) % every == 0;

            put32(piece, (uint32_t)(ENTRY_BYTES * k), has ? v->allocated++ : FREE_BLOCK);
        }
        maker_write(v->m, MAP_OFFSET + ENTRY_BYTES * i, piece, ENTRY_BYTES * n);
    }
    maker_extend(v->m, v->data_offset + v->allocated * v->block_size);
}

/* Gives the block of that index its first bytes. */
static void write_data(const struct vdi *v, uint64_t index, uint64_t place, uint64_t length)
{
    uint64_t offset = v->data_offset + place * v->block_size;
    uint8_t piece[4096];

    memset(piece, (uint8_t)(0x41 + index % 26), sizeof piece);
    for (uint64_t n; length; offset += n, length -= n) {
        n = length < sizeof piece ? length : sizeof piece;
        maker_write(v->m, offset, piece, (size_t)n);
    }
}

/* The blocks of the list: appended, or in a static image given data. */
static void write_blocks(struct vdi *v)
{
    const char *list = maker_string(v->m, "blocks", "");
    uint64_t length = maker_number(v->m, "data", v->block_size);

    while (*list) {
        uint64_t index = maker_parse(list, &list);

        if (v->type == TYPE_STATIC) {
            write_data(v, index, index, length);
        } else {
            write_entry(v, index, v->allocated);
            write_data(v, index, v->allocated++, length);
        }
        if (*list == ',')
            list++;
        else if (*list)
            maker_die("blocks: '%s' is not part of a list of numbers", list);
    }
    maker_extend(v->m, v->data_offset + v->allocated * v->block_size);
}

static void write_raw_entries(const struct vdi *v)
{
    const char *value;
    int position = 0;

    while ((value = maker_each(v->m, "map", &position))) {
        uint64_t index = maker_parse(value, &value);

        if (*value != ':')
            maker_die("map: INDEX:ENTRY is wanted");
        write_entry(v, index, maker_parse(value + 1, &value));
    }
}

static unsigned parse_kind(const char *kind)
{
    if (strcmp(kind, "dynamic") == 0)
        return TYPE_DYNAMIC;
    if (strcmp(kind, "static") == 0)
        return TYPE_STATIC;
    if (strcmp(kind, "differencing") == 0)
        return TYPE_DIFFERENCING;
    maker_die("kind=%s: dynamic, static or differencing is wanted", kind);
}

void make_vdi(struct maker *m)
{
    struct vdi v = {.m = m};
    uint64_t every;

    v.type = parse_kind(maker_string(m, "kind", "dynamic"));
    v.size = maker_number(m, "size", 8 << 20);
    v.block_size = maker_number(m, "block_size", MIB);
    if (!v.block_size)
        maker_die("block_size=0 cannot be laid out: give header_block_size=0");
    v.blocks = (v.size + v.block_size - 1) / v.block_size;
    v.data_offset = (MAP_OFFSET + ENTRY_BYTES * v.blocks + MIB - 1) / MIB * MIB;
    every = maker_number(m, "every", v.type == TYPE_STATIC ? 1 : 0);
    write_map(&v, every);
    write_blocks(&v);
    write_raw_entries(&v);
    write_header(&v);
}
