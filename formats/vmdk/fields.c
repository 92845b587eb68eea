// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: what header/ shows: the headers of the three kinds of sparse extents, and the keys of a
 * descriptor, embedded or in a file of its own. A key is shown in a file of its name.
 */
#include "fields.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cowd.h"
#include "descriptor.h"
#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/fields.h"
#include "formats/image.h"
#include "hosted.h"
#include "sesparse.h"
#include "state.h"

static const struct field_word hosted_words[] = {
    {1 << 0, "newline-test"},     {1 << 1, "redundant-grain-table"},
    {1 << 2, "zeroed-grain-gte"}, {1 << 16, "compressed"},
    {1 << 17, "markers"},         {0, NULL},
};

/* SparseExtentHeader. */
static const struct field hosted_fields[] = {
    {"magicNumber", 0, 4, field_hex, NULL},
    {"version", HOSTED_VERSION, 4, field_le, NULL},
    {"flags", HOSTED_FLAGS, 4, field_flags_le, hosted_words},
    {"capacity", HOSTED_CAPACITY, 8, field_le, NULL},
    {"grainSize", HOSTED_GRAIN_SIZE, 8, field_le, NULL},
    {"descriptorOffset", HOSTED_DESCRIPTOR_OFFSET, 8, field_le, NULL},
    {"descriptorSize", HOSTED_DESCRIPTOR_SIZE, 8, field_le, NULL},
    {"numGTEsPerGT", HOSTED_NUM_GTES_PER_GT, 4, field_le, NULL},
    {"rgdOffset", HOSTED_RGD_OFFSET, 8, field_le, NULL},
    {"gdOffset", HOSTED_GD_OFFSET, 8, field_le, NULL},
    {"overHead", HOSTED_OVER_HEAD, 8, field_le, NULL},
    {"uncleanShutdown", 72, 1, field_le, NULL},
    {"singleEndLineChar", 73, 1, field_le, NULL},
    {"nonEndLineChar", 74, 1, field_le, NULL},
    {"doubleEndLineChar1", 75, 1, field_le, NULL},
    {"doubleEndLineChar2", 76, 1, field_le, NULL},
    {"compressAlgorithm", HOSTED_COMPRESS_ALGORITHM, 2, field_le, NULL},
};

static const struct field_word no_words[] = {{0, NULL}};

/* COWDisk_Header. Its members for a root and for a child are a union. */
static const struct field cowd_fields[] = {
    {"magicNumber", 0, 4, field_hex, NULL},
    {"version", 4, 4, field_le, NULL},
    {"flags", 8, 4, field_flags_le, no_words},
    {"numSectors", COWD_NUM_SECTORS, 4, field_le, NULL},
    {"grainSize", COWD_GRAIN_SIZE, 4, field_le, NULL},
    {"gdOffset", COWD_GD_OFFSET, 4, field_le, NULL},
    {"numGDEntries", COWD_NUM_GD_ENTRIES, 4, field_le, NULL},
    {"freeSector", 28, 4, field_le, NULL},
    {"cylinders", 32, 4, field_le, NULL},
    {"heads", 36, 4, field_le, NULL},
    {"sectors", 40, 4, field_le, NULL},
    {"parentFileName", 32, 1024, field_text, NULL},
    {"parentGeneration", 1056, 4, field_le, NULL},
    {"generation", 1060, 4, field_le, NULL},
    {"name", 1064, 60, field_text, NULL},
    {"description", 1124, 512, field_text, NULL},
    {"savedGeneration", 1636, 4, field_le, NULL},
    {"uncleanShutdown", 1648, 4, field_le, NULL},
};

