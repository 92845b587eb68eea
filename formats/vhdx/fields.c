// SPDX-License-Identifier: Apache-2.0
/*
 * The header fields of VHDX under the names of MS-VHDX, and where they are: the current header and
 * the other one (copy), the two region tables, the metadata items, the parent locator. Fields are
 * shown as stored, even if the structure is not valid: only offsets are checked.
 */
#include "fields.h"

#include <errno.h>
#include <stdio.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/fields.h"
#include "formats/image.h"
#include "header.h"
#include "locator.h"
#include "metadata.h"
#include "regions.h"

/* The bit that the field's mask selects. */
static int vhdx_print_bit(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                          size_t size)
{
    (void)length;
    snprintf(out, size, "%d", (le32(bytes) & f->words->mask) != 0);
    return 0;
}

static const struct field_word bit_0[] = {{1 << 0, ""}, {0, NULL}},
                               bit_1[] = {{1 << 1, ""}, {0, NULL}};

static const struct field identifier_fields[] = {
    {"Signature", 0, 8, field_text, NULL},
    {"Creator", 8, 512, field_utf16le, NULL},
};

static const struct field header_fields[] = {
    {"Signature", 0, 4, field_text, NULL},
    {"Checksum", 4, 4, field_le, NULL},
    {"SequenceNumber", HEADER_SEQUENCE_NUMBER, 8, field_le, NULL},
    {"FileWriteGuid", HEADER_FILE_WRITE_GUID, VHDX_GUID, field_guid, NULL},
    {"DataWriteGuid", HEADER_DATA_WRITE_GUID, VHDX_GUID, field_guid, NULL},
    {"LogGuid", HEADER_LOG_GUID, VHDX_GUID, field_guid, NULL},
    {"LogVersion", HEADER_LOG_VERSION, 2, field_le, NULL},
    {"Version", HEADER_VERSION, 2, field_le, NULL},
    {"LogLength", HEADER_LOG_LENGTH, 4, field_le, NULL},
    {"LogOffset", HEADER_LOG_OFFSET, 8, field_le, NULL},
};

static const struct field regions_fields[] = {
    {"Signature", 0, 4, field_text, NULL},
    {"Checksum", 4, 4, field_le, NULL},
    {"EntryCount", REGIONS_ENTRY_COUNT, 4, field_le, NULL},
};

static const struct field bat_fields[] = {
    {"BAT_FileOffset", REGION_FILE_OFFSET, 8, field_le, NULL},
    {"BAT_Length", REGION_LENGTH, 4, field_le, NULL},
    {"BAT_Required", REGION_FLAGS, 4, vhdx_print_bit, bit_0},
};

static const struct field metadata_region_fields[] = {
    {"Metadata_FileOffset", REGION_FILE_OFFSET, 8, field_le, NULL},
    {"Metadata_Length", REGION_LENGTH, 4, field_le, NULL},
    {"Metadata_Required", REGION_FLAGS, 4, vhdx_print_bit, bit_0},
};

static const struct field metadata_fields[] = {
    {"Signature", 0, 8, field_text, NULL},
    {"EntryCount", METADATA_ENTRY_COUNT, 2, field_le, NULL},
};

static const struct field file_parameters_fields[] = {
    {"BlockSize", PARAMETERS_BLOCK_SIZE, 4, field_le, NULL},
    {"LeaveBlocksAllocated", PARAMETERS_FLAGS, 4, vhdx_print_bit, bit_0},
    {"HasParent", PARAMETERS_FLAGS, 4, vhdx_print_bit, bit_1},
};

static const struct field disk_size_fields[] = {{"VirtualDiskSize", 0, 8, field_le, NULL}};
static const struct field disk_id_fields[] = {{"VirtualDiskId", 0, VHDX_GUID, field_guid, NULL}};
static const struct field logical_fields[] = {{"LogicalSectorSize", 0, 4, field_le, NULL}};
static const struct field physical_fields[] = {{"PhysicalSectorSize", 0, 4, field_le, NULL}};

