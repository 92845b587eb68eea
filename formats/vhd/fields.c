// SPDX-License-Identifier: Apache-2.0
/*
 * The header fields of a VHD under the names of its specification, and where they are: the footer
 * that is used, the other one (copy), the dynamic disk header (dynamic).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/fields.h"
#include "vhd.h"

static const struct field_word feature_words[] = {
    {1 << 0, "temporary"},
    {1 << 1, "reserved"}, /* always set */
    {0, NULL},
};

/* The product of the geometry, in bytes: the disk's size for writers that go by the geometry. */
static int vhd_print_geometry_size(const struct field *f, const uint8_t *bytes, size_t length,
                                   char *out, size_t size)
{
    (void)length;
    snprintf(out, size, "%" PRIu64, vhd_geometry_sectors(bytes - f->offset) * SECTOR);
    return 0;
}

static const struct field footer_fields[] = {
    {"cookie", 0, 8, field_text, NULL},
    {"features", FOOTER_FEATURES, 4, field_flags_be, feature_words},
    {"file_format_version", FOOTER_FILE_FORMAT_VERSION, 4, field_be, NULL},
    {"data_offset", FOOTER_DATA_OFFSET, 8, field_be, NULL},
    {"time_stamp", FOOTER_TIME_STAMP, 4, field_be, NULL},
    {"creator_application", FOOTER_CREATOR_APPLICATION, 4, field_padded, NULL},
    {"creator_version", FOOTER_CREATOR_VERSION, 4, field_be, NULL},
    {"creator_host_os", FOOTER_CREATOR_HOST_OS, 4, field_padded, NULL},
    {"original_size", FOOTER_ORIGINAL_SIZE, 8, field_be, NULL},
    {"current_size", FOOTER_CURRENT_SIZE, 8, field_be, NULL},
    {"cylinders", FOOTER_CYLINDERS, 2, field_be, NULL},
    {"heads", FOOTER_HEADS, 1, field_be, NULL},
    {"sectors_per_track", FOOTER_SECTORS_PER_TRACK, 1, field_be, NULL},
    {"geometry_size", FOOTER_CYLINDERS, 4, vhd_print_geometry_size, NULL},
    {"disk_type", FOOTER_DISK_TYPE, 4, field_be, NULL},
    {"checksum", FOOTER_CHECKSUM, 4, field_be, NULL},
    {"unique_id", FOOTER_UNIQUE_ID, 16, field_uuid, NULL},
    {"saved_state", FOOTER_SAVED_STATE, 1, field_be, NULL},
};

/* Fields of a locator get its whole entry: an entry of zeros is unused, and has no fields. */
static int vhd_print_code(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                          size_t size)
{
    (void)length;
    return vhd_locator_is_used(bytes) ? field_text(f, bytes + LOCATOR_PLATFORM_CODE, 4, out, size)
                                      : -ENOENT;
}

static int vhd_print_space(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                           size_t size)
{
    (void)length;
    return vhd_locator_is_used(bytes)
               ? field_be(f, bytes + LOCATOR_PLATFORM_DATA_SPACE, 4, out, size)
               : -ENOENT;
}

static int vhd_print_length(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                            size_t size)
{
    (void)length;
    return vhd_locator_is_used(bytes)
               ? field_be(f, bytes + LOCATOR_PLATFORM_DATA_LENGTH, 4, out, size)
               : -ENOENT;
}

static int vhd_print_offset(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                            size_t size)
{
    (void)length;
    return vhd_locator_is_used(bytes)
               ? field_be(f, bytes + LOCATOR_PLATFORM_DATA_OFFSET, 8, out, size)
               : -ENOENT;
}

/* The fields of locator n, from 1 on. */
#define LOCATOR_FIELD(n, name, print)                                                              \
    {                                                                                              \
        "parent_locator_" #n "_" name, DYNAMIC_PARENT_LOCATORS + ((n)-1) * PARENT_LOCATOR_BYTES,   \
            PARENT_LOCATOR_BYTES, print, NULL                                                      \
    }
#define LOCATOR_FIELDS(n)                                                                          \
    LOCATOR_FIELD(n, "platform_code", vhd_print_code),                                             \
        LOCATOR_FIELD(n, "platform_data_space", vhd_print_space),                                  \
        LOCATOR_FIELD(n, "platform_data_length", vhd_print_length),                                \
        LOCATOR_FIELD(n, "platform_data_offset", vhd_print_offset)

static const struct field dynamic_fields[] = {
    {"cookie", 0, 8, field_text, NULL},
    {"data_offset", DYNAMIC_DATA_OFFSET, 8, field_be, NULL},
    {"table_offset", DYNAMIC_TABLE_OFFSET, 8, field_be, NULL},
    {"header_version", DYNAMIC_HEADER_VERSION, 4, field_be, NULL},
    {"max_table_entries", DYNAMIC_MAX_TABLE_ENTRIES, 4, field_be, NULL},
    {"block_size", DYNAMIC_BLOCK_SIZE, 4, field_be, NULL},
    {"checksum", DYNAMIC_CHECKSUM, 4, field_be, NULL},
    {"parent_unique_id", DYNAMIC_PARENT_UNIQUE_ID, 16, field_uuid, NULL},
    {"parent_time_stamp", DYNAMIC_PARENT_TIME_STAMP, 4, field_be, NULL},
    {"parent_unicode_name", DYNAMIC_PARENT_UNICODE_NAME, DYNAMIC_PARENT_NAME_BYTES, field_utf16be,
     NULL},
    LOCATOR_FIELDS(1),
    LOCATOR_FIELDS(2),
    LOCATOR_FIELDS(3),
    LOCATOR_FIELDS(4),
    LOCATOR_FIELDS(5),
    LOCATOR_FIELDS(6),
    LOCATOR_FIELDS(7),
    LOCATOR_FIELDS(8),
};

static int vhd_locate_footer(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    struct vhd_footer footer;
    int error = vhd_find_footer(disk->img, &footer);

    if (error)
        return error;
    *offset = footer.offset;
    *length = FOOTER_BYTES;
    return footer.has_cookie;
}

/* The last footer of a disk whose leading one is used. A fixed disk has no copy: its first sector
 * belongs to the guest. */
static int vhd_locate_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    struct vhd_footer used, last;
    int error = vhd_find_footer(disk->img, &used);

    if (!error && used.is_leading)
        error = vhd_find_last_footer(disk->img, &last);
    if (error || !used.is_leading || last.offset == 0)
        return error;
    *offset = last.offset;
    *length = FOOTER_BYTES;
    return last.has_cookie;
}

static int vhd_locate_dynamic(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    struct vhd_footer footer;
    int error = vhd_find_footer(disk->img, &footer);
    uint32_t type;

    if (error || !footer.has_cookie)
        return error;
    type = be32(footer.bytes + FOOTER_DISK_TYPE);
    if (!footer.is_leading && type != TYPE_DYNAMIC && type != TYPE_DIFFERENCING)
        return 0;
    *offset = be64(footer.bytes + FOOTER_DATA_OFFSET);
    *length = DYNAMIC_BYTES;
    if (*offset == UINT64_MAX) /* "none" */
        return 0;
    return 1;
}

const struct header_section vhd_sections[] = {
    {"", FIELDS(footer_fields), vhd_locate_footer},
    {"copy", FIELDS(footer_fields), vhd_locate_copy},
    {"dynamic", FIELDS(dynamic_fields), vhd_locate_dynamic},
    {.fields = NULL},
};
