// SPDX-License-Identifier: Apache-2.0
/*
 * Makes DMG images (UDIF): the data fork, a property list or a resource fork with the block tables,
 * the trailer. Big endian.
 *
 *     chunk=KIND:SECTORS[:BYTE]   zero, ignore, raw, zlib, adc, bzip2, lzfse, lzma or a number;
 *                                 full of BYTE; what cannot be made has eight bytes in the file
 *     guest=OFFSET:HEX            of the disk, before it is compressed
 *     tables=N,N,...              chunks of each table; the rest are in one more
 *     terminator=0  comment=1     without the one; with the other, in front of each table
 *     table0.FIELD=  chunk0.FIELD=  chunks are counted over all tables, without those two
 *     cut=N  swap=1               the last table is shorter; tables in reverse
 *     rsrc=1  rsrc.FIELD=         a resource fork
 *     resource0=LENGTH            what precedes the first resource
 *     columns=44                  of base64; 0: all in a line
 *     replace=OLD=>NEW            in the property list, once; OLD=>>NEW: everywhere; \n is LF
 *     nested=N  spaces=N          arrays in each other; blanks before the list
 *     gap=N  FIELD=               bytes before the data fork; of the trailer
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "maker.h"

enum {
    SECTOR = 512,
    TABLE_BYTES = 204,
    ENTRY_BYTES = 40,
    TRAILER_BYTES = 512,
    CHUNKS_MAX = 256,
    TABLES_MAX = 32,
    TABLE_MAX = TABLE_BYTES + (CHUNKS_MAX + 2) * ENTRY_BYTES,
    LIST_MAX = 20 << 20,
    DISK_MAX = 16 << 20,
    CHECKSUM_CRC32 = 2,
    COMMENT = 0x7ffffffe,
};
#define TERMINATOR 0xffffffffu

static const struct maker_field trailer_fields[] = {
    {"Signature", 0, 4, '>'},
    {"Version", 4, 4, '>'},
    {"HeaderSize", 8, 4, '>'},
    {"Flags", 12, 4, '>'},
    {"RunningDataForkOffset", 16, 8, '>'},
    {"DataForkOffset", 24, 8, '>'},
    {"DataForkLength", 32, 8, '>'},
    {"RsrcForkOffset", 40, 8, '>'},
    {"RsrcForkLength", 48, 8, '>'},
    {"SegmentNumber", 56, 4, '>'},
    {"SegmentCount", 60, 4, '>'},
    {"SegmentID", 64, 8, '>'},
    {"DataChecksumType", 80, 4, '>'},
    {"DataChecksumSize", 84, 4, '>'},
    {"DataChecksum", 88, 4, '>'},
    {"XMLOffset", 216, 8, '>'},
    {"XMLLength", 224, 8, '>'},
    {"ChecksumType", 352, 4, '>'},
    {"ChecksumSize", 356, 4, '>'},
    {"Checksum", 360, 4, '>'},
    {"ImageVariant", 488, 4, '>'},
    {"SectorCount", 492, 8, '>'},
    {0},
};

static const struct maker_field table_fields[] = {
    {"Signature", 0, 4, '>'},
    {"Version", 4, 4, '>'},
    {"SectorNumber", 8, 8, '>'},
    {"SectorCount", 16, 8, '>'},
    {"DataOffset", 24, 8, '>'},
    {"BuffersNeeded", 32, 4, '>'},
    {"BlockDescriptors", 36, 4, '>'},
    {"ChecksumType", 64, 4, '>'},
    {"ChecksumSize", 68, 4, '>'},
    {"Checksum", 72, 4, '>'},
    {"NumberOfBlockChunks", 200, 4, '>'},
    {0},
};

static const struct maker_field entry_fields[] = {
    {"EntryType", 0, 4, '>'},
    {"Comment", 4, 4, '>'},
    {"SectorNumber", 8, 8, '>'},
    {"SectorCount", 16, 8, '>'},
    {"CompressedOffset", 24, 8, '>'},
    {"CompressedLength", 32, 8, '>'},
    {0},
};

static const struct maker_field rsrc_fields[] = {
    {"DataOffset", 0, 4, '>'},
    {"MapOffset", 4, 4, '>'},
    {"DataLength", 8, 4, '>'},
    {"MapLength", 12, 4, '>'},
    {0},
};

static const struct {
    const char *name;
    uint32_t type;
} kinds[] = {
    {"zero", 0},           {"raw", 1},           {"ignore", 2},
    {"adc", 0x80000004},   {"zlib", 0x80000005}, {"bzip2", 0x80000006},
    {"lzfse", 0x80000007}, {"lzma", 0x80000008},
};

struct chunk {
    uint32_t type;
    uint64_t sector, sectors, offset, length;
};

struct dmg {
    struct maker *m;
    struct chunk chunks[CHUNKS_MAX];
    size_t count, tables;
    size_t first[TABLES_MAX + 1]; /* chunk of each table */
    uint8_t *disk;                /* the first DISK_MAX bytes of it */
    uint64_t sectors;
    uint64_t data_fork, end;    /* in the file */
    uint32_t data_crc, all_crc; /* of the data fork; of the tables' checksums */
    char *list;
    size_t list_length;
};