/* The value of the key with the field's name. bytes is the whole locator. */
static int vhdx_print_value(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                            size_t size)
{
    size_t count = min_u64(le16(bytes + LOCATOR_KEY_VALUE_COUNT),
                           (length - LOCATOR_BYTES) / LOCATOR_PAIR_BYTES);

    for (size_t i = 0; i < count; i++) {
        const uint8_t *pair = bytes + LOCATOR_BYTES + i * LOCATOR_PAIR_BYTES;
        uint64_t key = le32(pair + PAIR_KEY_OFFSET), value = le32(pair + PAIR_VALUE_OFFSET);
        uint32_t key_length = le16(pair + PAIR_KEY_LENGTH);
        uint32_t value_length = le16(pair + PAIR_VALUE_LENGTH);

        if (key + key_length <= length && value + value_length <= length &&
            vhdx_is_key(bytes + key, key_length, f->name))
            return field_utf16le(f, bytes + value, value_length, out, size);
    }
    return -ENOENT;
}

/* The keys of 2.6.2.6.3. */
static const struct field locator_fields[] = {
    {"LocatorType", LOCATOR_TYPE, VHDX_GUID, field_guid, NULL},
    {"KeyValueCount", LOCATOR_KEY_VALUE_COUNT, 2, field_le, NULL},
    {"parent_linkage", 0, 0, vhdx_print_value, NULL},
    {"parent_linkage2", 0, 0, vhdx_print_value, NULL},
    {"relative_path", 0, 0, vhdx_print_value, NULL},
    {"volume_path", 0, 0, vhdx_print_value, NULL},
    {"absolute_win32_path", 0, 0, vhdx_print_value, NULL},
};

static int vhdx_locate_at(uint64_t at, uint64_t bytes, uint64_t *offset, uint64_t *length)
{
    *offset = at;
    *length = bytes;
    return 1;
}

static int vhdx_locate_identifier(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    return vhdx_locate_at(0, 8 + 512, offset, length);
}

/* An entry of a table that the end of the file cuts off: reported once. */
static int vhdx_fail_entry(struct disk *disk, uint64_t at)
{
    if (image_is_first_truncation(disk->img))
        image_note(disk->img,
                   "vhdx: the table entry at offset %llu is cut off by the end of the file",
                   (unsigned long long)at);
    return -EUCLEAN;
}

/* The current header, or the first one if none is current. */
static int vhdx_shown_header(struct disk *disk, uint64_t *at)
{
    int error = vhdx_active_header(disk->img, at);

    if (error == -EUCLEAN)
        *at = VHDX_HEADER1_AT;
    return error == -EUCLEAN ? 0 : error;
}

static int vhdx_locate_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    uint64_t at;
    int error = vhdx_shown_header(disk, &at);

    return error ? error : vhdx_locate_at(at, VHDX_HEADER_BYTES, offset, length);
}

static int vhdx_locate_header_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    uint64_t at;
    int error = vhdx_shown_header(disk, &at);

    if (error)
        return error;
    at = at == VHDX_HEADER1_AT ? VHDX_HEADER2_AT : VHDX_HEADER1_AT;
    return vhdx_locate_at(at, VHDX_HEADER_BYTES, offset, length);
}

static int vhdx_locate_regions(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    return vhdx_locate_at(VHDX_REGIONS1_AT, REGIONS_ENTRIES, offset, length);
}

static int vhdx_locate_regions_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    return vhdx_locate_at(VHDX_REGIONS2_AT, REGIONS_ENTRIES, offset, length);
}

/* The entry of a region in the region table at that offset. */
static int vhdx_locate_region(struct disk *disk, uint64_t table, const uint8_t *guid,
                              uint64_t *offset, uint64_t *length)
{
    const uint8_t *head, *entries;
    size_t count;
    int error = image_get(disk->img, table, REGIONS_ENTRIES, &head);

    if (error)
        return error;
    count = min_u64(le32(head + REGIONS_ENTRY_COUNT), VHDX_TABLE_ENTRIES);
    error = image_get(disk->img, table + REGIONS_ENTRIES, count * REGION_BYTES, &entries);
    for (size_t i = 0; !error && i < count; i++) {
        uint64_t at = table + REGIONS_ENTRIES + i * REGION_BYTES;

        if (!image_holds(disk->img, at, REGION_BYTES))
            return vhdx_fail_entry(disk, at);
        if (memcmp(entries + i * REGION_BYTES + REGION_GUID, guid, VHDX_GUID) == 0)
            return vhdx_locate_at(at, REGION_BYTES, offset, length);
    }
    return error;
}

static int vhdx_locate_bat(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_region(disk, VHDX_REGIONS1_AT, vhdx_bat_guid, offset, length);
}

static int vhdx_locate_bat_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_region(disk, VHDX_REGIONS2_AT, vhdx_bat_guid, offset, length);
}

