// SPDX-License-Identifier: Apache-2.0
/*
 * VMDK images: hosted sparse extents ("Virtual Disk Format 5.0", little endian), with tables in
 * front or, as streams may have it, behind the grains with a footer; and descriptor files.
 * make-vmdk-extents.c has COWD and seSparse extents.
 *
 *     kind=sparse|stream|stream-footer|descriptor|cowd|sesparse
 *     size=BYTES grain=BYTES gtes=ENTRIES    of the layout
 *     grains=LIST zeroed=LIST    0,5,9-12,20-30/2 or all: grains with data, zeroed grains
 *     order=scrambled    neighbouring grains change places in the file
 *     data=no    grains are left as holes of the file
 *     rgd=no    no redundant grain directory
 *     gte=INDEX:VALUE gd=INDEX:VALUE    entries (sectors) as given, any number of them
 *     cid= parent_cid= create_type= parent= extent=LINE line=LINE eol=crlf    of the descriptor
 *     text=...    the whole descriptor; \n \r \t \\ \" \xHH are understood
 *     FIELD= footer.FIELD= footer_marker.FIELD= end_marker.FIELD=    header fields by their names
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "make-stream.h"
#include "make-vmdk.h"

enum {
    SECTOR = 512,
    DESCRIPTOR_SECTORS = 20,
    MARKER_BYTES = 12, /* in front of a compressed grain */
    FLAG_NEWLINE = 1,
    FLAG_RGD = 2,
    FLAG_ZEROED_GRAIN = 4,
    FLAG_COMPRESSED = 1 << 16,
    FLAG_MARKERS = 1 << 17,
};

static const struct maker_field header_fields[] = {
    {"magicNumber", 0, 4, '<'},
    {"version", 4, 4, '<'},
    {"flags", 8, 4, '<'},
    {"capacity", 12, 8, '<'},
    {"grainSize", 20, 8, '<'},
    {"descriptorOffset", 28, 8, '<'},
    {"descriptorSize", 36, 8, '<'},
    {"numGTEsPerGT", 44, 4, '<'},
    {"rgdOffset", 48, 8, '<'},
    {"gdOffset", 56, 8, '<'},
    {"overHead", 64, 8, '<'},
    {"uncleanShutdown", 72, 1, '<'},
    {"singleEndLineChar", 73, 1, '<'},
    {"nonEndLineChar", 74, 1, '<'},
    {"doubleEndLineChar1", 75, 1, '<'},
    {"doubleEndLineChar2", 76, 1, '<'},
    {"compressAlgorithm", 77, 2, '<'},
    {NULL, 0, 0, 0},
};

static const struct maker_field marker_fields[] = {
    {"val", 0, 8, '<'}, {"size", 8, 4, '<'}, {"type", 12, 4, '<'}, {NULL, 0, 0, 0}};

struct layout {
    bool compressed, redundant, zeroed;
    uint64_t capacity_sectors, grain_sectors, gtes, grains, tables;
    uint64_t gd_sectors, gt_sectors; /* of the directory, of one table */
    uint64_t gd, rgd;                /* where the directories stand, in sectors */
    uint64_t next;                   /* the first free sector */
    uint8_t *state;                  /* of each grain */
    uint8_t *directory, *tables_bytes;
};

void *vmdk_memory(uint64_t size)
{
    void *memory = calloc(1, size ? (size_t)size : 1);

    if (!memory)
        maker_die("no memory for %llu bytes", (unsigned long long)size);
    return memory;
}

static uint64_t sectors(uint64_t bytes)
{
    return (bytes + SECTOR - 1) / SECTOR;
}

static void add(struct text *text, const char *bytes, size_t length)
{
    text->bytes = realloc(text->bytes, text->length + length + 1);
    if (!text->bytes)
        maker_die("no memory for a descriptor");
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void __attribute__((format(printf, 3, 4)))
add_line(struct text *text, const char *eol, const char *format, ...)
{
    char line[1024];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof line)
        maker_die("a descriptor line is longer than %zu bytes", sizeof line);
    add(text, line, (size_t)length);
    add(text, eol, strlen(eol));
}