static void *must_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (!p)
        maker_die("out of memory");
    return p;
}

static bool is_plain_zero(uint32_t type)
{
    return type == 0 || type == 2;
}

static uint64_t after_colon(const char *value, const char **end)
{
    if (**end != ':')
        maker_die("'%s': a number is missing", value);
    return maker_parse(*end + 1, end);
}

static void parse_chunk(struct dmg *d, const char *value)
{
    struct chunk *c = &d->chunks[d->count];
    const char *end = value + strcspn(value, ":");
    uint64_t byte = 0, at, length;
    size_t row = 0;

    if (d->count++ == CHUNKS_MAX)
        maker_die("more than %d chunks", CHUNKS_MAX);
    while (row < sizeof kinds / sizeof *kinds &&
           (strncmp(kinds[row].name, value, (size_t)(end - value)) != 0 ||
            kinds[row].name[end - value]))
        row++;
    c->type =
        row < sizeof kinds / sizeof *kinds ? kinds[row].type : (uint32_t)maker_parse(value, &end);
    c->sector = d->sectors;
    c->sectors = after_colon(value, &end);
    if (*end)
        byte = after_colon(value, &end);
    if (*end)
        maker_die("chunk=%s: KIND:SECTORS[:BYTE] is wanted", value);
    at = c->sector * SECTOR;
    length = c->sectors * SECTOR;
    if (!is_plain_zero(c->type) && (length > DISK_MAX || at > DISK_MAX - length))
        maker_die("chunk=%s: data behind the first %d bytes", value, DISK_MAX);
    if (!is_plain_zero(c->type))
        memset(d->disk + at, (int)byte, length);
    d->sectors += c->sectors;
}

static void poke_guest(struct dmg *d, const char *value)
{
    const char *hex;
    uint64_t at = maker_parse(value, &hex);
    unsigned byte;

    for (hex++; sscanf(hex, "%2x", &byte) == 1; hex += 2, at++) {
        if (at >= DISK_MAX)
            maker_die("guest=%s: behind the first %d bytes", value, DISK_MAX);
        d->disk[at] = (uint8_t)byte;
    }
}

/* Which chunks are in which table. */
static void split_tables(struct dmg *d)
{
    const char *p = maker_string(d->m, "tables", "");
    size_t next = 0;

    while (*p) {
        d->first[d->tables++] = next;
        next += (size_t)maker_parse(p, &p);
        p += *p == ',';
        if (d->tables == TABLES_MAX || next > d->count)
            maker_die("more tables than %d or than there are chunks", TABLES_MAX);
    }
    if (next < d->count || !d->tables)
        d->first[d->tables++] = next;
    d->first[d->tables] = d->count;
}

/* Writes a chunk's bytes at the end of the data fork. */
static void write_chunk(struct dmg *d, struct chunk *c)
{
    enum { ZLIB = 0x80000005, STAND_IN = 8 };
    const uint8_t *guest = d->disk + c->sector * SECTOR;
    uLongf length = (uLongf)(c->sectors * SECTOR);
    uint8_t *packed = NULL;

    c->offset = d->end - d->data_fork;
    if (is_plain_zero(c->type))
        return;
    if (c->type == (uint32_t)ZLIB) {
        uLongf room = compressBound(length);

        packed = must_alloc(room);
        if (compress2(packed, &room, guest, length, 9) != Z_OK)
            maker_die("zlib fails");
        guest = packed;
        length = room;
    } else if (c->type != 1) {
        length = STAND_IN;
    }
    c->length = length;
    maker_write(d->m, d->end, guest, length);
    d->data_crc = (uint32_t)crc32(d->data_crc, guest, (uInt)length);
    d->end += length;
    free(packed);
}