static int vhdx_locate_metadata_region(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_region(disk, VHDX_REGIONS1_AT, vhdx_metadata_guid, offset, length);
}

static int vhdx_locate_metadata_region_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_region(disk, VHDX_REGIONS2_AT, vhdx_metadata_guid, offset, length);
}

static int vhdx_locate_metadata(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *entry;
    int found = vhdx_locate_metadata_region(disk, offset, length);
    int error = found == 1 ? image_get(disk->img, *offset, REGION_BYTES, &entry) : found;

    if (error || found != 1)
        return error;
    return vhdx_locate_at(le64(entry + REGION_FILE_OFFSET), METADATA_HEADER_BYTES, offset, length);
}

static int vhdx_locate_item(struct disk *disk, enum vhdx_item item, uint64_t *offset,
                            uint64_t *length)
{
    const uint8_t *table, *entries;
    uint64_t at;
    size_t count;
    int found = vhdx_locate_metadata(disk, &at, length);
    int error;

    if (found != 1)
        return found;
    if (!image_holds(disk->img, at, METADATA_HEADER_BYTES)) /* reported for the table itself */
        return -EUCLEAN;
    error = image_get(disk->img, at, METADATA_HEADER_BYTES, &table);
    if (error)
        return error;
    count = min_u64(le16(table + METADATA_ENTRY_COUNT), VHDX_TABLE_ENTRIES);
    error =
        image_get(disk->img, at + METADATA_HEADER_BYTES, count * METADATA_ENTRY_BYTES, &entries);
    for (size_t i = 0; !error && i < count; i++) {
        const uint8_t *entry = entries + i * METADATA_ENTRY_BYTES;
        uint64_t entry_at = at + METADATA_HEADER_BYTES + i * METADATA_ENTRY_BYTES;

        if (!image_holds(disk->img, entry_at, METADATA_ENTRY_BYTES))
            return vhdx_fail_entry(disk, entry_at);
        if (vhdx_item_by_guid(entry + METADATA_ITEM_ID) != item)
            continue;
        *offset = at + le32(entry + METADATA_OFFSET);
        *length = le32(entry + METADATA_LENGTH);
        return 1;
    }
    return error;
}

static int vhdx_locate_file_parameters(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_item(disk, VHDX_FILE_PARAMETERS, offset, length);
}

static int vhdx_locate_disk_size(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_item(disk, VHDX_DISK_SIZE, offset, length);
}

static int vhdx_locate_disk_id(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_item(disk, VHDX_DISK_ID, offset, length);
}

static int vhdx_locate_logical(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_item(disk, VHDX_LOGICAL_SECTOR, offset, length);
}

static int vhdx_locate_physical(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return vhdx_locate_item(disk, VHDX_PHYSICAL_SECTOR, offset, length);
}

static int vhdx_locate_locator(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    int found = vhdx_locate_item(disk, VHDX_PARENT_LOCATOR, offset, length);

    if (found != 1 || *length < LOCATOR_BYTES)
        return found < 0 ? found : 0;
    *length = min_u64(*length, FIELD_SECTION_MAX);
    return 1;
}

const struct header_section vhdx_sections[] = {
    {"", FIELDS(header_fields), vhdx_locate_header},
    {"copy", FIELDS(header_fields), vhdx_locate_header_copy},
    {"file_type_identifier", FIELDS(identifier_fields), vhdx_locate_identifier},
    {"region", FIELDS(regions_fields), vhdx_locate_regions},
    {"region", FIELDS(bat_fields), vhdx_locate_bat},
    {"region", FIELDS(metadata_region_fields), vhdx_locate_metadata_region},
    {"region_copy", FIELDS(regions_fields), vhdx_locate_regions_copy},
    {"region_copy", FIELDS(bat_fields), vhdx_locate_bat_copy},
    {"region_copy", FIELDS(metadata_region_fields), vhdx_locate_metadata_region_copy},
    {"metadata", FIELDS(metadata_fields), vhdx_locate_metadata},
    {"metadata", FIELDS(file_parameters_fields), vhdx_locate_file_parameters},
    {"metadata", FIELDS(disk_size_fields), vhdx_locate_disk_size},
    {"metadata", FIELDS(disk_id_fields), vhdx_locate_disk_id},
    {"metadata", FIELDS(logical_fields), vhdx_locate_logical},
    {"metadata", FIELDS(physical_fields), vhdx_locate_physical},
    {"parent_locator", FIELDS(locator_fields), vhdx_locate_locator},
    {.fields = NULL},
};