/* The bytes that text=... stands for. */
static void add_escaped(struct text *text, const char *p)
{
    static const char names[] = "nrt\\\"", bytes[] = "\n\r\t\\\"";

    for (; *p; p++) {
        const char *name = *p == '\\' && p[1] ? strchr(names, p[1]) : NULL;

        if (name) {
            add(text, bytes + (name - names), 1);
            p++;
        } else if (p[0] == '\\' && p[1] == 'x' && p[2] && p[3]) {
            char digits[3] = {p[2], p[3], 0}, byte = (char)strtoul(digits, NULL, 16);

            add(text, &byte, 1);
            p += 3;
        } else {
            add(text, p, 1);
        }
    }
}

struct text vmdk_text(struct maker *m, const char *otherwise, const char *extent)
{
    const char *eol = strcmp(maker_string(m, "eol", "lf"), "crlf") == 0 ? "\r\n" : "\n";
    const char *whole = maker_string(m, "text", NULL), *line, *parent;
    struct text text = {NULL, 0};
    int position = 0, extents = 0;

    if (whole) {
        add(&text, "", 0);
        add_escaped(&text, whole);
        return text;
    }
    add_line(&text, eol, "# Disk DescriptorFile");
    add_line(&text, eol, "version=1");
    add_line(&text, eol, "CID=%s", maker_string(m, "cid", "12345678"));
    add_line(&text, eol, "parentCID=%s", maker_string(m, "parent_cid", "ffffffff"));
    add_line(&text, eol, "createType=\"%s\"", maker_string(m, "create_type", otherwise));
    parent = maker_string(m, "parent", NULL);
    if (parent)
        add_line(&text, eol, "parentFileNameHint=\"%s\"", parent);
    add_line(&text, eol, "# Extent description");
    while ((line = maker_each(m, "extent", &extents)))
        add_line(&text, eol, "%s", line);
    if (!extents && extent)
        add_line(&text, eol, "%s", extent);
    while ((line = maker_each(m, "line", &position)))
        add_line(&text, eol, "%s", line);
    add_line(&text, eol, "# The Disk Data Base");
    add_line(&text, eol, "#DDB");
    add_line(&text, eol, "ddb.virtualHWVersion = \"4\"");
    add_line(&text, eol, "ddb.adapterType = \"ide\"");
    return text;
}

void vmdk_mark(uint8_t *states, uint64_t grains, const char *list, enum state state)
{
    if (strcmp(list, "all") == 0) {
        memset(states, state, (size_t)grains);
        return;
    }
    while (*list) {
        uint64_t first = maker_parse(list, &list), last = first, step = 1;

        if (*list == '-')
            last = maker_parse(list + 1, &list);
        if (*list == '/')
            step = maker_parse(list + 1, &list);
        if (*list == ',')
            list++;
        else if (*list)
            maker_die("'%s' is not part of a list of grains", list);
        if (last >= grains || !step)
            maker_die("there are only grains 0 to %llu", (unsigned long long)grains - 1);
        for (uint64_t i = first; i <= last; i += step)
            states[i] = (uint8_t)state;
    }
}

/* A zlib stream (RFC 1950) of length times the same byte. Returns its bytes. */
static size_t zlib_run(uint8_t *out, uint64_t length, uint8_t byte)
{
    uint64_t low = 1, high = 0;
    size_t end;

    out[0] = 0x78;
    out[1] = 0x01;
    end = 2 + stream_deflate(out + 2, length, byte);
    for (uint64_t i = 0; i < length; i++) {
        low = (low + byte) % 65521;
        high = (high + low) % 65521;
    }
    maker_put(out, (uint32_t)end, 4, '>', high << 16 | low);
    return end + 4;
}