/* Named as in qemu: there is no specification. */
static const struct field sesparse_fields[] = {
    {"magic", 0, 8, field_hex, NULL},
    {"version", SESPARSE_VERSION, 8, field_le, NULL},
    {"capacity", SESPARSE_CAPACITY, 8, field_le, NULL},
    {"grain_size", SESPARSE_GRAIN_SIZE, 8, field_le, NULL},
    {"grain_table_size", SESPARSE_GRAIN_TABLE_SIZE, 8, field_le, NULL},
    {"flags", SESPARSE_FLAGS, 8, field_flags_le, no_words},
    {"reserved1", SESPARSE_RESERVED, 8, field_le, NULL},
    {"reserved2", 56, 8, field_le, NULL},
    {"reserved3", 64, 8, field_le, NULL},
    {"reserved4", 72, 8, field_le, NULL},
    {"volatile_header_offset", SESPARSE_VOLATILE_HEADER_OFFSET, 8, field_le, NULL},
    {"volatile_header_size", 88, 8, field_le, NULL},
    {"journal_header_offset", 96, 8, field_le, NULL},
    {"journal_header_size", 104, 8, field_le, NULL},
    {"journal_offset", 112, 8, field_le, NULL},
    {"journal_size", 120, 8, field_le, NULL},
    {"grain_dir_offset", SESPARSE_GRAIN_DIR_OFFSET, 8, field_le, NULL},
    {"grain_dir_size", SESPARSE_GRAIN_DIR_SIZE, 8, field_le, NULL},
    {"grain_tables_offset", SESPARSE_GRAIN_TABLES_OFFSET, 8, field_le, NULL},
    {"grain_tables_size", 152, 8, field_le, NULL},
    {"free_bitmap_offset", 160, 8, field_le, NULL},
    {"free_bitmap_size", 168, 8, field_le, NULL},
    {"backmap_offset", 176, 8, field_le, NULL},
    {"backmap_size", 184, 8, field_le, NULL},
    {"grains_offset", SESPARSE_GRAINS_OFFSET, 8, field_le, NULL},
    {"grains_size", 200, 8, field_le, NULL},
};

static const struct field sesparse_volatile_fields[] = {
    {"magic", 0, 8, field_hex, NULL},
    {"free_gt_number", 8, 8, field_le, NULL},
    {"next_txn_seq_number", 16, 8, field_le, NULL},
    {"replay_journal", VOLATILE_REPLAY_JOURNAL, 8, field_le, NULL},
};

/* The value of the key with the field's name. */
static int vmdk_print_key(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                          size_t size)
{
    struct vmdk_text text = {(const char *)bytes, strnlen((const char *)bytes, length)}, value;

    if (!vmdk_text_value(text, f->name, &value))
        return -ENOENT;
    escape_text(out, size, value.bytes, value.length);
    return 0;
}

/* The extent lines, joined with semicolons. */
static int vmdk_print_extents(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                              size_t size)
{
    struct vmdk_text text = {(const char *)bytes, strnlen((const char *)bytes, length)}, line;
    size_t used = 0;

    (void)f;
    while (used < size && vmdk_text_line(&text, &line)) {
        struct vmdk_text rest = line, access = vmdk_text_word(&rest);

        if (!vmdk_text_is(&access, "RW") && !vmdk_text_is(&access, "RDONLY") &&
            !vmdk_text_is(&access, "NOACCESS"))
            continue;
        if (used)
            used += (size_t)snprintf(out + used, size - used, "; ");
        if (used < size)
            used += escape_text(out + used, size - used, line.bytes, line.length);
    }
    return used ? 0 : -ENOENT;
}

#define KEY(name)                                                                                  \
    {                                                                                              \
        name, 0, 0, vmdk_print_key, NULL                                                           \
    }

/* Keys of the specification, and those that VMware's programs, VirtualBox and qemu write. */
static const struct field descriptor_fields[] = {
    KEY("version"),
    KEY("encoding"),
    KEY("CID"),
    KEY("parentCID"),
    KEY("isNativeSnapshot"),
    KEY("createType"),
    KEY("parentFileNameHint"),
    KEY("changeTrackPath"),
    {"extents", 0, 0, vmdk_print_extents, NULL},
    KEY("ddb.adapterType"),
    KEY("ddb.comment"),
    KEY("ddb.deletable"),
    KEY("ddb.encoding"),
    KEY("ddb.geometry.cylinders"),
    KEY("ddb.geometry.heads"),
    KEY("ddb.geometry.sectors"),
    KEY("ddb.geometry.biosCylinders"),
    KEY("ddb.geometry.biosHeads"),
    KEY("ddb.geometry.biosSectors"),
    KEY("ddb.longContentID"),
    KEY("ddb.objectParentUri"),
    KEY("ddb.thinProvisioned"),
    KEY("ddb.toolsInstallType"),
    KEY("ddb.toolsVersion"),
    KEY("ddb.uuid"),
    KEY("ddb.uuid.image"),
    KEY("ddb.uuid.modification"),
    KEY("ddb.uuid.parent"),
    KEY("ddb.uuid.parentmodification"),
    KEY("ddb.virtualHWVersion"),
};

