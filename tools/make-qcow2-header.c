// SPDX-License-Identifier: Apache-2.0
/*
 * The qcow2 maker's header: fields, extensions, the backing file's name, and the tables of bitmaps
 * and snapshots. Big endian; header extensions are filled up to multiples of 8 bytes.
 */
#include "make-qcow2.h"

#include <stdio.h>
#include <string.h>

#define EXTENSION_BACKING_FORMAT 0xe2792acau

enum {
    EXTENSION_BITMAPS = 0x23852875,
    EXTENSION_DATA_FILE = 0x44415441,
    INCOMPATIBLE_DATA_FILE = 1 << 2,
    INCOMPATIBLE_COMPRESSION = 1 << 3,
    INCOMPATIBLE_EXTENDED_L2 = 1 << 4,
    AUTOCLEAR_BITMAPS = 1 << 0,
    AUTOCLEAR_DATA_FILE_RAW = 1 << 1,
    NAME_BYTES = 4096,
};

static const struct maker_field header_fields[] = {
    {"magic", 0, 4, '>'},
    {"version", 4, 4, '>'},
    {"backing_file_offset", 8, 8, '>'},
    {"backing_file_size", 16, 4, '>'},
    {"cluster_bits", 20, 4, '>'},
    {"size", 24, 8, '>'},
    {"crypt_method", 32, 4, '>'},
    {"l1_size", 36, 4, '>'},
    {"l1_table_offset", 40, 8, '>'},
    {"refcount_table_offset", 48, 8, '>'},
    {"refcount_table_clusters", 56, 4, '>'},
    {"nb_snapshots", 60, 4, '>'},
    {"snapshots_offset", 64, 8, '>'},
    {"incompatible_features", 72, 8, '>'},
    {"compatible_features", 80, 8, '>'},
    {"autoclear_features", 88, 8, '>'},
    {"refcount_order", 96, 4, '>'},
    {"header_length", 100, 4, '>'},
    {"compression_type", 104, 1, '>'},
    {0},
};

static const struct maker_field bitmaps_fields[] = {
    {"nb_bitmaps", 0, 4, '>'},
    {"reserved", 4, 4, '>'},
    {"bitmap_directory_size", 8, 8, '>'},
    {"bitmap_directory_offset", 16, 8, '>'},
    {0},
};

static const struct maker_field entry_fields[] = {
    {"bitmap_table_offset", 0, 8, '>'},
    {"bitmap_table_size", 8, 4, '>'},
    {"flags", 12, 4, '>'},
    {"type", 16, 1, '>'},
    {"granularity_bits", 17, 1, '>'},
    {"name_size", 18, 2, '>'},
    {"extra_data_size", 20, 4, '>'},
    {0},
};

/* NAME with its %1b decoded; longer ones are cut. Returns its length. */
static size_t decode_name(const char *text, size_t text_length, uint8_t *name)
{
    size_t n = 0;

    for (size_t i = 0; i < text_length && n < NAME_BYTES; i++) {
        unsigned byte = (uint8_t)text[i];

        if (text[i] == '%' && sscanf(text + i + 1, "%2x", &byte) == 1)
            i += 2;
        name[n++] = (uint8_t)byte;
    }
    return n;
}

/* Appends a header extension, filled up to a multiple of 8 bytes. */
static void add_extension(struct qcow2 *q, uint64_t type, const void *bytes, size_t length)
{
    uint8_t *p = q->header + q->header_end;

    if (length > QCOW2_HEADER_ROOM - 8 - q->header_end)
        maker_die("no room for a header extension of %zu bytes", length);
    maker_put(p, 0, 4, '>', type);
    maker_put(p, 4, 4, '>', length);
    memcpy(p + 8, bytes, length);
    q->header_end += (uint32_t)(8 + qcow2_units(length, 8) * 8);
}

static void add_named_extension(struct qcow2 *q, uint64_t type, const char *key)
{
    const char *text = maker_string(q->m, key, NULL);
    uint8_t name[NAME_BYTES];

    if (text)
        add_extension(q, type, name, decode_name(text, strlen(text), name));
}

