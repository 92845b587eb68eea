// SPDX-License-Identifier: Apache-2.0
/*
 * Makes Parallels images (QEMU, docs/interop/parallels.txt). Little endian. The BAT follows the
 * header, the clusters begin at the next multiple of their size.
 *
 *     kind=extended|old  size=8M  tracks=2048 (sectors of a cluster)  entries=N (of the BAT)
 *     every=N  clusters=0,3  data=N  bat=INDEX:ENTRY  FIELD=value (of the header)
 *     extension=OFFSET (of a format extension)  extension.FIELD=
 *     feature=MAGIC:FLAGS:SIZE (behind each other)  bitmap=SECTORS:GRANULARITY:ENTRIES (a feature)
 *
 * clusters are allocated, in the file in this order, and begin with data bytes (the default: all of
 * them). every=N: every Nth cluster is allocated, without data; the file is sparse. bat: a raw
 * entry. The extension's checksum stays 0 unless it is given.
 */
#include "maker.h"

#include <string.h>

enum {
    HEADER_BYTES = 64,
    SECTOR = 512,
    ENTRY_BYTES = 4,
    PIECE_ENTRIES = 16384,
    EXTENSION_BYTES = 24,
    FEATURE_BYTES = 24,
    BITMAP_BYTES = 32,
};

#define EXTENSION_MAGIC UINT64_C(0xab234cef23dcea87)
#define BITMAP_MAGIC    UINT64_C(0x20385fae252cb34a)

static const struct maker_field header_fields[] = {
    {"version", 16, 4, '<'},
    {"heads", 20, 4, '<'},
    {"cylinders", 24, 4, '<'},
    {"header_tracks", 28, 4, '<'},
    {"nb_bat_entries", 32, 4, '<'},
    {"nb_sectors", 36, 8, '<'},
    {"in_use", 44, 4, '<'},
    {"data_off", 48, 4, '<'},
    {"flags", 52, 4, '<'},
    {"ext_off", 56, 8, '<'},
    {0},
};

static const struct maker_field extension_fields[] = {
    {"magic", 0, 8, '<'},
    {"check_sum", 8, 8, '>'},
    {"check_sum_end", 16, 8, '>'},
    {0},
};

struct parallels {
    struct maker *m;
    bool is_old;
    uint64_t size;
    uint64_t cluster_size;
    uint64_t entries;
    uint64_t data_offset;
    uint64_t allocated;
};

static void put32(uint8_t *p, uint32_t offset, uint64_t value)
{
    maker_put(p, offset, 4, '<', value);
}

static void put64(uint8_t *p, uint32_t offset, uint64_t value)
{
    maker_put(p, offset, 8, '<', value);
}

static void write_header(const struct parallels *p)
{
    uint8_t header[HEADER_BYTES] = {0};

    memcpy(header, p->is_old ? "WithoutFreeSpace" : "WithouFreSpacExt", 16);
    put32(header, 16, 2);
    put32(header, 20, 16);
    put32(header, 24, p->size / SECTOR / 16 / 32);
    put32(header, 28, p->cluster_size / SECTOR);
    put32(header, 32, p->entries);
    put64(header, 36, p->size / SECTOR);
    put32(header, 48, p->is_old ? 0 : p->data_offset / SECTOR);
    put64(header, 56, maker_number(p->m, "extension", 0) / SECTOR);
    maker_fields(p->m, "", header_fields, header, NULL);
    maker_write(p->m, 0, header, sizeof header);
}

/* The entry of the cluster at that place in the file. */
static uint64_t entry_of(const struct parallels *p, uint64_t place)
{
    return (p->data_offset + place * p->cluster_size) / (p->is_old ? SECTOR : p->cluster_size);
}

static void write_entry(const struct parallels *p, uint64_t index, uint64_t value)
{
    uint8_t entry[ENTRY_BYTES];

    put32(entry, 0, value);
    maker_write(p->m, HEADER_BYTES + ENTRY_BYTES * index, entry, sizeof entry);
}

/* All of the BAT: each one of every clusters is allocated; 0: none. */
static void write_bat(struct parallels *p, uint64_t every)
{
    uint8_t piece[ENTRY_BYTES * PIECE_ENTRIES];

    for (uint64_t i = 0, n; i < p->entries; i += n) {
        n = p->entries - i < PIECE_ENTRIES ? p->entries - i : PIECE_ENTRIES;
        for (uint64_t k = 0; k < n; k++) {
            bool has = every && (i + k) % every == 0;

            put32(piece, (uint32_t)(ENTRY_BYTES * k), has ? entry_of(p, p->allocated++) : 0);
        }
        maker_write(p->m, HEADER_BYTES + ENTRY_BYTES * i, piece, ENTRY_BYTES * n);
    }
}

