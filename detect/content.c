// SPDX-License-Identifier: Apache-2.0
/*
 * Content: what the guest finds at the start of its disk. MBR (446 bytes of code, four entries, the
 * signature 0x55 0xaa), GPT (UEFI 2.10, section 5), ISO 9660 (ECMA-119, section 8), LUKS. MBR and
 * GPT are little endian; ISO 9660 has most numbers in both byte orders.
 */
#include "content.h"

#include <errno.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/fields.h"
#include "formats/image.h"
#include "formats/zeros.h"

enum {
    SECTOR_4K = 4096,

    MBR_DISK_SIGNATURE = 440,
    MBR_ENTRIES = 446,
    MBR_ENTRY_BYTES = 16,
    MBR_ENTRY_COUNT = 4,
    MBR_SIGNATURE = 510,
    ENTRY_BOOT_INDICATOR = 0,
    ENTRY_TYPE = 4,
    BOOTABLE = 0x80,

    GPT_HEADER_SIZE = 12,
    GPT_ALTERNATE_LBA = 32,
    GPT_HEADER_BYTES = 92,

    ISO_OFFSET = 16 * 2048,
    ISO_BYTES = 2048,

    START_BYTES = ISO_OFFSET + ISO_BYTES, /* contains all of these structures */

    /* A disk is empty if this much is zeros. No file system leaves as much unused at its start: the
     * most are 64 KiB, of btrfs and UFS. */
    EMPTY_BYTES = 128 << 10,
};

#define GPT_SIGNATURE  "EFI PART"
#define ISO_IDENTIFIER "CD001"
#define LUKS_MAGIC     "LUKS\xba\xbe"

/* Whether at least one entry is used, and all used ones have a valid boot indicator. The boot
 * sector of a file system has the same signature, but code or text in place of entries. */
static bool is_mbr(const uint8_t *sector)
{
    bool has_partition = false;

    if (sector[MBR_SIGNATURE] != 0x55 || sector[MBR_SIGNATURE + 1] != 0xaa)
        return false;
    for (unsigned i = 0; i < MBR_ENTRY_COUNT; i++) {
        const uint8_t *entry = sector + MBR_ENTRIES + i * MBR_ENTRY_BYTES;

        if (!entry[ENTRY_TYPE])
            continue;
        if (entry[ENTRY_BOOT_INDICATOR] & ~BOOTABLE)
            return false;
        has_partition = true;
    }
    return has_partition;
}

static bool is_iso(const uint8_t *start)
{
    return memcmp(start + ISO_OFFSET + 1, ISO_IDENTIFIER, 5) == 0;
}

/* Returns the sector size for which there is a header in sector 1; 0: for none. */
static size_t gpt_sector_size(const uint8_t *start)
{
    if (memcmp(start + SECTOR, GPT_SIGNATURE, 8) == 0)
        return SECTOR;
    return memcmp(start + SECTOR_4K, GPT_SIGNATURE, 8) == 0 ? SECTOR_4K : 0;
}

/* Whether the disk's first EMPTY_BYTES are zeros. start has room for them, and holds the first
 * START_BYTES. Returns 1, 0 or -errno. */
static int is_empty(struct disk *disk, uint8_t *start)
{
    int error;

    if (!are_zeros(start, START_BYTES))
        return 0;
    error = disk_read(disk, START_BYTES, start + START_BYTES, EMPTY_BYTES - START_BYTES);
    return error ? error : are_zeros(start, EMPTY_BYTES);
}

/* Returns the name of the content; NULL: not known. */
static const char *content_name(const uint8_t *start)
{
    if (is_iso(start))
        return "iso9660";
    if (gpt_sector_size(start))
        return "gpt";
    if (memcmp(start, LUKS_MAGIC, 6) == 0)
        return "luks";
    return is_mbr(start) ? "mbr" : NULL;
}

/* Reads a header at that offset of the disk. Returns 1, 0 (there is none) or -errno. */
static int gpt_read_header(struct disk *disk, uint64_t offset, uint8_t *bytes)
{
    int error = disk_read(disk, offset, bytes, GPT_HEADER_BYTES);

    return error ? error : memcmp(bytes, GPT_SIGNATURE, 8) == 0;
}

/* Sets *offset to the last whole sector of that size. Returns false if there is none. */
static bool last_sector(const struct disk *disk, uint64_t sector, uint64_t *offset)
{
    *offset = disk->virtual_size / sector * sector - sector;
    return disk->virtual_size >= sector;
}

/*
 * Reads the backup header: at the AlternateLBA of the first header, if that is behind the header,
 * or else in the last sector, where it belongs. Without a first header, tries both sector sizes and
 * ignores read errors; an image with a backing image is not searched then. Returns 1, 0 or -errno.
 */
static int gpt_read_backup(struct disk *disk, const uint8_t *start, uint8_t *bytes)
{
    size_t sector = gpt_sector_size(start);
    uint64_t offset, last;
    int found;

    if (!sector && disk->backing_reference)
        return 0;
    if (!sector)
        return (last_sector(disk, SECTOR, &offset) && gpt_read_header(disk, offset, bytes) == 1) ||
               (last_sector(disk, SECTOR_4K, &offset) && gpt_read_header(disk, offset, bytes) == 1);
    if (!last_sector(disk, sector, &last) || last <= sector)
        return 0;
    if (!checked_mul(le64(start + sector + GPT_ALTERNATE_LBA), sector, &offset) ||
        offset <= sector || offset > last)
        offset = last;
    found = gpt_read_header(disk, offset, bytes);
    return found == 0 && offset != last ? gpt_read_header(disk, last, bytes) : found;
}