/* Writes one allocated grain at the next free place; returns its sector. */
static uint64_t write_grain(struct maker *m, struct layout *l, uint64_t index, bool data)
{
    uint64_t at = l->next, bytes = l->grain_sectors * SECTOR;
    uint8_t byte = (uint8_t)('A' + index % 26);
    uint8_t *buffer;
    size_t length;

    if (!l->compressed) {
        l->next += l->grain_sectors;
        if (!data)
            return at;
    }
    buffer = vmdk_memory(bytes + STREAM_BYTES(bytes) + SECTOR);
    if (l->compressed) {
        length = zlib_run(buffer + MARKER_BYTES, bytes, byte);
        maker_put(buffer, 0, 8, '<', index * l->grain_sectors);
        maker_put(buffer, 8, 4, '<', length);
        length = (size_t)sectors(MARKER_BYTES + length) * SECTOR;
        l->next += length / SECTOR;
    } else {
        length = (size_t)bytes;
        memset(buffer, byte, length);
    }
    maker_write(m, at * SECTOR, buffer, length);
    free(buffer);
    return at;
}

static void put_gte(struct layout *l, uint64_t index, uint64_t value)
{
    uint64_t table = index / l->gtes, entry = index % l->gtes;

    maker_put(l->tables_bytes + table * l->gt_sectors * SECTOR, (uint32_t)(4 * entry), 4, '<',
              value);
}

/* Writes the grains [first, end) and fills in their grain table entries. */
static void write_grains(struct maker *m, struct layout *l, uint64_t first, uint64_t end)
{
    bool data = strcmp(maker_string(m, "data", "yes"), "no") != 0;
    bool scrambled = strcmp(maker_string(m, "order", "ascending"), "scrambled") == 0;

    for (uint64_t i = first; i < end; i++) {
        uint64_t index = i;

        if (scrambled && (i ^ 1) < l->grains && l->state[i] == l->state[i ^ 1])
            index = i ^ 1;
        if (l->state[index] == ZEROED)
            put_gte(l, index, 1);
        else if (l->state[index] == ALLOCATED)
            put_gte(l, index, write_grain(m, l, index, data));
    }
}

/* Overwrites entries of a table for each KEY=INDEX:VALUE. */
static void override(struct maker *m, struct layout *l, const char *key)
{
    const char *value, *end;
    int position = 0;

    while ((value = maker_each(m, key, &position))) {
        uint64_t index = maker_parse(value, &end), entry;

        if (*end != ':')
            maker_die("%s=%s: INDEX:VALUE is wanted", key, value);
        entry = maker_parse(end + 1, &end);
        if (strcmp(key, "gd") == 0 && index < l->gd_sectors * SECTOR / 4)
            maker_put(l->directory, (uint32_t)(4 * index), 4, '<', entry);
        else if (strcmp(key, "gte") == 0 && index < l->tables * l->gtes)
            put_gte(l, index, entry);
        else
            maker_die("%s=%s: there is no such entry", key, value);
    }
}

/* Writes a marker sector; value and type as in the specification, prefix: of its settable fields.
 */
static void write_marker(struct maker *m, struct layout *l, const char *prefix, uint64_t value,
                         uint64_t type)
{
    uint8_t sector[SECTOR] = {0};

    maker_put(sector, 0, 8, '<', value);
    maker_put(sector, 12, 4, '<', type);
    if (prefix)
        maker_fields(m, prefix, marker_fields, sector, NULL);
    maker_write(m, l->next++ * SECTOR, sector, sizeof sector);
}

static void fill_directory(struct layout *l, uint64_t first_table)
{
    for (uint64_t i = 0; i < l->tables; i++)
        maker_put(l->directory, (uint32_t)(4 * i), 4, '<', first_table + i * l->gt_sectors);
}