static void write_data(const struct parallels *p, uint64_t index, uint64_t length)
{
    uint64_t offset = p->data_offset + p->allocated * p->cluster_size;
    uint8_t piece[4096];

    memset(piece, (uint8_t)(0x41 + index % 26), sizeof piece);
    for (uint64_t n; length; offset += n, length -= n) {
        n = length < sizeof piece ? length : sizeof piece;
        maker_write(p->m, offset, piece, (size_t)n);
    }
}

static void write_clusters(struct parallels *p)
{
    const char *list = maker_string(p->m, "clusters", ""), *value;
    uint64_t length = maker_number(p->m, "data", p->cluster_size);
    int position = 0;

    while (*list) {
        uint64_t index = maker_parse(list, &list);

        write_entry(p, index, entry_of(p, p->allocated));
        write_data(p, index, length);
        p->allocated++;
        if (*list == ',')
            list++;
        else if (*list)
            maker_die("clusters: '%s' is not part of a list of numbers", list);
    }
    while ((value = maker_each(p->m, "bat", &position))) {
        uint64_t index = maker_parse(value, &value);

        if (*value != ':')
            maker_die("bat: INDEX:ENTRY is wanted");
        write_entry(p, index, maker_parse(value + 1, &value));
    }
    maker_extend(p->m, p->data_offset + p->allocated * p->cluster_size);
}

/* The three numbers of A:B:C. */
static void parse_three(const char *key, const char *value, uint64_t numbers[3])
{
    for (int i = 0; i < 3; i++) {
        numbers[i] = maker_parse(value, &value);
        if (*value != (i < 2 ? ':' : '\0'))
            maker_die("%s: three numbers with colons between them are wanted", key);
        value += i < 2;
    }
}

/* Writes a feature at offset; returns where the next one begins. */
static uint64_t write_feature(const struct parallels *p, uint64_t offset, const uint64_t numbers[3])
{
    uint8_t feature[FEATURE_BYTES] = {0};

    put64(feature, 0, numbers[0]);
    put64(feature, 8, numbers[1]);
    put32(feature, 16, numbers[2]);
    maker_write(p->m, offset, feature, sizeof feature);
    return offset + FEATURE_BYTES + (numbers[2] + 7) / 8 * 8;
}

/* A dirty bitmap of as many clusters, all of them full of ones. */
static uint64_t write_bitmap(const struct parallels *p, uint64_t offset, const uint64_t numbers[3])
{
    uint64_t feature[3] = {BITMAP_MAGIC, 0, BITMAP_BYTES + 8 * numbers[2]};
    uint8_t bitmap[BITMAP_BYTES] = {0}, ones[8] = {1};

    put64(bitmap, 0, numbers[0]);
    memset(bitmap + 8, 0xb2, 16); /* id */
    put32(bitmap, 24, numbers[1]);
    put32(bitmap, 28, numbers[2]);
    maker_write(p->m, offset + FEATURE_BYTES, bitmap, sizeof bitmap);
    for (uint64_t i = 0; i < numbers[2]; i++)
        maker_write(p->m, offset + FEATURE_BYTES + BITMAP_BYTES + 8 * i, ones, sizeof ones);
    return write_feature(p, offset, feature);
}

static void write_extension(const struct parallels *p)
{
    uint64_t at = maker_number(p->m, "extension", 0), offset = at + EXTENSION_BYTES, numbers[3];
    uint8_t header[EXTENSION_BYTES] = {0};
    int bitmap = 0, feature = 0;
    const char *value;

    if (!at)
        return;
    put64(header, 0, EXTENSION_MAGIC);
    maker_fields(p->m, "extension", extension_fields, header, NULL);
    maker_write(p->m, at, header, sizeof header);
    while ((value = maker_each(p->m, "bitmap", &bitmap))) {
        parse_three("bitmap", value, numbers);
        offset = write_bitmap(p, offset, numbers);
    }
    while ((value = maker_each(p->m, "feature", &feature))) {
        parse_three("feature", value, numbers);
        offset = write_feature(p, offset, numbers);
    }
    maker_extend(p->m, at + p->cluster_size);
}

void make_parallels(struct maker *m)
{
    const char *kind = maker_string(m, "kind", "extended");
    struct parallels p = {.m = m};

    if (strcmp(kind, "extended") != 0 && strcmp(kind, "old") != 0)
        maker_die("kind=%s: extended or old is wanted", kind);
    p.is_old = strcmp(kind, "old") == 0;
    p.size = maker_number(m, "size", 8 << 20);
    p.cluster_size = maker_number(m, "tracks", 2048) * SECTOR;
    if (!p.cluster_size)
        maker_die("tracks=0 cannot be laid out: give header_tracks=0");
    p.entries = (p.size + p.cluster_size - 1) / p.cluster_size;
    p.entries = maker_number(m, "entries", p.entries);
    p.data_offset = (HEADER_BYTES + ENTRY_BYTES * p.entries + p.cluster_size - 1) / p.cluster_size *
                    p.cluster_size;
    write_bat(&p, maker_number(m, "every", 0));
    write_clusters(&p);
    write_extension(&p);
    write_header(&p);
}