/* found: 1, 0 (the structure is not there) or -errno. */
static struct header_found section(int found, const uint8_t *bytes, size_t length)
{
    if (found != 1)
        return (struct header_found){.error = found ? found : -ENOENT};
    return (struct header_found){.bytes = bytes, .length = length, .inside = length};
}

int content_detect(struct disk *disk, struct content *content)
{
    uint8_t *start = image_alloc(disk->img, EMPTY_BYTES);
    uint8_t *backup = image_alloc(disk->img, GPT_HEADER_BYTES);
    int error = start && backup ? disk_read(disk, 0, start, START_BYTES) : -ENOMEM;
    size_t sector;

    if (error)
        return error;
    content->name = content_name(start);
    if (!content->name) {
        int empty = is_empty(disk, start);

        if (empty < 0)
            return empty;
        content->name = empty ? "empty" : "unknown";
    }
    sector = gpt_sector_size(start);
    content->sections[CONTENT_MBR] = section(is_mbr(start), start, SECTOR);
    content->sections[CONTENT_GPT] = section(sector != 0, start + sector, GPT_HEADER_BYTES);
    content->sections[CONTENT_GPT_BACKUP] =
        section(gpt_read_backup(disk, start, backup), backup, GPT_HEADER_BYTES);
    content->sections[CONTENT_ISO9660] = section(is_iso(start), start + ISO_OFFSET, ISO_BYTES);
    return 0;
}

static const struct field mbr_fields[] = {
    {"disk_signature", MBR_DISK_SIGNATURE, 4, field_le, NULL},
#define ENTRY(n)                                                                                   \
    {"partition" #n "_boot_indicator", MBR_ENTRIES + 16 * (n - 1), 1, field_le, NULL},             \
        {"partition" #n "_type", MBR_ENTRIES + 16 * (n - 1) + 4, 1, field_le, NULL},               \
        {"partition" #n "_starting_lba", MBR_ENTRIES + 16 * (n - 1) + 8, 4, field_le, NULL},       \
    {                                                                                              \
        "partition" #n "_size_in_lba", MBR_ENTRIES + 16 * (n - 1) + 12, 4, field_le, NULL          \
    }
    ENTRY(1),
    ENTRY(2),
    ENTRY(3),
    ENTRY(4),
#undef ENTRY
    {"signature", MBR_SIGNATURE, 2, field_le, NULL},
};

static const struct field gpt_fields[] = {
    {"Signature", 0, 8, field_text, NULL},
    {"Revision", 8, 4, field_le, NULL},
    {"HeaderSize", GPT_HEADER_SIZE, 4, field_le, NULL},
    {"HeaderCRC32", 16, 4, field_le, NULL},
    {"MyLBA", 24, 8, field_le, NULL},
    {"AlternateLBA", GPT_ALTERNATE_LBA, 8, field_le, NULL},
    {"FirstUsableLBA", 40, 8, field_le, NULL},
    {"LastUsableLBA", 48, 8, field_le, NULL},
    {"DiskGUID", 56, 16, field_guid, NULL},
    {"PartitionEntryLBA", 72, 8, field_le, NULL},
    {"NumberOfPartitionEntries", 80, 4, field_le, NULL},
    {"SizeOfPartitionEntry", 84, 4, field_le, NULL},
    {"PartitionEntryArrayCRC32", 88, 4, field_le, NULL},
};

/* Of numbers in both byte orders, the little-endian one. */
static const struct field iso_fields[] = {
    {"volume_descriptor_type", 0, 1, field_le, NULL},
    {"standard_identifier", 1, 5, field_text, NULL},
    {"volume_descriptor_version", 6, 1, field_le, NULL},
    {"system_identifier", 8, 32, field_padded, NULL},
    {"volume_identifier", 40, 32, field_padded, NULL},
    {"volume_space_size", 80, 4, field_le, NULL},
    {"volume_set_size", 120, 2, field_le, NULL},
    {"volume_sequence_number", 124, 2, field_le, NULL},
    {"logical_block_size", 128, 2, field_le, NULL},
    {"path_table_size", 132, 4, field_le, NULL},
    {"volume_set_identifier", 190, 128, field_padded, NULL},
    {"publisher_identifier", 318, 128, field_padded, NULL},
    {"data_preparer_identifier", 446, 128, field_padded, NULL},
    {"application_identifier", 574, 128, field_padded, NULL},
    {"volume_creation_date", 813, 16, field_text, NULL},
    {"volume_modification_date", 830, 16, field_text, NULL},
    {"file_structure_version", 881, 1, field_le, NULL},
};

const struct header_section content_sections[CONTENT_SECTIONS + 1] = {
    [CONTENT_MBR] = {"mbr", FIELDS(mbr_fields), NULL},
    [CONTENT_GPT] = {"gpt", FIELDS(gpt_fields), NULL},
    [CONTENT_GPT_BACKUP] = {"gpt_backup", FIELDS(gpt_fields), NULL},
    [CONTENT_ISO9660] = {"iso9660", FIELDS(iso_fields), NULL},
};