static void put_entry(uint8_t *entry, uint32_t type, const struct chunk *c, uint64_t first)
{
    maker_put(entry, 0, 4, '>', type);
    maker_put(entry, 8, 8, '>', c->sector - first);
    maker_put(entry, 16, 8, '>', c->sectors);
    maker_put(entry, 24, 8, '>', c->offset);
    maker_put(entry, 32, 8, '>', c->length);
}

/* The CRC-32 of the guest's bytes, as far as they are small. */
static uint32_t guest_crc(const struct dmg *d, uint64_t sector, uint64_t sectors)
{
    static const uint8_t zeros[SECTOR];
    uLong crc = crc32(0, NULL, 0);

    for (uint64_t s = sector; s < sector + sectors && s < sector + DISK_MAX / SECTOR; s++)
        crc = crc32(crc, s < DISK_MAX / SECTOR ? d->disk + s * SECTOR : zeros, SECTOR);
    return (uint32_t)crc;
}

/* Table number n. Returns its length. */
static size_t make_table(struct dmg *d, size_t n, uint8_t *table)
{
    const struct chunk *chunks = d->chunks + d->first[n];
    size_t count = d->first[n + 1] - d->first[n], length = TABLE_BYTES;
    uint64_t first = count ? chunks[0].sector : d->sectors;
    uint64_t last = count ? chunks[count - 1].sector + chunks[count - 1].sectors : first;
    struct chunk end = {.sector = last, .offset = d->end - d->data_fork};
    char prefix[32];
    uint8_t crc[4];

    memset(table, 0, TABLE_MAX);
    if (maker_number(d->m, "comment", 0)) {
        put_entry(table + length, COMMENT, &(struct chunk){.sector = first}, first);
        length += ENTRY_BYTES;
    }
    for (size_t i = 0; i < count; i++, length += ENTRY_BYTES) {
        put_entry(table + length, chunks[i].type, &chunks[i], first);
        snprintf(prefix, sizeof prefix, "chunk%zu", d->first[n] + i);
        maker_fields(d->m, prefix, entry_fields, table + length, NULL);
    }
    if (maker_number(d->m, "terminator", 1)) {
        put_entry(table + length, TERMINATOR, &end, first);
        length += ENTRY_BYTES;
    }
    memcpy(table, "mish", 4);
    maker_put(table, 4, 4, '>', 1);
    maker_put(table, 8, 8, '>', first);
    maker_put(table, 16, 8, '>', last - first);
    maker_put(table, 32, 4, '>', 520); /* buffers needed: 256 KiB and some */
    maker_put(table, 36, 4, '>', n);
    maker_put(table, 64, 4, '>', CHECKSUM_CRC32);
    maker_put(table, 68, 4, '>', 32);
    maker_put(table, 72, 4, '>', guest_crc(d, first, last - first));
    maker_put(table, 200, 4, '>', (length - TABLE_BYTES) / ENTRY_BYTES);
    memcpy(crc, table + 72, sizeof crc);
    d->all_crc = (uint32_t)crc32(d->all_crc, crc, sizeof crc);
    snprintf(prefix, sizeof prefix, "table%zu", n);
    maker_fields(d->m, prefix, table_fields, table, NULL);
    if (n == d->tables - 1)
        length -= (size_t)maker_number(d->m, "cut", 0);
    return length;
}

static void add_text(struct dmg *d, const char *text)
{
    size_t length = strlen(text);

    if (d->list_length + length > LIST_MAX)
        maker_die("the list is longer than %d bytes", LIST_MAX);
    memcpy(d->list + d->list_length, text, length + 1);
    d->list_length += length;
}

static void add_base64(struct dmg *d, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t columns = maker_number(d->m, "columns", 44);
    size_t written = 0;

    for (size_t i = 0; i < length; i += 3, written += 4) {
        uint32_t group = 0;
        char text[5] = "====";

        for (size_t j = 0; j < 3; j++)
            group = group << 8 | (i + j < length ? bytes[i + j] : 0u);
        for (size_t j = 0; j < 4 && (j < 2 || i + j - 1 < length); j++)
            text[j] = digits[group >> (18 - 6 * j) & 63];
        if (columns && written % columns == 0)
            add_text(d, "\n\t\t\t\t");
        add_text(d, text);
    }
    if (columns)
        add_text(d, "\n\t\t\t\t");
}

