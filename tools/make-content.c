// SPDX-License-Identifier: Apache-2.0
/*
 * Makes what a disk holds, as a raw image: MBR and extended boot records, GPT (UEFI 2.10, section
 * 5), ISO 9660 (ECMA-119). Little endian, ISO 9660 also in both orders.
 *
 *     size=1M  sector=512  mbr=1 (0 with none of what follows)  partition=TYPE:START:COUNT[:BOOT]
 * (up to 4 times, in sectors) ebr=SECTOR:N:TYPE:START:COUNT (entry N, from 1, of a boot record in
 * that sector; several times)  gpt=1 (protective MBR unless there are partitions or mbr=0, header,
 * 128 entries, and all of it again at the end) entry=N:FIRST:LAST[:NAME] (entry N, from 1, a
 * partition of Linux; several times)  backup=SECTOR (of the second header; default: the last)
 * iso=1 (a primary descriptor and the end of descriptors)  volume=NAME
 *     mbr.FIELD=  gpt.FIELD=  gpt_backup.FIELD=  iso.FIELD=
 *
 * CRCs are computed last, unless the field itself was given.
 */
#include "maker.h"

#include <string.h>

enum {
    MBR_BYTES = 512,
    MBR_ENTRIES = 446,
    MBR_ENTRY_BYTES = 16,
    TYPE_PROTECTIVE = 0xee,
    GPT_HEADER_BYTES = 92,
    GPT_HEADER_CRC32 = 16,
    GPT_ENTRIES_CRC32 = 88,
    GPT_ENTRIES = 128,
    GPT_ENTRY_BYTES = 128,
    GPT_NAME = 56, /* in an entry */
    GPT_NAME_CHARACTERS = 36,
    SECTOR_MAX = 4096,
    ISO_BYTES = 2048,
};

