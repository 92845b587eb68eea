// SPDX-License-Identifier: Apache-2.0
/*
 * VMDK extents of other kinds than the hosted ones, little endian: COWD ("Virtual Disk Format 5.0",
 * ESX Server sparse extents) and seSparse (as qemu reads them).
 *
 *     kind=cowd|sesparse
 *     size=BYTES grain=BYTES    of the layout; seSparse grains are of 4 KiB
 *     grains=LIST zeroed=LIST unmapped=LIST    as for other kinds; the latter two for seSparse
 *     order=scrambled    neighbouring grains change places in the file
 *     gte=INDEX:VALUE gd=INDEX:VALUE    entries as given, any number of them
 *     descriptor=no    a COWD extent has no descriptor inside; else as for other kinds
 *     FIELD= volatile.FIELD=    header fields by their names
 */
#include <stdlib.h>
#include <string.h>

#include "make-vmdk.h"

enum {
    SECTOR = 512,
    GTES = 4096, /* of both */
    COWD_HEADER_SECTORS = 4,
    SESPARSE_GRAIN = 4096,
    SESPARSE_GD_SECTOR = 8,
};

static const struct maker_field cowd_fields[] = {
    {"magicNumber", 0, 4, '<'},
    {"version", 4, 4, '<'},
    {"flags", 8, 4, '<'},
    {"numSectors", 12, 4, '<'},
    {"grainSize", 16, 4, '<'},
    {"gdOffset", 20, 4, '<'},
    {"numGDEntries", 24, 4, '<'},
    {"freeSector", 28, 4, '<'},
    {"cylinders", 32, 4, '<'},
    {"heads", 36, 4, '<'},
    {"sectors", 40, 4, '<'},
    {"parentGeneration", 1056, 4, '<'},
    {"generation", 1060, 4, '<'},
    {"savedGeneration", 1636, 4, '<'},
    {"uncleanShutdown", 1648, 4, '<'},
    {NULL, 0, 0, 0},
};

static const struct maker_field sesparse_fields[] = {
    {"magic", 0, 8, '<'},
    {"version", 8, 8, '<'},
    {"capacity", 16, 8, '<'},
    {"grain_size", 24, 8, '<'},
    {"grain_table_size", 32, 8, '<'},
    {"flags", 40, 8, '<'},
    {"reserved1", 48, 8, '<'},
    {"reserved4", 72, 8, '<'},
    {"volatile_header_offset", 80, 8, '<'},
    {"volatile_header_size", 88, 8, '<'},
    {"journal_header_offset", 96, 8, '<'},
    {"journal_header_size", 104, 8, '<'},
    {"journal_offset", 112, 8, '<'},
    {"journal_size", 120, 8, '<'},
    {"grain_dir_offset", 128, 8, '<'},
    {"grain_dir_size", 136, 8, '<'},
    {"grain_tables_offset", 144, 8, '<'},
    {"grain_tables_size", 152, 8, '<'},
    {"free_bitmap_offset", 160, 8, '<'},
    {"free_bitmap_size", 168, 8, '<'},
    {"backmap_offset", 176, 8, '<'},
    {"backmap_size", 184, 8, '<'},
    {"grains_offset", 192, 8, '<'},
    {"grains_size", 200, 8, '<'},
    {NULL, 0, 0, 0},
};

static const struct maker_field volatile_fields[] = {
    {"magic", 0, 8, '<'},
    {"free_gt_number", 8, 8, '<'},
    {"next_txn_seq_number", 16, 8, '<'},
    {"replay_journal", 24, 8, '<'},
    {NULL, 0, 0, 0},
};

/* An extent in the making; sizes and places in sectors. */
struct extent {
    uint8_t entry_bytes;
    uint64_t capacity, grain, grains, tables;
    uint64_t gd, gd_size, gt, gt_size, next;
    uint8_t *state, *directory, *entries;
};

static uint64_t sectors(uint64_t bytes)
{
    return (bytes + SECTOR - 1) / SECTOR;
}