/* Text in which \n is a line's end, up to its end or to that of length bytes. */
static char *unescape(const char *text, size_t length)
{
    char *plain = must_alloc(strlen(text) + 1);
    size_t used = 0;

    for (const char *p = text; *p && (size_t)(p - text) < length; p++) {
        bool is_line_end = p[0] == '\\' && p[1] == 'n';

        plain[used++] = is_line_end ? '\n' : *p;
        p += is_line_end;
    }
    return plain;
}

/* replace=OLD=>NEW or OLD=>>NEW, in the list. */
static void replace(struct dmg *d, const char *value)
{
    const char *arrow = strstr(value, "=>");
    bool all = arrow && arrow[2] == '>';
    char *old, *text, *before = must_alloc(LIST_MAX + 1), *from = before, *found;

    if (!arrow)
        maker_die("replace=%s: OLD=>NEW is wanted", value);
    old = unescape(value, (size_t)(arrow - value));
    text = unescape(arrow + 2 + all, SIZE_MAX);
    memcpy(before, d->list, d->list_length + 1);
    d->list_length = 0;
    if (!strstr(before, old))
        maker_die("replace=%s: there is none in the list", value);
    do {
        found = strstr(from, old);
        if (found)
            *found = '\0';
        add_text(d, from);
        if (found)
            add_text(d, text);
        from = found ? found + strlen(old) : from + strlen(from);
    } while (found && all);
    add_text(d, from);
    free(old);
    free(text);
    free(before);
}