/* extension=TYPE:LENGTH[:HEX]: LENGTH need not be that of the bytes given. */
static void add_given_extension(struct qcow2 *q, const char *argument)
{
    uint8_t bytes[NAME_BYTES];
    const char *p = argument;
    uint64_t type = maker_parse(p, &p), length;
    uint32_t start = q->header_end;
    size_t n = 0;
    unsigned byte;

    if (*p != ':')
        maker_die("extension=%s: TYPE:LENGTH[:HEX] is wanted", argument);
    length = maker_parse(p + 1, &p);
    if (*p == ':')
        for (p++; n < sizeof bytes && sscanf(p, "%2x", &byte) == 1; p += 2)
            bytes[n++] = (uint8_t)byte;
    add_extension(q, type, bytes, n);
    maker_put(q->header, start + 4, 4, '>', length);
}

/* The directory entry of one bitmap, all of whose bits are clear. Returns its length. */
static size_t make_bitmap(struct qcow2 *q, const char *argument, uint8_t *entry)
{
    const char *p = strchr(argument, ':'), *end;
    uint64_t granularity_bits, table_entries, table_offset;
    uint8_t name[NAME_BYTES];
    size_t length;

    if (!p)
        maker_die("bitmap=%s: NAME:GRANULARITY_BITS:FLAGS is wanted", argument);
    length = decode_name(argument, (size_t)(p - argument), name);
    granularity_bits = maker_parse(p + 1, &end);
    table_entries = qcow2_units(qcow2_units(qcow2_units(q->size, 1ull << granularity_bits), 8),
                                q->cluster_size);
    table_offset = qcow2_allocate(q, qcow2_units(table_entries * 8, q->cluster_size));
    maker_put(entry, 0, 8, '>', table_offset);
    maker_put(entry, 8, 4, '>', table_entries);
    maker_put(entry, 12, 4, '>', *end == ':' ? maker_parse(end + 1, &end) : 0);
    entry[16] = 1; /* a dirty bitmap */
    entry[17] = (uint8_t)granularity_bits;
    maker_put(entry, 18, 2, '>', length);
    memcpy(entry + 24, name, length);
    maker_fields(q->m, "bitmap_entry", entry_fields, entry, NULL);
    return qcow2_units(24 + length, 8) * 8;
}

/* Returns whether there are any. */
static bool add_bitmaps(struct qcow2 *q)
{
    static uint8_t directory[1 << 20];
    uint8_t extension[24] = {0};
    size_t length = 0;
    unsigned count = 0;
    const char *argument;
    uint64_t offset;
    int position = 0;

    while ((argument = maker_each(q->m, "bitmap", &position))) {
        if (length + 2 * NAME_BYTES > sizeof directory)
            maker_die("too many bitmaps");
        length += make_bitmap(q, argument, directory + length);
        count++;
    }
    if (!count)
        return false;
    offset = qcow2_allocate(q, qcow2_units(length, q->cluster_size));
    maker_write(q->m, offset, directory, length);
    maker_put(extension, 0, 4, '>', count);
    maker_put(extension, 8, 8, '>', length);
    maker_put(extension, 16, 8, '>', offset);
    maker_fields(q->m, "bitmaps", bitmaps_fields, extension, NULL);
    add_extension(q, EXTENSION_BITMAPS, extension, sizeof extension);
    return true;
}