#define PARTITION(n)                                                                               \
    {"partition" #n "_boot_indicator", MBR_ENTRIES + 16 * (n - 1), 1, '<'},                        \
        {"partition" #n "_type", MBR_ENTRIES + 16 * (n - 1) + 4, 1, '<'},                          \
        {"partition" #n "_starting_lba", MBR_ENTRIES + 16 * (n - 1) + 8, 4, '<'},                  \
    {                                                                                              \
        "partition" #n "_size_in_lba", MBR_ENTRIES + 16 * (n - 1) + 12, 4, '<'                     \
    }

static const struct maker_field mbr_fields[] = {
    {"disk_signature", 440, 4, '<'}, PARTITION(1), PARTITION(2), PARTITION(3), PARTITION(4),
    {"signature", 510, 2, '<'},      {0},
};

static const struct maker_field gpt_fields[] = {
    {"Signature", 0, 8, '<'},
    {"Revision", 8, 4, '<'},
    {"HeaderSize", 12, 4, '<'},
    {"HeaderCRC32", GPT_HEADER_CRC32, 4, '<'},
    {"Reserved", 20, 4, '<'},
    {"MyLBA", 24, 8, '<'},
    {"AlternateLBA", 32, 8, '<'},
    {"FirstUsableLBA", 40, 8, '<'},
    {"LastUsableLBA", 48, 8, '<'},
    {"PartitionEntryLBA", 72, 8, '<'},
    {"NumberOfPartitionEntries", 80, 4, '<'},
    {"SizeOfPartitionEntry", 84, 4, '<'},
    {"PartitionEntryArrayCRC32", GPT_ENTRIES_CRC32, 4, '<'},
    {0},
};

/* Numbers that stand in both orders: the second is the big endian one. */
static const struct maker_field iso_fields[] = {
    {"volume_descriptor_type", 0, 1, '<'},   {"volume_descriptor_version", 6, 1, '<'},
    {"volume_space_size", 80, 4, '<'},       {"volume_space_size_be", 84, 4, '>'},
    {"volume_set_size", 120, 2, '<'},        {"volume_set_size_be", 122, 2, '>'},
    {"volume_sequence_number", 124, 2, '<'}, {"volume_sequence_number_be", 126, 2, '>'},
    {"logical_block_size", 128, 2, '<'},     {"logical_block_size_be", 130, 2, '>'},
    {"path_table_size", 132, 4, '<'},        {"path_table_size_be", 136, 4, '>'},
    {"file_structure_version", 881, 1, '<'}, {0},
};

/* "Linux filesystem data", 0FC63DAF-8483-4772-8E79-3D69D8477DE4. */
static const uint8_t type_linux[16] = {0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
                                       0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4};

/* CRC-32 as of ISO 3309: reflected, 0xedb88320. */
static uint32_t crc32(const uint8_t *bytes, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

/* Takes up to count numbers with colons between them; *rest is what follows. Returns how many. */
static unsigned numbers(const char *text, uint64_t *values, unsigned count, const char **rest)
{
    unsigned n = 0;

    do {
        values[n++] = maker_parse(text, rest);
        text = *rest + 1;
    } while (n < count && **rest == ':');
    return n;
}

static void put_partition(uint8_t *sector, unsigned n, const uint64_t *type_start_count, bool boot)
{
    uint8_t *entry = sector + MBR_ENTRIES + n * MBR_ENTRY_BYTES;

    maker_put(entry, 0, 1, '<', boot ? 0x80 : 0);
    maker_put(entry, 4, 1, '<', type_start_count[0]);
    maker_put(entry, 8, 4, '<', type_start_count[1]);
    maker_put(entry, 12, 4, '<', type_start_count[2]);
    maker_put(sector, 510, 2, '<', 0xaa55);
}

/* gpt: whether there is one; sectors: of the disk. */
static void make_mbr(struct maker *m, bool gpt, uint64_t sectors)
{
    const uint64_t protective[3] = {TYPE_PROTECTIVE, 1,
                                    sectors > UINT32_MAX ? UINT32_MAX : sectors - 1};
    uint8_t mbr[MBR_BYTES] = {0};
    const char *value, *rest;
    int position = 0;
    unsigned n = 0;

    for (; n < 4 && (value = maker_each(m, "partition", &position)); n++) {
        uint64_t p[4];
        unsigned given = numbers(value, p, 4, &rest);

        if (given < 3 || *rest)
            maker_die("partition=%s: TYPE:START:COUNT[:BOOT] is wanted", value);
        put_partition(mbr, n, p, given == 4 && p[3]);
    }
    if (!maker_number(m, "mbr", n || gpt))
        return;
    if (!n && gpt)
        put_partition(mbr, 0, protective, false);
    maker_put(mbr, 510, 2, '<', 0xaa55);
    maker_fields(m, "mbr", mbr_fields, mbr, NULL);
    maker_write(m, 0, mbr, sizeof mbr);
}

/* Extended boot records, entry by entry: those of one sector follow each other. */
static void make_ebrs(struct maker *m, uint64_t sector_bytes)
{
    uint8_t record[MBR_BYTES];
    uint64_t before = UINT64_MAX;
    const char *value, *rest;
    int position = 0;

    while ((value = maker_each(m, "ebr", &position))) {
        uint64_t p[5];

        if (numbers(value, p, 5, &rest) != 5 || *rest || p[1] < 1 || p[1] > 4)
            maker_die("ebr=%s: SECTOR:N:TYPE:START:COUNT is wanted", value);
        if (p[0] != before)
            memset(record, 0, sizeof record);
        before = p[0];
        put_partition(record, (unsigned)p[1] - 1, p + 2, false);
        maker_write(m, p[0] * sector_bytes, record, sizeof record);
    }
}

static void put_entries(struct maker *m, uint8_t *entries)
{
    const char *value, *name;
    int position = 0;

    while ((value = maker_each(m, "entry", &position))) {
        uint64_t p[3];
        uint8_t *entry;

        if (numbers(value, p, 3, &name) != 3 || p[0] < 1 || p[0] > GPT_ENTRIES)
            maker_die("entry=%s: N:FIRST:LAST[:NAME] is wanted", value);
        entry = entries + (p[0] - 1) * GPT_ENTRY_BYTES;
        memcpy(entry, type_linux, sizeof type_linux);
        memset(entry + 16, (int)p[0], 16);
        maker_put(entry, 32, 8, '<', p[1]);
        maker_put(entry, 40, 8, '<', p[2]);
        name += *name == ':';
        for (unsigned i = 0; name[i] && i < GPT_NAME_CHARACTERS; i++)
            entry[GPT_NAME + 2 * i] = (uint8_t)name[i];
    }
}

/* Writes the header called prefix at sector my, its entries at entries_lba. */
static void write_gpt(struct maker *m, const char *prefix, uint64_t sector, const uint64_t lbas[3],
                      uint64_t sectors, const uint8_t *entries)
{
    const uint64_t length = GPT_ENTRIES * GPT_ENTRY_BYTES, used = length / sector;
    uint8_t header[SECTOR_MAX] = {0};

    memcpy(header, "EFI PART", 8);
    maker_put(header, 8, 4, '<', 0x10000);
    maker_put(header, 12, 4, '<', GPT_HEADER_BYTES);
    maker_put(header, 24, 8, '<', lbas[0]);
    maker_put(header, 32, 8, '<', lbas[1]);
    maker_put(header, 40, 8, '<', 2 + used);
    maker_put(header, 48, 8, '<', sectors - 2 - used);
    for (uint8_t i = 0; i < 16; i++)
        header[56 + i] = (uint8_t)(0x10 + i);
    maker_put(header, 72, 8, '<', lbas[2]);
    maker_put(header, 80, 4, '<', GPT_ENTRIES);
    maker_put(header, 84, 4, '<', GPT_ENTRY_BYTES);
    maker_put(header, GPT_ENTRIES_CRC32, 4, '<', crc32(entries, length));
    if (!maker_fields(m, prefix, gpt_fields, header, "HeaderCRC32")) {
        maker_put(header, GPT_HEADER_CRC32, 4, '<', 0);
        maker_put(header, GPT_HEADER_CRC32, 4, '<', crc32(header, GPT_HEADER_BYTES));
    }
    maker_write(m, lbas[0] * sector, header, sector);
    maker_write(m, lbas[2] * sector, entries, length);
}

static void make_gpt(struct maker *m, uint64_t sector, uint64_t sectors)
{
    static uint8_t entries[GPT_ENTRIES * GPT_ENTRY_BYTES];
    const uint64_t used = sizeof entries / sector;
    const uint64_t backup = maker_number(m, "backup", sectors - 1);

    put_entries(m, entries);
    write_gpt(m, "gpt", sector, (uint64_t[]){1, backup, 2}, sectors, entries);
    write_gpt(m, "gpt_backup", sector, (uint64_t[]){backup, 1, backup - used}, sectors, entries);
}

static void put_both(uint8_t *bytes, uint32_t offset, uint8_t width, uint64_t value)
{
    maker_put(bytes, offset, width, '<', value);
    maker_put(bytes, offset + width, width, '>', value);
}

static void put_padded(uint8_t *bytes, uint32_t offset, size_t width, const char *text)
{
    memset(bytes + offset, ' ', width);
    memcpy(bytes + offset, text, strlen(text) < width ? strlen(text) : width);
}

static void make_iso(struct maker *m, uint64_t size)
{
    uint8_t descriptor[ISO_BYTES] = "\1CD001\1";

    put_padded(descriptor, 8, 32, "LINUX");
    put_padded(descriptor, 40, 32, maker_string(m, "volume", "A VOLUME"));
    put_both(descriptor, 80, 4, size / ISO_BYTES);
    put_both(descriptor, 120, 2, 1);
    put_both(descriptor, 124, 2, 1);
    put_both(descriptor, 128, 2, ISO_BYTES);
    put_both(descriptor, 132, 4, 10);
    put_padded(descriptor, 190, 128, "");
    put_padded(descriptor, 318, 128, "A PUBLISHER");
    put_padded(descriptor, 446, 128, "");
    put_padded(descriptor, 574, 128, "MAKE-IMAGE");
    put_padded(descriptor, 813, 16, "2026010203040506");
    put_padded(descriptor, 830, 16, "2026010203040506");
    maker_put(descriptor, 881, 1, '<', 1);
    maker_fields(m, "iso", iso_fields, descriptor, NULL);
    maker_write(m, 16 * ISO_BYTES, descriptor, sizeof descriptor);
    memset(descriptor, 0, sizeof descriptor);
    memcpy(descriptor,
           "\xff"
           "CD001\1",
           7);
    maker_write(m, 17 * ISO_BYTES, descriptor, sizeof descriptor);
}

void make_content(struct maker *m)
{
    uint64_t size = maker_number(m, "size", 1 << 20), sector = maker_number(m, "sector", 512);
    bool gpt = maker_number(m, "gpt", 0);

    if (sector != 512 && sector != SECTOR_MAX)
        maker_die("sector=%u: 512 or 4096 is wanted", (unsigned)sector);
    maker_extend(m, size);
    make_mbr(m, gpt, size / sector);
    make_ebrs(m, sector);
    if (gpt)
        make_gpt(m, sector, size / sector);
    if (maker_number(m, "iso", 0))
        make_iso(m, size);
}