/* Tables in front of the grains: redundant ones, then those in use. */
static void write_front(struct maker *m, struct layout *l)
{
    uint64_t table_sectors = l->tables * l->gt_sectors;

    if (l->redundant) {
        l->rgd = l->next;
        l->next += l->gd_sectors + table_sectors;
    }
    l->gd = l->next;
    l->next += l->gd_sectors + table_sectors;
    l->next = (l->next + l->grain_sectors - 1) / l->grain_sectors * l->grain_sectors;
    write_grains(m, l, 0, l->grains);
    override(m, l, "gte");
    if (l->redundant) {
        fill_directory(l, l->rgd + l->gd_sectors);
        maker_write(m, l->rgd * SECTOR, l->directory, (size_t)l->gd_sectors * SECTOR);
        maker_write(m, (l->rgd + l->gd_sectors) * SECTOR, l->tables_bytes,
                    (size_t)table_sectors * SECTOR);
    }
    fill_directory(l, l->gd + l->gd_sectors);
    override(m, l, "gd");
    maker_write(m, l->gd * SECTOR, l->directory, (size_t)l->gd_sectors * SECTOR);
    maker_write(m, (l->gd + l->gd_sectors) * SECTOR, l->tables_bytes,
                (size_t)table_sectors * SECTOR);
}

/* Tables behind the grains: each table behind its own, each with a marker, then the directory. */
static void write_behind(struct maker *m, struct layout *l)
{
    for (uint64_t t = 0; t < l->tables; t++) {
        uint64_t first = t * l->gtes, end = first + l->gtes;
        uint8_t *table = l->tables_bytes + t * l->gt_sectors * SECTOR;
        bool used = false;

        end = end < l->grains ? end : l->grains;
        write_grains(m, l, first, end);
        override(m, l, "gte");
        for (uint64_t i = 0; i < l->gt_sectors * SECTOR; i++)
            used |= table[i] != 0;
        if (!used)
            continue;
        write_marker(m, l, NULL, l->gt_sectors, 1);
        maker_put(l->directory, (uint32_t)(4 * t), 4, '<', l->next);
        maker_write(m, l->next * SECTOR, table, (size_t)l->gt_sectors * SECTOR);
        l->next += l->gt_sectors;
    }
    override(m, l, "gd");
    write_marker(m, l, NULL, l->gd_sectors, 2);
    l->gd = l->next;
    maker_write(m, l->gd * SECTOR, l->directory, (size_t)l->gd_sectors * SECTOR);
    l->next += l->gd_sectors;
}

static void fill_header(const struct layout *l, uint8_t *header, uint64_t gd)
{
    uint32_t flags = FLAG_NEWLINE;

    flags |= l->redundant ? FLAG_RGD : 0;
    flags |= l->zeroed ? FLAG_ZEROED_GRAIN : 0;
    flags |= l->compressed ? FLAG_COMPRESSED | FLAG_MARKERS : 0;
    memcpy(header, "KDMV", 4);
    maker_put(header, 4, 4, '<', l->compressed ? 3 : l->zeroed ? 2 : 1);
    maker_put(header, 8, 4, '<', flags);
    maker_put(header, 12, 8, '<', l->capacity_sectors);
    maker_put(header, 20, 8, '<', l->grain_sectors);
    maker_put(header, 28, 8, '<', 1);
    maker_put(header, 36, 8, '<', DESCRIPTOR_SECTORS);
    maker_put(header, 44, 4, '<', l->gtes);
    maker_put(header, 48, 8, '<', l->rgd);
    maker_put(header, 56, 8, '<', gd);
    maker_put(header, 64, 8, '<', 1 + DESCRIPTOR_SECTORS);
    memcpy(header + 73, "\n \r\n", 4);
    maker_put(header, 77, 2, '<', l->compressed);
}

static void write_footer(struct maker *m, struct layout *l)
{
    uint8_t footer[SECTOR] = {0};

    write_marker(m, l, "footer_marker", 1, 3);
    fill_header(l, footer, l->gd);
    maker_fields(m, "footer", header_fields, footer, NULL);
    maker_write(m, l->next++ * SECTOR, footer, sizeof footer);
    write_marker(m, l, "end_marker", 0, 0);
}

