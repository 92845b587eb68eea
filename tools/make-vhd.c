// SPDX-License-Identifier: Apache-2.0
/*
 * Makes VHD images ("Virtual Hard Disk Image Format Specification", 1.0, 2006). Big endian, but for
 * the UTF-16LE text of W2ru and W2ku locators. The footer stands at the end and, unless the disk is
 * fixed, a copy of it at the start.
 *
 *     kind=fixed|dynamic|differencing  size=1M  creator='win '  footer_offset=N  unique_id=UUID
 *     block_size=2M  blocks=0,3 (allocated, in the file in this order)  bat=INDEX:SECTOR (a raw
 * entry) data=N (bytes written at the start of each block; default: all) sector_bitmap=0xff (each
 * byte of the blocks' bitmaps) sectors=BLOCK:FIRST:COUNT[:BIT] (other bits of the bitmap of one of
 * the blocks, 1 by default) parent=NAME  parent_unique_id=UUID  locator=[N:]CODE:PATH (up to 8
 * times; in entry N, from 1 on, or the next) FIELD=value (both copies of the footer)  head.FIELD=
 * (the leading one)  footer.FIELD= (the trailing one) dynamic.FIELD=  locator0.FIELD= ...
 * locator7.FIELD=
 *
 * Checksums are computed last, unless the field itself was given.
 */
#include "maker.h"

#include <stdlib.h>
#include <string.h>

enum {
    SECTOR = 512,
    FOOTER_BYTES = 512,
    DYNAMIC_OFFSET = FOOTER_BYTES,
    DYNAMIC_BYTES = 1024,
    TABLE_OFFSET = DYNAMIC_OFFSET + DYNAMIC_BYTES,
    PARENT_NAME = 64, /* in the dynamic header */
    PARENT_NAME_CHARACTERS = 256,
    LOCATORS = 576, /* in the dynamic header */
    LOCATOR_BYTES = 24,
    LOCATORS_MAX = 8,
    LOCATOR_SPACE = 512, /* bytes of the file given to one locator's text */
    TYPE_FIXED = 2,
    TYPE_DYNAMIC = 3,
    TYPE_DIFFERENCING = 4,
};

static const struct maker_field footer_fields[] = {
    {"cookie", 0, 8, '>'},
    {"features", 8, 4, '>'},
    {"file_format_version", 12, 4, '>'},
    {"data_offset", 16, 8, '>'},
    {"time_stamp", 24, 4, '>'},
    {"creator_application", 28, 4, '>'},
    {"creator_version", 32, 4, '>'},
    {"creator_host_os", 36, 4, '>'},
    {"original_size", 40, 8, '>'},
    {"current_size", 48, 8, '>'},
    {"cylinders", 56, 2, '>'},
    {"heads", 58, 1, '>'},
    {"sectors_per_track", 59, 1, '>'},
    {"disk_type", 60, 4, '>'},
    {"checksum", 64, 4, '>'},
    {"saved_state", 84, 1, '>'},
    {0},
};

static const struct maker_field dynamic_fields[] = {
    {"cookie", 0, 8, '>'},          {"data_offset", 8, 8, '>'},        {"table_offset", 16, 8, '>'},
    {"header_version", 24, 4, '>'}, {"max_table_entries", 28, 4, '>'}, {"block_size", 32, 4, '>'},
    {"checksum", 36, 4, '>'},       {"parent_time_stamp", 56, 4, '>'}, {0},
};

static const struct maker_field locator_fields[] = {
    {"platform_code", 0, 4, '>'},         {"platform_data_space", 4, 4, '>'},
    {"platform_data_length", 8, 4, '>'},  {"reserved", 12, 4, '>'},
    {"platform_data_offset", 16, 8, '>'}, {0},
};