/* Whether the file begins with that magic. 1, 0 or -errno. */
static int vmdk_begins_with(struct disk *disk, const char *magic, size_t length,
                            const uint8_t **head)
{
    int error = image_head(disk->img, head);

    return error ? error : memcmp(*head, magic, length) == 0;
}

/* Finds the footer, if gdOffset calls for one and its magic is right. 1, 0 or -errno. */
static int vmdk_find_footer(struct disk *disk, const uint8_t *head, uint64_t *offset)
{
    const uint8_t *footer;
    int error;

    if (le64(head + HOSTED_GD_OFFSET) != VMDK_GD_AT_END || !vmdk_footer_place(disk->img, offset))
        return 0;
    error = image_get(disk->img, *offset, SECTOR, &footer);
    return error ? error : memcmp(footer, VMDK_MAGIC_HOSTED, 4) == 0;
}

/* The valid header: in the footer of a stream, otherwise in front. */
static int vmdk_locate_hosted(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *head;
    int found = vmdk_begins_with(disk, VMDK_MAGIC_HOSTED, 4, &head);

    *length = HOSTED_BYTES;
    if (found != 1)
        return found;
    found = vmdk_find_footer(disk, head, offset);
    if (found == 0)
        *offset = 0;
    return found < 0 ? found : 1;
}

/* The header in front, if the one in the footer is valid. */
static int vmdk_locate_copy(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *head;
    uint64_t footer;
    int found = vmdk_begins_with(disk, VMDK_MAGIC_HOSTED, 4, &head);

    *offset = 0;
    *length = HOSTED_BYTES;
    return found == 1 ? vmdk_find_footer(disk, head, &footer) : found;
}

static int vmdk_locate_cowd(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *head;

    *offset = 0;
    *length = COWD_BYTES;
    return vmdk_begins_with(disk, VMDK_MAGIC_COWD, 4, &head);
}

static int vmdk_locate_sesparse(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *head;

    *offset = 0;
    *length = SESPARSE_HEADER_BYTES;
    return vmdk_begins_with(disk, VMDK_MAGIC_SESPARSE, 8, &head);
}

static int vmdk_locate_volatile(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *head;
    int found = vmdk_begins_with(disk, VMDK_MAGIC_SESPARSE, 8, &head);

    *length = SESPARSE_HEADER_BYTES;
    if (found != 1)
        return found;
    return checked_mul(le64(head + SESPARSE_VOLATILE_HEADER_OFFSET), SECTOR, offset);
}

/* The embedded descriptor of an extent; of any other file, all of it. */
static int vmdk_locate_descriptor(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    struct vmdk_text text, usual;
    const uint8_t *head;
    uint64_t at = 0, size = 0;
    int error = image_head(disk->img, &head);

    *offset = 0;
    *length = min_u64(image_size(disk->img), VMDK_DESCRIPTOR_MAX);
    if (error)
        return error;
    if (memcmp(head, VMDK_MAGIC_SESPARSE, 8) == 0)
        return 0;
    if (memcmp(head, VMDK_MAGIC_HOSTED, 4) == 0) {
        at = le64(head + HOSTED_DESCRIPTOR_OFFSET);
        size = le64(head + HOSTED_DESCRIPTOR_SIZE);
    } else if (memcmp(head, VMDK_MAGIC_COWD, 4) != 0) {
        return 1;
    }
    error = vmdk_embedded_read(disk->img, at, size, &text, &usual);
    /* A descriptor that cannot be used is shown, too. */
    if (!error && !text.length && at && checked_mul(at, SECTOR, offset))
        error = vmdk_text_read(disk->img, *offset, VMDK_EMBEDDED_BYTES, &text);
    *offset = text.bytes == usual.bytes ? SECTOR : at * SECTOR;
    *length = text.length;
    return error ? error : text.length > 0;
}

const struct header_section vmdk_sections[] = {
    {"", FIELDS(hosted_fields), vmdk_locate_hosted},
    {"copy", FIELDS(hosted_fields), vmdk_locate_copy},
    {"", FIELDS(cowd_fields), vmdk_locate_cowd},
    {"", FIELDS(sesparse_fields), vmdk_locate_sesparse},
    {"volatile", FIELDS(sesparse_volatile_fields), vmdk_locate_volatile},
    {"descriptor", FIELDS(descriptor_fields), vmdk_locate_descriptor},
    {.fields = NULL},
};
