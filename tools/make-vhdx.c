// SPDX-License-Identifier: Apache-2.0
/*
 * VHDX images (MS-VHDX; little endian). Layout: identifier, headers, region tables, log at 1 MiB,
 * BAT at 2 MiB, metadata behind it, then payload blocks in the order in which they are named.
 *
 * The disk: size, block_size, sector, physical, kind=dynamic|fixed|differencing, sequence
 * Blocks: data=N,N,... block=N:STATE[:MIB] bitmap=CHUNK:STATE[:MIB] all=STATE
 * sectors=BLOCK:FIRST:COUNT sets bits of a sector bitmap that is present.
 * Parent: locator=KEY:VALUE (ASCII). data_write_guid=GUID. Log: log=empty|dirty|torn|foreign
 * log_entry_at=OFFSET Tables: omit=ITEM twice=ITEM item=GUID:OFFSET:LENGTH:FLAGS
 * region=GUID:OFFSET:LENGTH:REQUIRED, where GUID is its first 8 bytes. Fields: ident.F header1.F
 * header2.F region.F region2.F region.bat.F region.metadata.F region.more.F metadata.F
 * metadata.ITEM.F ITEM.F locator_entry.F log_entry.F with the F and ITEM of the tables below.
 */
#include <string.h>

#include "formats/crc32c.h"
#include "maker.h"

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    HEADER1_AT = 64 * KIB,
    HEADER_BYTES = 4 * KIB,
    REGIONS_AT = 192 * KIB,
    TABLE_BYTES = 64 * KIB, /* region tables, metadata table */
    LOG_AT = MIB,
    LOG_BYTES = MIB,
    LOG_ENTRY_BYTES = 4 * KIB,
    BAT_AT = 2 * MIB,
    ENTRY_BYTES = 32,
    LOCATOR_BYTES = 16 * KIB,
    ITEMS = 6,
};

enum { STATE_PRESENT = 6, STATE_PARTIAL = 7 };

struct vhdx {
    struct maker *m;
    uint64_t size, block_size, ratio, blocks;
    uint64_t bat_bytes, metadata_at, next; /* next: where the next payload block goes */
};

static const uint8_t file_guid[16] = "mount.instar fil", data_guid[16] = "mount.instar dat";
static const uint8_t log_guid[16] = "mount.instar log", disk_guid[16] = "mount.instar dsk";
static const uint8_t bat_guid[16] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
                                     0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};