static void begin(struct maker *m, struct extent *e, uint64_t grain)
{
    e->capacity = sectors(maker_number(m, "size", 8 << 20));
    e->grain = sectors(grain);
    if (!e->grain)
        maker_die("grain= must not be 0: set the field grainSize");
    e->grains = (e->capacity + e->grain - 1) / e->grain;
    e->tables = (e->grains + GTES - 1) / GTES;
    e->gd_size = sectors(e->tables * e->entry_bytes);
    e->gt_size = GTES * (uint64_t)e->entry_bytes / SECTOR;
    e->state = vmdk_memory(e->grains);
    e->directory = vmdk_memory(e->gd_size * SECTOR);
    e->entries = vmdk_memory(e->tables * e->gt_size * SECTOR);
    vmdk_mark(e->state, e->grains, maker_string(m, "grains", ""), ALLOCATED);
}

static void put_entry(const struct extent *e, uint8_t *entries, uint64_t index, uint64_t value)
{
    maker_put(entries + index * e->entry_bytes, 0, e->entry_bytes, '<', value);
}

/* Overwrites entries of which there are count for each KEY=INDEX:VALUE. */
static void override(struct maker *m, const struct extent *e, const char *key, uint8_t *entries,
                     uint64_t count)
{
    const char *value, *end;
    int position = 0;

    while ((value = maker_each(m, key, &position))) {
        uint64_t index = maker_parse(value, &end);

        if (*end != ':' || index >= count)
            maker_die("%s=%s: INDEX:VALUE is wanted, INDEX below %llu", key, value,
                      (unsigned long long)count);
        put_entry(e, entries, index, maker_parse(end + 1, &end));
    }
}

/* The grain with which this one changes places, or itself. */
static uint64_t place_of(struct maker *m, const struct extent *e, uint64_t i)
{
    bool scrambled = strcmp(maker_string(m, "order", "ascending"), "scrambled") == 0;

    return scrambled && (i ^ 1) < e->grains && e->state[i] == e->state[i ^ 1] ? i ^ 1 : i;
}

/* Writes the next grain; returns its sector. */
static uint64_t write_grain(struct maker *m, struct extent *e, uint64_t index)
{
    uint64_t at = e->next, length = e->grain * SECTOR;
    uint8_t *bytes = vmdk_memory(length);

    memset(bytes, (int)('A' + index % 26), (size_t)length);
    if (strcmp(maker_string(m, "data", "yes"), "no") != 0)
        maker_write(m, at * SECTOR, bytes, (size_t)length);
    free(bytes);
    e->next += e->grain;
    return at;
}

static void finish(struct maker *m, struct extent *e)
{
    override(m, e, "gte", e->entries, e->tables * GTES);
    override(m, e, "gd", e->directory, e->gd_size * SECTOR / e->entry_bytes);
    maker_write(m, e->gd * SECTOR, e->directory, (size_t)e->gd_size * SECTOR);
    maker_write(m, e->gt * SECTOR, e->entries, (size_t)(e->tables * e->gt_size) * SECTOR);
    maker_extend(m, e->next * SECTOR);
    free(e->state);
    free(e->directory);
    free(e->entries);
}