/* A table of snapshots, each with an L1 table of its own that is all zeros. */
static void add_snapshots(struct qcow2 *q)
{
    static uint8_t table[1 << 16];
    const char *argument;
    int position = 0;
    size_t length = 0;
    unsigned count = 0;
    uint64_t offset;

    while ((argument = maker_each(q->m, "snapshot", &position))) {
        const char *name = strchr(argument, ':');
        uint8_t *p = table + length;
        size_t id_length, name_length;

        if (!name || length + 2 * NAME_BYTES > sizeof table)
            maker_die("snapshot=%s: ID:NAME is wanted, and not too many", argument);
        id_length = (size_t)(name++ - argument);
        maker_put(p, 0, 8, '>', qcow2_allocate(q, qcow2_units(q->l1_size * 8, q->cluster_size)));
        maker_put(p, 8, 4, '>', q->l1_size);
        maker_put(p, 12, 2, '>', id_length);
        maker_put(p, 16, 4, '>', 1700000000); /* date */
        maker_put(p, 36, 4, '>', 16);         /* extra data: VM state size, disk size */
        maker_put(p, 48, 8, '>', q->size);
        memcpy(p + 56, argument, id_length);
        name_length = decode_name(name, strlen(name), p + 56 + id_length);
        maker_put(p, 14, 2, '>', name_length);
        length += qcow2_units(56 + id_length + name_length, 8) * 8;
        count++;
    }
    if (!count)
        return;
    offset = qcow2_allocate(q, qcow2_units(length, q->cluster_size));
    maker_write(q->m, offset, table, length);
    maker_put(q->header, 60, 4, '>', count);
    maker_put(q->header, 64, 8, '>', offset);
}

/* The name behind the header extensions, whose end is 8 bytes of zeros. */
static void add_backing(struct qcow2 *q)
{
    const char *text = maker_string(q->m, "backing", NULL);
    uint8_t name[NAME_BYTES];
    uint64_t length;

    q->header_end += 8;
    if (!text)
        return;
    memset(name, 'x', sizeof name);
    length = decode_name(text, strlen(text), name);
    length = maker_number(q->m, "backing_length", length);
    if (length > sizeof name || length > QCOW2_HEADER_ROOM - q->header_end)
        maker_die("the backing file's name is too long");
    memcpy(q->header + q->header_end, name, (size_t)length);
    maker_put(q->header, 8, 8, '>', q->header_end);
    maker_put(q->header, 16, 4, '>', length);
    q->header_end += (uint32_t)length;
}

static void add_extensions(struct qcow2 *q, uint64_t *autoclear)
{
    const char *argument;
    int position = 0;

    add_named_extension(q, EXTENSION_BACKING_FORMAT, "backing_format");
    add_named_extension(q, EXTENSION_DATA_FILE, "data_file");
    if (add_bitmaps(q))
        *autoclear |= AUTOCLEAR_BITMAPS;
    while ((argument = maker_each(q->m, "extension", &position)))
        add_given_extension(q, argument);
}

void qcow2_write_header(struct qcow2 *q)
{
    uint8_t *h = q->header;
    uint64_t autoclear = 0;

    memcpy(h, "QFI\xfb", 4);
    maker_put(h, 4, 4, '>', q->version);
    maker_put(h, 20, 4, '>', maker_number(q->m, "cluster_bits", 16));
    maker_put(h, 24, 8, '>', q->size);
    maker_put(h, 36, 4, '>', q->l1_size);
    maker_put(h, 40, 8, '>', q->l1_offset);
    maker_put(h, 48, 8, '>', q->refcount_table);
    maker_put(h, 56, 4, '>', 1);
    q->header_end = (uint32_t)q->header_length;
    add_snapshots(q);
    add_extensions(q, &autoclear);
    add_backing(q);
    if (q->version >= 3) {
        if (maker_number(q->m, "data_file_raw", 0))
            autoclear |= AUTOCLEAR_DATA_FILE_RAW;
        maker_put(h, 72, 8, '>',
                  (q->data_file ? INCOMPATIBLE_DATA_FILE : 0u) |
                      (q->compression_type ? INCOMPATIBLE_COMPRESSION : 0u) |
                      (q->extended_l2 ? INCOMPATIBLE_EXTENDED_L2 : 0u));
        maker_put(h, 88, 8, '>', autoclear);
        maker_put(h, 96, 4, '>', q->refcount_order);
        maker_put(h, 100, 4, '>', q->header_length);
        h[104] = (uint8_t)q->compression_type;
    }
    maker_fields(q->m, "header", header_fields, h, NULL);
    maker_write(q->m, 0, h, q->header_end);
}
