// SPDX-License-Identifier: Apache-2.0
/*
 * Makes growing disks of Bochs (iodev/hdimage/hdimage.h). Little endian.
 *
 *     size=1M  extent_size=64K  bitmap_size=N (default: what the extent's sectors need)
 *     entries=N (of the catalog; default: what the size needs)  catalog_offset=512  v=1|2
 *     extents=0,3 (written, in the file in this order)  bits=0xff (each byte of their bitmaps)
 *     data=N (bytes written at the start of each extent; default: all)
 *     entry=INDEX:VALUE (a raw entry of the catalog)
 *     magic=TEXT  type=TEXT  subtype=TEXT  FIELD=value
 */
#include "maker.h"

#include <string.h>

enum { HEADER_BYTES = 512, SECTOR = 512 };

static const struct maker_field fields_v1[] = {
    {"version", 64, 4, '<'},
    {"header", 68, 4, '<'},
    {"catalog", 72, 4, '<'},
    {"bitmap", 76, 4, '<'},
    {"extent", 80, 4, '<'},
    {"disk", 84, 8, '<'},
    {0},
};

static const struct maker_field fields_v2[] = {
    {"version", 64, 4, '<'}, {"header", 68, 4, '<'},
    {"catalog", 72, 4, '<'}, {"bitmap", 76, 4, '<'},
    {"extent", 80, 4, '<'},  {"timestamp", 84, 4, '<'},
    {"disk", 88, 8, '<'},    {0},
};

struct bochs {
    struct maker *m;
    uint64_t size, extent_size, bitmap_size, entries, catalog_offset;
    uint64_t written; /* extents so far */
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static void put_text(uint8_t *header, size_t offset, size_t length, const char *text)
{
    if (strlen(text) > length)
        maker_die("'%s' is longer than %zu bytes", text, length);
    memcpy(header + offset, text, strlen(text));
}

static void write_header(const struct bochs *b)
{
    uint8_t header[HEADER_BYTES] = {0};
    bool v1 = maker_number(b->m, "v", 2) == 1;

    put_text(header, 0, 32, maker_string(b->m, "magic", "Bochs Virtual HD Image"));
    put_text(header, 32, 16, maker_string(b->m, "type", "Redolog"));
    put_text(header, 48, 16, maker_string(b->m, "subtype", "Growing"));
    maker_put(header, 64, 4, '<', v1 ? 0x10000 : 0x20000);
    maker_put(header, 68, 4, '<', b->catalog_offset);
    maker_put(header, 72, 4, '<', b->entries);
    maker_put(header, 76, 4, '<', b->bitmap_size);
    maker_put(header, 80, 4, '<', b->extent_size);
    maker_put(header, v1 ? 84 : 88, 8, '<', b->size);
    maker_fields(b->m, "", v1 ? fields_v1 : fields_v2, header, NULL);
    maker_write(b->m, 0, header, sizeof header);
}

static void write_repeated(const struct bochs *b, uint64_t offset, uint64_t length, uint64_t byte)
{
    uint8_t piece[4096];

    memset(piece, (int)byte, sizeof piece);
    for (uint64_t n; length; offset += n, length -= n) {
        n = length < sizeof piece ? length : sizeof piece;
        maker_write(b->m, offset, piece, (size_t)n);
    }
}

static void write_entry(const struct bochs *b, uint64_t index, uint64_t value)
{
    uint8_t entry[4];

    maker_put(entry, 0, 4, '<', value);
    maker_write(b->m, b->catalog_offset + 4 * index, entry, sizeof entry);
}

/* Appends an extent: its bitmap, in whole sectors, then its data. */
static void write_extent(struct bochs *b, uint64_t index)
{
    uint64_t bitmap = round_up(b->bitmap_size, SECTOR);
    uint64_t offset = b->catalog_offset + 4 * b->entries + b->written * (bitmap + b->extent_size);

    write_entry(b, index, b->written++);
    write_repeated(b, offset, b->bitmap_size, maker_number(b->m, "bits", 0xff));
    write_repeated(b, offset + bitmap, maker_number(b->m, "data", b->extent_size),
                   0x41 + index % 26);
    maker_extend(b->m, offset + bitmap + b->extent_size);
}

static void write_extents(struct bochs *b)
{
    const char *list = maker_string(b->m, "extents", ""), *value;
    int position = 0;

    while (*list) {
        write_extent(b, maker_parse(list, &list));
        if (*list == ',')
            list++;
        else if (*list)
            maker_die("extents: '%s' is not part of a list of numbers", list);
    }
    while ((value = maker_each(b->m, "entry", &position))) {
        uint64_t index = maker_parse(value, &value);

        if (*value != ':')
            maker_die("entry: INDEX:VALUE is wanted");
        write_entry(b, index, maker_parse(value + 1, &value));
    }
}

void make_bochs(struct maker *m)
{
    struct bochs b = {.m = m};

    b.size = maker_number(m, "size", 1 << 20);
    b.extent_size = maker_number(m, "extent_size", 64 << 10);
    if (!b.extent_size)
        maker_die("extent_size=0 cannot be laid out: give extent=0");
    b.bitmap_size =
        maker_number(m, "bitmap_size", round_up(b.extent_size, 8 * SECTOR) / SECTOR / 8);
    b.entries = maker_number(m, "entries", round_up(b.size, b.extent_size) / b.extent_size);
    b.catalog_offset = maker_number(m, "catalog_offset", HEADER_BYTES);
    write_repeated(&b, b.catalog_offset, 4 * b.entries, 0xff);
    write_header(&b);
    write_extents(&b);
}