void vmdk_make_cowd(struct maker *m)
{
    uint8_t header[COWD_HEADER_SECTORS * SECTOR] = "COWD";
    struct extent e = {.entry_bytes = 4};
    struct text text;

    begin(m, &e, maker_number(m, "grain", 64 << 10));
    e.gd = COWD_HEADER_SECTORS;
    e.gt = e.gd + e.gd_size;
    e.next = e.gt + e.tables * e.gt_size;
    for (uint64_t i = 0; i < e.tables; i++)
        put_entry(&e, e.directory, i, e.gt + i * e.gt_size);
    for (uint64_t i = 0; i < e.grains; i++) {
        uint64_t index = place_of(m, &e, i);

        if (e.state[index] == ALLOCATED)
            put_entry(&e, e.entries, index, write_grain(m, &e, index));
    }
    maker_put(header, 4, 4, '<', 1);
    maker_put(header, 8, 4, '<', 3);
    maker_put(header, 12, 4, '<', e.capacity);
    maker_put(header, 16, 4, '<', e.grain);
    maker_put(header, 20, 4, '<', e.gd);
    maker_put(header, 24, 4, '<', e.tables);
    maker_put(header, 28, 4, '<', e.next);
    maker_put(header, 32, 4, '<', e.capacity / (255 * 63));
    maker_put(header, 36, 4, '<', 255);
    maker_put(header, 40, 4, '<', 63);
    memcpy(header + 1064, "disk", 4);
    maker_fields(m, "", cowd_fields, header, NULL);
    maker_write(m, 0, header, sizeof header);
    if (strcmp(maker_string(m, "descriptor", "yes"), "no") != 0) {
        text = vmdk_text(m, "vmfsSparse", NULL);
        maker_write(m, SECTOR, text.bytes, text.length);
        maker_write(m, SECTOR + text.length, "", 1);
        free(text.bytes);
    }
    finish(m, &e);
}

/* The constant header has all offsets; the volatile one follows it. */
static void write_sesparse_headers(struct maker *m, const struct extent *e, uint64_t grains)
{
    uint8_t header[SECTOR] = {0}, second[SECTOR] = {0};
    uint64_t areas[][2] = {
        {1, 1},
        {2, 2},
        {4, 4},
        {e->gd, e->gd_size},
        {e->gt, e->tables * e->gt_size},
        {grains - 2, 1},
        {grains - 1, 1},
        {grains, e->grains * e->grain},
    };

    maker_put(header, 0, 8, '<', 0xcafebabe);
    maker_put(header, 8, 8, '<', UINT64_C(0x200000001));
    maker_put(header, 16, 8, '<', e->capacity);
    maker_put(header, 24, 8, '<', e->grain);
    maker_put(header, 32, 8, '<', e->gt_size);
    for (uint32_t i = 0; i < sizeof areas / sizeof *areas; i++) {
        maker_put(header, 80 + 16 * i, 8, '<', areas[i][0]);
        maker_put(header, 88 + 16 * i, 8, '<', areas[i][1]);
    }
    maker_put(second, 0, 8, '<', 0xcafecafe);
    maker_put(second, 8, 8, '<', e->tables);
    maker_put(second, 16, 8, '<', 1);
    maker_fields(m, "", sesparse_fields, header, NULL);
    maker_fields(m, "volatile", volatile_fields, second, NULL);
    maker_write(m, 0, header, sizeof header);
    maker_write(m, SECTOR, second, sizeof second);
}

void vmdk_make_sesparse(struct maker *m)
{
    struct extent e = {.entry_bytes = 8};
    uint64_t grains;

    begin(m, &e, SESPARSE_GRAIN);
    vmdk_mark(e.state, e.grains, maker_string(m, "zeroed", ""), ZEROED);
    vmdk_mark(e.state, e.grains, maker_string(m, "unmapped", ""), UNMAPPED);
    e.gd = SESPARSE_GD_SECTOR;
    e.gt = e.gd + e.gd_size;
    grains = (e.gt + e.tables * e.gt_size + 2 + e.grain - 1) / e.grain * e.grain;
    e.next = grains;
    for (uint64_t i = 0; i < e.tables; i++)
        put_entry(&e, e.directory, i, UINT64_C(1) << 60 | i);
    for (uint64_t i = 0; i < e.grains; i++) {
        uint64_t index = place_of(m, &e, i), number;

        if (e.state[index] == ALLOCATED) {
            number = (write_grain(m, &e, index) - grains) / e.grain;
            put_entry(&e, e.entries, index,
                      UINT64_C(3) << 60 | (number & 0xfff) << 48 | number >> 12);
        } else if (e.state[index] != UNALLOCATED) {
            put_entry(&e, e.entries, index, (uint64_t)(e.state[index] == ZEROED ? 2 : 1) << 60);
        }
    }
    write_sesparse_headers(m, &e, grains);
    finish(m, &e);
}