static const char plist_head[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
    "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
    "<plist version=\"1.0\">\n<dict>\n\t<key>resource-fork</key>\n\t<dict>\n\t\t<key>blkx</key>\n"
    "\t\t<array>\n";
static const char plist_tail[] =
    "\t\t</array>\n\t\t<key>plst</key>\n\t\t<array>\n\t\t\t<dict>\n\t\t\t\t<key>Attributes</key>\n"
    "\t\t\t\t<string>0x0050</string>\n\t\t\t\t<key>Data</key>\n\t\t\t\t<data>\n\t\t\t\tAAAAAA==\n"
    "\t\t\t\t</data>\n\t\t\t\t<key>ID</key>\n\t\t\t\t<string>0</string>\n\t\t\t\t<key>Name</key>\n"
    "\t\t\t\t<string></string>\n\t\t\t</dict>\n\t\t</array>\n\t</dict>\n</dict>\n</plist>\n";

static void add_plist_entry(struct dmg *d, size_t n, const uint8_t *table, size_t length)
{
    char text[256];

    snprintf(text, sizeof text,
             "\t\t\t<dict>\n\t\t\t\t<key>Attributes</key>\n\t\t\t\t<string>0x0050</string>\n"
             "\t\t\t\t<key>CFName</key>\n\t\t\t\t<string>part &amp; %zu</string>\n"
             "\t\t\t\t<key>Data</key>\n\t\t\t\t<data>",
             n);
    add_text(d, text);
    add_base64(d, table, length);
    snprintf(text, sizeof text,
             "</data>\n\t\t\t\t<key>ID</key>\n\t\t\t\t<string>%d</string>\n\t\t\t\t"
             "<key>Name</key>\n\t\t\t\t<string>part &amp; %zu</string>\n\t\t\t</dict>\n",
             (int)n - 1, n);
    add_text(d, text);
}

static void add_nested(struct dmg *d, uint64_t depth)
{
    if (!depth)
        return;
    add_text(d, "\t\t<key>nested</key>\n");
    for (uint64_t i = 0; i < depth; i++)
        add_text(d, "<array>");
    for (uint64_t i = 0; i < depth; i++)
        add_text(d, "</array>");
}

static void make_plist(struct dmg *d, uint8_t *table)
{
    bool swap = maker_number(d->m, "swap", 0);
    const char *change;
    int position = 0;

    for (uint64_t i = maker_number(d->m, "spaces", 0); i; i--)
        d->list[d->list_length++] = ' ';
    add_text(d, plist_head);
    for (size_t i = 0; i < d->tables; i++) {
        size_t n = swap ? d->tables - 1 - i : i;
        size_t length = make_table(d, n, table);

        add_plist_entry(d, n, table, length);
    }
    add_text(d, plist_tail);
    if (maker_number(d->m, "nested", 0)) {
        static const char end[] = "\t</dict>\n</dict>\n</plist>\n";

        d->list_length -= sizeof end - 1;
        add_nested(d, maker_number(d->m, "nested", 0));
        add_text(d, end);
    }
    while ((change = maker_each(d->m, "replace", &position)))
        replace(d, change);
}

static void add_bytes(struct dmg *d, const void *bytes, size_t length)
{
    memcpy(d->list + d->list_length, bytes, length);
    d->list_length += length;
}

/* A fork as the resource manager has it, but for its map, which nobody reads: zeros. */
static void make_fork(struct dmg *d, uint8_t *table)
{
    enum { DATA_OFFSET = 256, MAP_BYTES = 50 };
    uint64_t other = maker_number(d->m, "resource0", 0);
    uint8_t size[4];

    d->list_length = DATA_OFFSET;
    if (other) {
        maker_put(size, 0, 4, '>', other);
        add_bytes(d, size, 4);
        d->list_length += other;
    }
    for (size_t n = 0; n < d->tables; n++) {
        size_t length = make_table(d, n, table);

        maker_put(size, 0, 4, '>', length);
        add_bytes(d, size, 4);
        add_bytes(d, table, length);
    }
    maker_put((uint8_t *)d->list, 0, 4, '>', DATA_OFFSET);
    maker_put((uint8_t *)d->list, 4, 4, '>', d->list_length);
    maker_put((uint8_t *)d->list, 8, 4, '>', d->list_length - DATA_OFFSET);
    maker_put((uint8_t *)d->list, 12, 4, '>', MAP_BYTES);
    d->list_length += MAP_BYTES;
    maker_fields(d->m, "rsrc", rsrc_fields, (uint8_t *)d->list, NULL);
}

static void write_trailer(struct dmg *d, uint64_t list, bool fork)
{
    static const uint8_t segment_id[16] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef,
                                           0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint8_t t[TRAILER_BYTES] = "koly";

    maker_put(t, 4, 4, '>', 4);
    maker_put(t, 8, 4, '>', sizeof t);
    maker_put(t, 12, 4, '>', 1); /* flattened */
    maker_put(t, 24, 8, '>', d->data_fork);
    maker_put(t, 32, 8, '>', list - d->data_fork);
    maker_put(t, fork ? 40 : 216, 8, '>', list);
    maker_put(t, fork ? 48 : 224, 8, '>', d->list_length);
    maker_put(t, 56, 4, '>', 1);
    maker_put(t, 60, 4, '>', 1);
    memcpy(t + 64, segment_id, sizeof segment_id);
    maker_put(t, 80, 4, '>', CHECKSUM_CRC32);
    maker_put(t, 84, 4, '>', 32);
    maker_put(t, 88, 4, '>', d->data_crc);
    maker_put(t, 352, 4, '>', CHECKSUM_CRC32);
    maker_put(t, 356, 4, '>', 32);
    maker_put(t, 360, 4, '>', d->all_crc);
    maker_put(t, 488, 4, '>', 1); /* of a device */
    maker_put(t, 492, 8, '>', d->sectors);
    maker_fields(d->m, "", trailer_fields, t, NULL);
    maker_write(d->m, list + d->list_length, t, sizeof t);
}

void make_dmg(struct maker *m)
{
    struct dmg *d = must_alloc(sizeof *d);
    bool fork = maker_number(m, "rsrc", 0);
    uint8_t *table = must_alloc(TABLE_MAX);
    const char *value;
    uint64_t list;

    d->m = m;
    d->disk = must_alloc(DISK_MAX);
    d->list = must_alloc(LIST_MAX + 1);
    for (int position = 0; (value = maker_each(m, "chunk", &position));)
        parse_chunk(d, value);
    for (int position = 0; (value = maker_each(m, "guest", &position));)
        poke_guest(d, value);
    split_tables(d);
    d->data_fork = d->end = maker_number(m, "gap", 0);
    for (size_t i = 0; i < d->count; i++)
        write_chunk(d, &d->chunks[i]);
    if (fork)
        make_fork(d, table);
    else
        make_plist(d, table);
    list = d->end;
    maker_write(m, list, d->list, d->list_length);
    write_trailer(d, list, fork);
    free(table);
    free(d->disk);
    free(d->list);
    free(d);
}