static const uint8_t metadata_guid[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                          0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const uint8_t locator_guid[16] = {0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a,
                                         0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13};

static const struct maker_field ident_fields[] = {{"signature", 0, 8, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field header_fields[] = {
    {"signature", 0, 4, '<'},   {"checksum", 4, 4, '<'},     {"sequence", 8, 8, '<'},
    {"file_guid", 16, 8, '<'},  {"data_guid", 32, 8, '<'},   {"log_guid", 48, 8, '<'},
    {"log_guid2", 56, 8, '<'},  {"log_version", 64, 2, '<'}, {"version", 66, 2, '<'},
    {"log_length", 68, 4, '<'}, {"log_offset", 72, 8, '<'},  {NULL, 0, 0, 0},
};
static const struct maker_field region_fields[] = {
    {"signature", 0, 4, '<'}, {"checksum", 4, 4, '<'}, {"count", 8, 4, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field region_entry_fields[] = {
    {"guid", 0, 8, '<'},    {"guid2", 8, 8, '<'},     {"offset", 16, 8, '<'},
    {"length", 24, 4, '<'}, {"required", 28, 4, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field metadata_fields[] = {
    {"signature", 0, 8, '<'}, {"count", 10, 2, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field metadata_entry_fields[] = {
    {"guid", 0, 8, '<'},    {"guid2", 8, 8, '<'},  {"offset", 16, 4, '<'},
    {"length", 20, 4, '<'}, {"flags", 24, 4, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field file_parameters_fields[] = {
    {"block_size", 0, 4, '<'}, {"flags", 4, 4, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field size_fields[] = {{"value", 0, 8, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field sector_fields[] = {{"value", 0, 4, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field guid_fields[] = {
    {"guid", 0, 8, '<'}, {"guid2", 8, 8, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field locator_fields[] = {
    {"guid", 0, 8, '<'}, {"guid2", 8, 8, '<'}, {"count", 18, 2, '<'}, {NULL, 0, 0, 0}};
static const struct maker_field locator_entry_fields[] = {{"key_offset", 0, 4, '<'},
                                                          {"value_offset", 4, 4, '<'},
                                                          {"key_length", 8, 2, '<'},
                                                          {"value_length", 10, 2, '<'},
                                                          {NULL, 0, 0, 0}};
static const struct maker_field log_entry_fields[] = {
    {"signature", 0, 4, '<'}, {"checksum", 4, 4, '<'},  {"length", 8, 4, '<'},
    {"tail", 12, 4, '<'},     {"sequence", 16, 8, '<'}, {"count", 24, 4, '<'},
    {"guid", 32, 8, '<'},     {"guid2", 40, 8, '<'},    {NULL, 0, 0, 0}};

/* The known metadata items. flags: 2 = of the virtual disk, 4 = required. */
static const struct {
    const char *name;
    uint8_t guid[16];
    uint32_t length, flags;
    const struct maker_field *fields;
} items[ITEMS] = {
    {"file_parameters",
     {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7,
      0x6b},
     8,
     4,
     file_parameters_fields},
    {"virtual_disk_size",
     {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4,
      0xb8},
     8,
     6,
     size_fields},
    {"virtual_disk_id",
     {0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7,
      0x46},
     16,
     6,
     guid_fields},
    {"logical_sector_size",
     {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab,
      0x5f},
     4,
     6,
     sector_fields},
    {"physical_sector_size",
     {0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5,
      0x56},
     4,
     6,
     sector_fields},
    {"parent_locator",
     {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab,
      0x0c},
     0,
     4,
     locator_fields},
};

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static bool is_kind(struct maker *m, const char *kind)
{
    return strcmp(maker_string(m, "kind", "dynamic"), kind) == 0;
}

/* Stores the checksum of bytes in them unless one was given. */
static void put_checksum(uint8_t *bytes, size_t length, bool given)
{
    if (given)
        return;
    memset(bytes + 4, 0, 4);
    maker_put(bytes, 4, 4, '<', crc32c(0, bytes, length));
}

/* Reads the next number of a list; *text moves behind the separator. */
static uint64_t next_number(const char **text, char separator)
{
    const char *end;
    uint64_t value = maker_parse(*text, &end);

    if (*end && *end != separator)
        maker_die("'%s': '%c' is wanted between numbers", *text, separator);
    *text = *end ? end + 1 : end;
    return value;
}

/* GUID:A:B:C, the values of an entry of the region or metadata table. */
static void put_entry(uint8_t *entry, const char *text, uint8_t first_width)
{
    maker_put(entry, 0, 8, '<', next_number(&text, ':'));
    maker_put(entry, 16, first_width, '<', next_number(&text, ':'));
    maker_put(entry, 16u + first_width, 4, '<', next_number(&text, ':'));
    maker_put(entry, 20u + first_width, 4, '<', next_number(&text, ':'));
}

static void write_ident(struct vhdx *v)
{
    static const char creator[] = "mount.instar";
    uint8_t ident[512] = "vhdxfile";

    for (uint32_t i = 0; creator[i]; i++)
        ident[8 + 2 * i] = (uint8_t)creator[i];
    maker_fields(v->m, "ident", ident_fields, ident, NULL);
    maker_write(v->m, 0, ident, sizeof ident);
}

static void write_header(struct vhdx *v, int number)
{
    uint8_t header[HEADER_BYTES] = "head";
    bool given;

    maker_put(header, 8, 8, '<', maker_number(v->m, "sequence", 7) + (uint64_t)number);
    memcpy(header + 16, file_guid, 16);
    memcpy(header + 32, data_guid, 16);
    maker_uuid(v->m, "data_write_guid", '<', header + 32);
    if (maker_string(v->m, "log", NULL))
        memcpy(header + 48, log_guid, 16);
    maker_put(header, 66, 2, '<', 1);
    maker_put(header, 68, 4, '<', LOG_BYTES);
    maker_put(header, 72, 8, '<', LOG_AT);
    given = maker_fields(v->m, number ? "header2" : "header1", header_fields, header, "checksum");
    put_checksum(header, sizeof header, given);
    maker_write(v->m, (uint64_t)HEADER1_AT * (unsigned)(number + 1), header, sizeof header);
}

static void write_regions(struct vhdx *v)
{
    static uint8_t table[TABLE_BYTES];
    uint32_t count = 2;
    int position = 0;
    const char *more;
    bool given;

    memcpy(table, "regi", 4);
    memcpy(table + 16, bat_guid, 16);
    maker_put(table, 32, 8, '<', BAT_AT);
    maker_put(table, 40, 4, '<', v->bat_bytes);
    maker_put(table, 44, 4, '<', 1);
    memcpy(table + 48, metadata_guid, 16);
    maker_put(table, 64, 8, '<', v->metadata_at);
    maker_put(table, 72, 4, '<', MIB);
    maker_put(table, 76, 4, '<', 1);
    while ((more = maker_each(v->m, "region", &position)))
        put_entry(table + 16 + ENTRY_BYTES * count++, more, 8);
    maker_put(table, 8, 4, '<', count);
    maker_fields(v->m, "region.bat", region_entry_fields, table + 16, NULL);
    maker_fields(v->m, "region.metadata", region_entry_fields, table + 48, NULL);
    maker_fields(v->m, "region.more", region_entry_fields, table + 80, NULL);
    given = maker_fields(v->m, "region", region_fields, table, "checksum");
    put_checksum(table, sizeof table, given);
    maker_write(v->m, REGIONS_AT, table, sizeof table);
    given = maker_fields(v->m, "region2", region_fields, table, "checksum");
    put_checksum(table, sizeof table, given);
    maker_write(v->m, REGIONS_AT + TABLE_BYTES, table, sizeof table);
}

/* A text of a locator as UTF-16 at *at. Returns its bytes. */
static uint32_t put_utf16(uint8_t *locator, uint32_t *at, const char *text, size_t length)
{
    if (*at + 2 * length > LOCATOR_BYTES)
        maker_die("the parent locator is longer than %d bytes", LOCATOR_BYTES);
    for (size_t i = 0; i < length; i++)
        maker_put(locator, *at + 2 * (uint32_t)i, 2, '<', (uint8_t)text[i]);
    *at += 2 * (uint32_t)length;
    return 2 * (uint32_t)length;
}

/* The parent locator. Returns its bytes. */
static uint32_t lay_locator(struct vhdx *v, uint8_t *locator)
{
    uint32_t count = 0, at = 20 + 12 * 64;
    int position = 0;
    const char *text;

    memcpy(locator, locator_guid, 16);
    while ((text = maker_each(v->m, "locator", &position))) {
        const char *value = strchr(text, ':');
        uint8_t *entry = locator + 20 + 12 * count++;

        if (!value || count > 64)
            maker_die("locator=%s: KEY:VALUE is wanted, at most 64 times", text);
        maker_put(entry, 0, 4, '<', at);
        maker_put(entry, 8, 2, '<', put_utf16(locator, &at, text, (size_t)(value - text)));
        maker_put(entry, 4, 4, '<', at);
        maker_put(entry, 10, 2, '<', put_utf16(locator, &at, value + 1, strlen(value + 1)));
    }
    maker_put(locator, 18, 2, '<', count);
    maker_fields(v->m, "locator_entry", locator_entry_fields, locator + 20, NULL);
    return at;
}

/* The bytes of item number i. Returns how many. */
static uint32_t lay_item(struct vhdx *v, int i, uint8_t *item)
{
    uint32_t length = items[i].length;

    switch (i) {
    case 0:
        maker_put(item, 0, 4, '<', v->block_size);
        maker_put(item, 4, 4, '<',
                  is_kind(v->m, "fixed")          ? 1
                  : is_kind(v->m, "differencing") ? 2
                                                  : 0);
        break;
    case 1:
        maker_put(item, 0, 8, '<', v->size);
        break;
    case 2:
        memcpy(item, disk_guid, 16);
        break;
    case 3:
        maker_put(item, 0, 4, '<', maker_number(v->m, "sector", 512));
        break;
    case 4:
        maker_put(item, 0, 4, '<', maker_number(v->m, "physical", 4096));
        break;
    default:
        length = lay_locator(v, item);
    }
    maker_fields(v->m, items[i].name, items[i].fields, item, NULL);
    return length;
}

static bool is_omitted(struct vhdx *v, int i)
{
    int position = 0;
    const char *name;

    while ((name = maker_each(v->m, "omit", &position)))
        if (strcmp(name, items[i].name) == 0)
            return true;
    return false;
}

static bool has_locator(struct vhdx *v)
{
    return is_kind(v->m, "differencing") || maker_string(v->m, "locator", NULL);
}

static void write_metadata(struct vhdx *v)
{
    static uint8_t table[TABLE_BYTES], item[LOCATOR_BYTES];
    uint32_t count = 0, at = TABLE_BYTES;
    int position = 0;
    const char *more;

    memcpy(table, "metadata", 8);
    for (int i = 0; i < ITEMS; i++) {
        char prefix[64] = "metadata.";
        uint8_t *entry = table + ENTRY_BYTES * (count + 1);
        uint32_t length;

        if (i == ITEMS - 1 && !has_locator(v))
            continue;
        memset(item, 0, sizeof item);
        length = lay_item(v, i, item);
        if (is_omitted(v, i))
            continue;
        memcpy(entry, items[i].guid, 16);
        maker_put(entry, 16, 4, '<', at);
        maker_put(entry, 20, 4, '<', length);
        maker_put(entry, 24, 4, '<', items[i].flags);
        maker_fields(v->m, strcat(prefix, items[i].name), metadata_entry_fields, entry, NULL);
        maker_write(v->m, v->metadata_at + at, item, length);
        at += (uint32_t)round_up(length, 8);
        count++;
        if (strcmp(maker_string(v->m, "twice", ""), items[i].name) == 0) {
            memcpy(entry + ENTRY_BYTES, entry, ENTRY_BYTES);
            count++;
        }
    }
    while ((more = maker_each(v->m, "item", &position)))
        put_entry(table + ENTRY_BYTES * ++count, more, 4);
    maker_put(table, 10, 2, '<', count);
    maker_fields(v->m, "metadata", metadata_fields, table, NULL);
    maker_write(v->m, v->metadata_at, table, sizeof table);
}

/* One entry of a log: of no descriptors, which is complete. */
static void write_log(struct vhdx *v)
{
    const char *kind = maker_string(v->m, "log", "empty");
    uint8_t entry[LOG_ENTRY_BYTES] = "loge";
    bool given;

    maker_put(entry, 8, 4, '<', sizeof entry);
    maker_put(entry, 16, 8, '<', 1);
    memcpy(entry + 32, strcmp(kind, "foreign") == 0 ? disk_guid : log_guid, 16);
    maker_put(entry, 48, 8, '<', v->metadata_at + MIB);
    maker_put(entry, 56, 8, '<', v->metadata_at + MIB);
    given = maker_fields(v->m, "log_entry", log_entry_fields, entry, "checksum");
    put_checksum(entry, sizeof entry, given);
    if (strcmp(kind, "torn") == 0)
        entry[4] ^= 1;
    if (strcmp(kind, "empty") != 0)
        maker_write(v->m, LOG_AT + maker_number(v->m, "log_entry_at", 0), entry, sizeof entry);
}

/* Writes an entry of the BAT: STATE[:MIB]; present blocks without MIB get the next place in the
 * file. Returns where that is. */
static uint64_t write_state(struct vhdx *v, uint64_t entry, const char *text)
{
    uint64_t state = next_number(&text, ':'), at = 0;
    uint8_t bytes[8];

    if (*text) {
        at = next_number(&text, ':') * MIB;
    } else if (state == STATE_PRESENT || state == STATE_PARTIAL) {
        at = v->next;
        v->next += v->block_size;
    }
    maker_put(bytes, 0, 8, '<', state | at);
    maker_write(v->m, BAT_AT + 8 * entry, bytes, sizeof bytes);
    return at;
}

/* Sets the bits of the bitmap of a chunk, at that offset, that sectors=BLOCK:FIRST:COUNT names. */
static void write_sectors(struct vhdx *v, uint64_t chunk, uint64_t at)
{
    uint64_t block_sectors = v->block_size / maker_number(v->m, "sector", 512);
    static uint8_t bits[MIB];
    uint64_t end = 0;
    const char *text;
    int position = 0;

    memset(bits, 0, sizeof bits);
    while (at && (text = maker_each(v->m, "sectors", &position))) {
        uint64_t block = next_number(&text, ':'), first = next_number(&text, ':');
        uint64_t count = next_number(&text, ':');

        if (first + count > block_sectors)
            maker_die("sectors=BLOCK:FIRST:COUNT is wanted, in the block");
        first += block % v->ratio * block_sectors;
        for (uint64_t i = first; block / v->ratio == chunk && i < first + count; i++) {
            bits[i / 8] = (uint8_t)(bits[i / 8] | 1 << i % 8);
            end = i / 8 + 1 > end ? i / 8 + 1 : end;
        }
    }
    maker_write(v->m, at, bits, (size_t)end);
}

static void write_bat(struct vhdx *v)
{
    const char *all = maker_string(v->m, "all", is_kind(v->m, "fixed") ? "6" : NULL);
    const char *text;
    int position = 0;

    for (uint64_t i = 0; all && i < v->blocks; i++)
        write_state(v, i + i / v->ratio, all);
    text = maker_string(v->m, "data", "");
    while (*text) {
        uint64_t i = next_number(&text, ',');

        write_state(v, i + i / v->ratio, "6");
    }
    while ((text = maker_each(v->m, "block", &position))) {
        uint64_t i = next_number(&text, ':');

        write_state(v, i + i / v->ratio, text);
    }
    position = 0;
    while ((text = maker_each(v->m, "bitmap", &position))) {
        uint64_t i = next_number(&text, ':');

        write_sectors(v, i, write_state(v, i * (v->ratio + 1) + v->ratio, text));
    }
}

void make_vhdx(struct maker *m)
{
    struct vhdx v = {.m = m};
    uint64_t chunk_bytes = maker_number(m, "sector", 512) << 23, entries;

    v.size = maker_number(m, "size", 16 * MIB);
    v.block_size = maker_number(m, "block_size", MIB);
    if (!v.block_size || v.block_size > chunk_bytes)
        maker_die(
            "no layout for block_size=0 or more than a chunk: see file_parameters.block_size");
    v.ratio = chunk_bytes / v.block_size;
    v.blocks = round_up(v.size, v.block_size) / v.block_size;
    entries = v.blocks + (v.blocks ? (v.blocks - 1) / v.ratio : 0);
    if (is_kind(m, "differencing"))
        entries = round_up(v.blocks, v.ratio) / v.ratio * (v.ratio + 1);
    v.bat_bytes = entries ? round_up(8 * entries, MIB) : MIB;
    v.metadata_at = BAT_AT + v.bat_bytes;
    v.next = v.metadata_at + MIB;
    write_ident(&v);
    write_header(&v, 0);
    write_header(&v, 1);
    write_regions(&v);
    write_log(&v);
    write_metadata(&v);
    write_bat(&v);
    maker_extend(m, v.next);
}