static void write_embedded(struct maker *m, const struct layout *l)
{
    char extent[80];
    struct text text;

    snprintf(extent, sizeof extent, "RW %llu SPARSE \"disk.vmdk\"",
             (unsigned long long)l->capacity_sectors);
    text = vmdk_text(m, l->compressed ? "streamOptimized" : "monolithicSparse", extent);
    maker_write(m, SECTOR, text.bytes, text.length);
    free(text.bytes);
}

static void begin_layout(struct maker *m, struct layout *l)
{
    l->capacity_sectors = sectors(maker_number(m, "size", 8 << 20));
    l->grain_sectors = sectors(maker_number(m, "grain", 64 << 10));
    l->gtes = maker_number(m, "gtes", 512);
    if (!l->grain_sectors || !l->gtes)
        maker_die("grain= and gtes= must not be 0: set the fields grainSize and numGTEsPerGT");
    l->grains = (l->capacity_sectors + l->grain_sectors - 1) / l->grain_sectors;
    l->tables = (l->grains + l->gtes - 1) / l->gtes;
    l->gd_sectors = sectors(4 * l->tables);
    l->gt_sectors = sectors(4 * l->gtes);
    l->state = vmdk_memory(l->grains);
    l->directory = vmdk_memory(l->gd_sectors * SECTOR);
    l->tables_bytes = vmdk_memory(l->tables * l->gt_sectors * SECTOR);
    vmdk_mark(l->state, l->grains, maker_string(m, "grains", ""), ALLOCATED);
    if (maker_string(m, "zeroed", NULL)) {
        l->zeroed = true;
        vmdk_mark(l->state, l->grains, maker_string(m, "zeroed", ""), ZEROED);
    }
}

static void make_extent(struct maker *m, bool compressed, bool footer)
{
    struct layout l = {.compressed = compressed};
    uint8_t header[SECTOR] = {0};

    l.redundant = strcmp(maker_string(m, "rgd", "yes"), "no") != 0 && !footer;
    begin_layout(m, &l);
    l.next = 1 + DESCRIPTOR_SECTORS;
    if (footer) {
        write_behind(m, &l);
        write_footer(m, &l);
    } else {
        write_front(m, &l);
    }
    fill_header(&l, header, footer ? UINT64_MAX : l.gd);
    maker_fields(m, "", header_fields, header, NULL);
    maker_write(m, 0, header, sizeof header);
    write_embedded(m, &l);
    maker_extend(m, l.next * SECTOR);
    free(l.state);
    free(l.directory);
    free(l.tables_bytes);
}

static void make_descriptor(struct maker *m)
{
    char extent[80];
    struct text text;

    snprintf(extent, sizeof extent, "RW %llu FLAT \"disk-flat.vmdk\" 0",
             (unsigned long long)sectors(maker_number(m, "size", 8 << 20)));
    text = vmdk_text(m, "monolithicFlat", extent);
    maker_write(m, 0, text.bytes, text.length);
    free(text.bytes);
}

void make_vmdk(struct maker *m)
{
    const char *kind = maker_string(m, "kind", "sparse");

    if (strcmp(kind, "descriptor") == 0)
        make_descriptor(m);
    else if (strcmp(kind, "sparse") == 0 || strcmp(kind, "stream") == 0)
        make_extent(m, kind[1] == 't', false);
    else if (strcmp(kind, "stream-footer") == 0)
        make_extent(m, true, true);
    else if (strcmp(kind, "cowd") == 0)
        vmdk_make_cowd(m);
    else if (strcmp(kind, "sesparse") == 0)
        vmdk_make_sesparse(m);
    else
        maker_die("kind=%s: sparse, stream, stream-footer, descriptor, cowd or sesparse", kind);
}