struct vhd {
    struct maker *m;
    unsigned type;
    uint64_t size;
    uint64_t block_size;
    uint64_t table_entries;
    uint64_t end; /* of what is laid out so far */
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static void put32(uint8_t *p, uint32_t offset, uint64_t value)
{
    maker_put(p, offset, 4, '>', value);
}

static void put64(uint8_t *p, uint32_t offset, uint64_t value)
{
    maker_put(p, offset, 8, '>', value);
}

/* The ones' complement of the sum of all bytes but the checksum's own. */
static void put_checksum(uint8_t *bytes, size_t length, uint32_t offset)
{
    uint32_t sum = 0;

    put32(bytes, offset, 0);
    for (size_t i = 0; i < length; i++)
        sum += bytes[i];
    put32(bytes, offset, ~sum);
}

/* The geometry for a size, as the specification's appendix computes it. */
static void put_geometry(uint8_t *footer, uint64_t size)
{
    uint64_t sectors = size / SECTOR, most = 65535ull * 16 * 255;
    uint64_t per_track, heads, tracks;

    if (sectors > most)
        sectors = most;
    if (sectors >= 65535ull * 16 * 63) {
        per_track = 255;
        heads = 16;
        tracks = sectors / per_track;
    } else {
        per_track = 17;
        tracks = sectors / per_track;
        heads = (tracks + 1023) / 1024;
        if (heads < 4)
            heads = 4;
        if (tracks >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            tracks = sectors / per_track;
        }
        if (tracks >= heads * 1024) {
            per_track = 63;
            heads = 16;
            tracks = sectors / per_track;
        }
    }
    maker_put(footer, 56, 2, '>', tracks / heads);
    maker_put(footer, 58, 1, '>', heads);
    maker_put(footer, 59, 1, '>', per_track);
}

/* A footer with the changes asked for under prefix. */
static void make_footer(const struct vhd *v, const char *prefix, uint8_t *footer)
{
    const char *creator = maker_string(v->m, "creator", "win ");
    bool given;

    memset(footer, 0, FOOTER_BYTES);
    memcpy(footer, "conectix", 8);
    put32(footer, 8, 2); /* features: the reserved bit, always set */
    put32(footer, 12, 0x10000);
    put64(footer, 16, v->type == TYPE_FIXED ? UINT64_MAX : DYNAMIC_OFFSET);
    put32(footer, 24, 0x2d000000); /* seconds since 2000, in 2023 */
    for (size_t i = 0; i < 4; i++)
        footer[28 + i] = (uint8_t)(i < strlen(creator) ? creator[i] : ' ');
    put32(footer, 32, 0x000a0000);
    memcpy(footer + 36, "Wi2k", 4);
    put64(footer, 40, v->size);
    put64(footer, 48, v->size);
    put_geometry(footer, v->size);
    put32(footer, 60, v->type);
    memset(footer + 68, 0xa1, 16); /* unique id */
    maker_uuid(v->m, "unique_id", '>', footer + 68);
    given = maker_fields(v->m, "", footer_fields, footer, "checksum");
    given |= maker_fields(v->m, prefix, footer_fields, footer, "checksum");
    if (!given)
        put_checksum(footer, FOOTER_BYTES, 64);
}

static void write_footer(const struct vhd *v, const char *prefix, uint64_t offset)
{
    uint8_t footer[FOOTER_BYTES];

    make_footer(v, prefix, footer);
    maker_write(v->m, offset, footer, sizeof footer);
}

/* ASCII text as UTF-16. */
static size_t put_utf16(uint8_t *out, size_t characters, const char *text, char order)
{
    size_t n = strlen(text);

    if (n > characters)
        maker_die("'%s' is longer than %zu characters", text, characters);
    for (size_t i = 0; i < n; i++)
        maker_put(out, (uint32_t)(2 * i), 2, order, (uint8_t)text[i]);
    return 2 * n;
}

/* Lays out one locator's text and fills in its entry. */
static void make_locator(struct vhd *v, const char *argument, uint8_t *entry)
{
    uint8_t text[LOCATOR_SPACE] = {0};
    const char *path = argument + 5;
    size_t length;

    if (strlen(argument) < 5 || argument[4] != ':')
        maker_die("locator=%s: CODE:PATH is wanted, with a code of four characters", argument);
    if (strncmp(argument, "W2", 2) == 0) {
        length = put_utf16(text, sizeof text / 2, path, '<');
    } else {
        length = strlen(path);
        if (length > sizeof text)
            maker_die("locator=%s is too long", argument);
        memcpy(text, path, length);
    }
    maker_write(v->m, v->end, text, sizeof text);
    memcpy(entry, argument, 4);
    put32(entry, 4, LOCATOR_SPACE);
    put32(entry, 8, length);
    put64(entry, 16, v->end);
    v->end += sizeof text;
}

static void make_locators(struct vhd *v, uint8_t *header)
{
    const char *argument;
    unsigned next = 0;
    int position = 0;

    while ((argument = maker_each(v->m, "locator", &position))) {
        if (argument[0] >= '1' && argument[0] <= '0' + LOCATORS_MAX && argument[1] == ':') {
            next = (unsigned)(argument[0] - '1');
            argument += 2;
        }
        if (next == LOCATORS_MAX)
            maker_die("locator=%s: there are %d", argument, LOCATORS_MAX);
        make_locator(v, argument, header + LOCATORS + next++ * LOCATOR_BYTES);
    }
    for (unsigned i = 0; i < LOCATORS_MAX; i++) {
        char prefix[] = "locator0";

        prefix[7] = (char)('0' + i);
        maker_fields(v->m, prefix, locator_fields, header + LOCATORS + i * LOCATOR_BYTES, NULL);
    }
}

static void write_dynamic_header(struct vhd *v)
{
    uint8_t header[DYNAMIC_BYTES] = {0};
    const char *parent = maker_string(v->m, "parent", "");

    memcpy(header, "cxsparse", 8);
    put64(header, 8, UINT64_MAX); /* data_offset: unused */
    put64(header, 16, TABLE_OFFSET);
    put32(header, 24, 0x10000);
    put32(header, 28, v->table_entries);
    put32(header, 32, v->block_size);
    if (v->type == TYPE_DIFFERENCING) {
        memset(header + 40, 0xb2, 16); /* the parent's unique id */
        maker_uuid(v->m, "parent_unique_id", '>', header + 40);
        put32(header, 56, 0x2c000000);
    }
    put_utf16(header + PARENT_NAME, PARENT_NAME_CHARACTERS, parent, '>');
    make_locators(v, header);
    if (!maker_fields(v->m, "dynamic", dynamic_fields, header, "checksum"))
        put_checksum(header, sizeof header, 36);
    maker_write(v->m, DYNAMIC_OFFSET, header, sizeof header);
}

static void write_table_entry(const struct vhd *v, uint64_t index, uint64_t sector)
{
    uint8_t entry[4];

    put32(entry, 0, sector);
    maker_write(v->m, TABLE_OFFSET + 4 * index, entry, sizeof entry);
}

static void write_repeated(const struct vhd *v, uint64_t offset, uint64_t length, uint8_t byte)
{
    uint8_t piece[4096];

    memset(piece, byte, sizeof piece);
    for (uint64_t n; length; offset += n, length -= n) {
        n = length < sizeof piece ? length : sizeof piece;
        maker_write(v->m, offset, piece, (size_t)n);
    }
}

/* A number of a list that colons divide; *text moves behind it. */
static uint64_t next_number(const char **text)
{
    uint64_t value = maker_parse(*text, text);

    if (**text == ':')
        (*text)++;
    return value;
}

/* Changes the bits of a block's bitmap that sectors=BLOCK:FIRST:COUNT[:BIT] names. */
static void put_sectors(const struct vhd *v, uint64_t index, uint8_t *bits)
{
    const char *text;
    int position = 0;

    while ((text = maker_each(v->m, "sectors", &position))) {
        uint64_t block = next_number(&text), first = next_number(&text);
        uint64_t count = next_number(&text), bit = *text ? next_number(&text) : 1;

        if (*text || first + count > v->block_size / SECTOR)
            maker_die("sectors=BLOCK:FIRST:COUNT[:BIT] is wanted, in the block");
        for (uint64_t i = first; block == index && i < first + count; i++)
            bits[i / 8] = (uint8_t)((bits[i / 8] & ~(0x80 >> i % 8)) | (bit ? 0x80 >> i % 8 : 0));
    }
}

/* Appends a block: its bitmap, in whole sectors, then its data. */
static void write_block(struct vhd *v, uint64_t index)
{
    uint64_t bitmap = (v->block_size / SECTOR + 7) / 8;
    uint64_t written = maker_number(v->m, "data", v->block_size);
    uint8_t *bits = malloc(bitmap + 1);

    if (!bits)
        maker_die("out of memory");
    memset(bits, (int)maker_number(v->m, "sector_bitmap", 0xff), bitmap);
    put_sectors(v, index, bits);
    write_table_entry(v, index, v->end / SECTOR);
    maker_write(v->m, v->end, bits, bitmap);
    free(bits);
    v->end += round_up(bitmap, SECTOR);
    write_repeated(v, v->end, written, (uint8_t)(0x41 + index % 26));
    v->end += v->block_size;
}

static void write_table(struct vhd *v)
{
    uint64_t length = round_up(4 * v->table_entries, SECTOR);

    write_repeated(v, TABLE_OFFSET, length, 0xff);
    v->end = TABLE_OFFSET + length;
}

static void write_blocks(struct vhd *v)
{
    const char *list = maker_string(v->m, "blocks", ""), *value;
    int position = 0;

    while (*list) {
        write_block(v, maker_parse(list, &list));
        if (*list == ',')
            list++;
        else if (*list)
            maker_die("blocks: '%s' is not part of a list of numbers", list);
    }
    while ((value = maker_each(v->m, "bat", &position))) {
        uint64_t index = maker_parse(value, &value);

        if (*value != ':')
            maker_die("bat: INDEX:SECTOR is wanted");
        write_table_entry(v, index, maker_parse(value + 1, &value));
    }
}

static unsigned parse_kind(const char *kind)
{
    if (strcmp(kind, "fixed") == 0)
        return TYPE_FIXED;
    if (strcmp(kind, "dynamic") == 0)
        return TYPE_DYNAMIC;
    if (strcmp(kind, "differencing") == 0)
        return TYPE_DIFFERENCING;
    maker_die("kind=%s: fixed, dynamic or differencing is wanted", kind);
}

void make_vhd(struct maker *m)
{
    struct vhd v = {.m = m};

    v.type = parse_kind(maker_string(m, "kind", "dynamic"));
    v.size = maker_number(m, "size", 1 << 20);
    if (v.type == TYPE_FIXED) {
        v.end = round_up(v.size, SECTOR);
    } else {
        v.block_size = maker_number(m, "block_size", 2 << 20);
        if (!v.block_size)
            maker_die("block_size=0 cannot be laid out: give dynamic.block_size=0");
        v.table_entries = (v.size + v.block_size - 1) / v.block_size;
        write_table(&v);
        write_dynamic_header(&v);
        write_blocks(&v);
        write_footer(&v, "head", 0);
    }
    write_footer(&v, "footer", maker_number(m, "footer_offset", v.end));
}
