// SPDX-License-Identifier: Apache-2.0
/*
 * luks: Linux Unified Key Setup, version 1 (LUKS On-Disk Format Specification 1.2.3) and version 2
 * (luks2.c), as containers. Big endian.
 *
 * A header, key material, and the payload: the encrypted disk, up to the end of the file. Keys are
 * never requested, so the whole disk is data that cannot be read. qemu supports only version 1 and
 * treats version 2 as raw.
 */
#include <errno.h>
#include <stdio.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/extents.h"
#include "formats/fields.h"
#include "formats/format.h"
#include "formats/image.h"
#include "luks2.h"

enum {
    CIPHER_NAME = 8,
    CIPHER_MODE = 40,
    HASH_SPEC = 72,
    WORD_BYTES = 32, /* of each of these three */
    PAYLOAD_OFFSET = 104,
    KEY_BYTES = 108,
    MK_DIGEST_ITER = 164,
    UUID = 168,
    HEADER_BYTES = 592,

    KEY_SLOTS = 208,
    KEY_SLOT_BYTES = 48,
    KEY_SLOT_COUNT = 8,
    SLOT_ACTIVE = 0,
    SLOT_ITERATIONS = 4,
    SLOT_KEY_MATERIAL_OFFSET = 40,
    SLOT_STRIPES = 44,

    STRIPES = 4000, /* no other number is in use */

    /* The sizes of the header and of the key material of a slot are multiples of this. */
    AREA_SECTORS = 8,
};

#define KEY_ENABLED  UINT32_C(0x00ac71f3)
#define KEY_DISABLED UINT32_C(0x0000dead)

static bool luks1_is_terminated(const uint8_t *word)
{
    return memchr(word, '\0', WORD_BYTES) != NULL;
}

/* Checks the fields other than key slots, by qemu's rules. */
static int luks1_check_header(struct image *img, const uint8_t *header)
{
    uint32_t payload = be32(header + PAYLOAD_OFFSET);

    if (!luks1_is_terminated(header + CIPHER_NAME))
        return image_fail(img, EUCLEAN, "luks: cipher-name is not NUL-terminated");
    if (!luks1_is_terminated(header + CIPHER_MODE))
        return image_fail(img, EUCLEAN, "luks: cipher-mode is not NUL-terminated");
    if (!luks1_is_terminated(header + HASH_SPEC))
        return image_fail(img, EUCLEAN, "luks: hash-spec is not NUL-terminated");
    if (payload == 0)
        return image_fail(img, ENOTSUP,
                          "luks: payload-offset 0: the header is detached from its payload");
    if (payload < AREA_SECTORS)
        return image_fail(img, EUCLEAN,
                          "luks: payload-offset %u is inside the header of %d sectors", payload,
                          AREA_SECTORS);
    if (be32(header + MK_DIGEST_ITER) == 0)
        return image_fail(img, EUCLEAN, "luks: mk-digest-iter 0 is less than 1");
    return 0;
}

/* Number of sectors of the key material of each slot. */
static uint64_t luks1_material_sectors(const uint8_t *header)
{
    uint64_t sectors = div_up((uint64_t)be32(header + KEY_BYTES) * STRIPES, SECTOR);

    return div_up(sectors, AREA_SECTORS) * AREA_SECTORS;
}

static const uint8_t *luks1_key_slot(const uint8_t *header, unsigned number)
{
    return header + KEY_SLOTS + number * KEY_SLOT_BYTES;
}

/* Checks a key slot, numbered from 0, by qemu's rules, whether or not it is enabled. */
static int luks1_check_key_slot(struct image *img, const uint8_t *header, unsigned number)
{
    const uint8_t *slot = luks1_key_slot(header, number);
    uint64_t begin = be32(slot + SLOT_KEY_MATERIAL_OFFSET),
             sectors = luks1_material_sectors(header);
    uint32_t active = be32(slot + SLOT_ACTIVE), payload = be32(header + PAYLOAD_OFFSET);

    if (be32(slot + SLOT_STRIPES) != STRIPES)
        return image_fail(img, EUCLEAN, "luks: key slot %u: stripes %u is not %d", number + 1,
                          be32(slot + SLOT_STRIPES), STRIPES);
    if (active != KEY_ENABLED && active != KEY_DISABLED)
        return image_fail(img, EUCLEAN,
                          "luks: key slot %u: active 0x%08x is neither 0x%08x nor 0x%08x",
                          number + 1, active, KEY_ENABLED, KEY_DISABLED);
    if (active == KEY_ENABLED && be32(slot + SLOT_ITERATIONS) == 0)
        return image_fail(img, EUCLEAN, "luks: key slot %u: iterations 0 is less than 1",
                          number + 1);
    if (begin < AREA_SECTORS)
        return image_fail(
            img, EUCLEAN,
            "luks: key slot %u: key-material-offset %llu is inside the header of %d sectors",
            number + 1, (unsigned long long)begin, AREA_SECTORS);
    if (begin + sectors > payload)
        return image_fail(
            img, EUCLEAN,
            "luks: key slot %u: key material up to sector %llu overlaps the payload at sector %u",
            number + 1, (unsigned long long)(begin + sectors), payload);
    for (unsigned other = number + 1; other < KEY_SLOT_COUNT; other++) {
        uint64_t place = be32(luks1_key_slot(header, other) + SLOT_KEY_MATERIAL_OFFSET);

        if (begin + sectors > place && place + sectors > begin)
            return image_fail(img, EUCLEAN,
                              "luks: the key material of key slots %u and %u overlaps", number + 1,
                              other + 1);
    }
    return 0;
}

static int luks1_open(struct disk *disk, struct luks_payload *payload)
{
    const uint8_t *header;
    int error = image_get(disk->img, 0, HEADER_BYTES, &header);

    if (!error)
        error = luks1_check_header(disk->img, header);
    for (unsigned i = 0; i < KEY_SLOT_COUNT && !error; i++)
        error = luks1_check_key_slot(disk->img, header, i);
    if (error)
        return error;
    payload->offset = (uint64_t)be32(header + PAYLOAD_OFFSET) * SECTOR;
    payload->size = LUKS_SIZE_DYNAMIC;
    return 0;
}

/* Sets the virtual size: the size of the payload or, if that is dynamic, the rest of the file,
 * rounded up to sectors as in qemu. */
static int luks_open_payload(struct disk *disk, const struct luks_payload *payload)
{
    uint64_t end;

    if (!checked_round_up(image_size(disk->img), SECTOR, &end) || end < payload->offset)
        return image_fail(disk->img, EUCLEAN,
                          "luks: the payload at offset %llu is past the end of the file",
                          (unsigned long long)payload->offset);
    disk->virtual_size = payload->size == LUKS_SIZE_DYNAMIC ? end - payload->offset : payload->size;
    if (disk->virtual_size > DISK_BYTES_MAX)
        return image_fail(disk->img, EFBIG, "luks: payload of %llu bytes is larger than %llu",
                          (unsigned long long)disk->virtual_size,
                          (unsigned long long)DISK_BYTES_MAX);
    return 0;
}

static int luks_open(struct disk *disk)
{
    struct luks_payload payload = {.offset = 0};
    const uint8_t *header;
    unsigned version;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    version = be16(header + LUKS_VERSION);
    if (memcmp(header, LUKS_MAGIC, LUKS_MAGIC_BYTES) != 0)
        return image_fail(disk->img, EUCLEAN, "luks: magic at offset 0 is not LUKS\\xba\\xbe");
    if (version != 1 && version != 2)
        return image_fail(disk->img, ENOTSUP, "luks: version %u is not 1 or 2", version);
    disk->subformat = version == 1 ? "luks1" : "luks2";
    disk->is_encrypted = true;
    error = version == 1 ? luks1_open(disk, &payload) : luks2_open(disk, &payload);
    return error ? error : luks_open_payload(disk, &payload);
}

static int luks_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *header;
    int error = image_head(img, &header);
    unsigned version;

    (void)signature;
    if (error)
        return error;
    version = be16(header + LUKS_VERSION);
    if (version == 1 || version == 2)
        return 1;
    snprintf(why->words, sizeof why->words, "version %u is not 1 or 2", version);
    return 0;
}

/* Holes of the host file are data, too: zeros decrypt to arbitrary bytes. */
static int luks_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    (void)want;
    extent->kind = EXTENT_DATA;
    extent->length = disk->virtual_size - offset;
    return 0;
}

static int luks1_print_active(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                              size_t size)
{
    uint32_t active = be32(bytes);

    if (active != KEY_ENABLED && active != KEY_DISABLED)
        return field_be(f, bytes, length, out, size);
    snprintf(out, size, "%s", active == KEY_ENABLED ? "enabled" : "disabled");
    return 0;
}

/* Fields that have the same offset in both versions. */
static const struct field common_fields[] = {
    {"magic", 0, LUKS_MAGIC_BYTES, field_hex, NULL},
    {"version", LUKS_VERSION, 2, field_be, NULL},
    {"uuid", UUID, 40, field_text, NULL},
};

/* The names are those of the specification of version 1. */
static const struct field luks1_fields[] = {
    {"cipher-name", CIPHER_NAME, WORD_BYTES, field_text, NULL},
    {"cipher-mode", CIPHER_MODE, WORD_BYTES, field_text, NULL},
    {"hash-spec", HASH_SPEC, WORD_BYTES, field_text, NULL},
    {"payload-offset", PAYLOAD_OFFSET, 4, field_be, NULL},
    {"key-bytes", KEY_BYTES, 4, field_be, NULL},
    {"mk-digest", 112, 20, field_hex, NULL},
    {"mk-digest-salt", 132, 32, field_hex, NULL},
    {"mk-digest-iter", MK_DIGEST_ITER, 4, field_be, NULL},
};

enum { KEY_SLOT_FIELDS = 5 };

/* The fields of the slot at offset at of the header. */
#define KEY_SLOT(at)                                                                               \
    {                                                                                              \
        {"active", (at) + SLOT_ACTIVE, 4, luks1_print_active, NULL},                               \
            {"iterations", (at) + SLOT_ITERATIONS, 4, field_be, NULL},                             \
            {"salt", (at) + 8, 32, field_hex, NULL},                                               \
            {"key-material-offset", (at) + SLOT_KEY_MATERIAL_OFFSET, 4, field_be, NULL},           \
            {"stripes", (at) + SLOT_STRIPES, 4, field_be, NULL},                                   \
    }

static const struct field key_slot_fields[KEY_SLOT_COUNT][KEY_SLOT_FIELDS] = {
    KEY_SLOT(KEY_SLOTS),
    KEY_SLOT(KEY_SLOTS + 1 * KEY_SLOT_BYTES),
    KEY_SLOT(KEY_SLOTS + 2 * KEY_SLOT_BYTES),
    KEY_SLOT(KEY_SLOTS + 3 * KEY_SLOT_BYTES),
    KEY_SLOT(KEY_SLOTS + 4 * KEY_SLOT_BYTES),
    KEY_SLOT(KEY_SLOTS + 5 * KEY_SLOT_BYTES),
    KEY_SLOT(KEY_SLOTS + 6 * KEY_SLOT_BYTES),
    KEY_SLOT(KEY_SLOTS + 7 * KEY_SLOT_BYTES),
};

/* The names are those of the specification of version 2. */
static const struct field luks2_fields[] = {
    {"hdr_size", LUKS2_HDR_SIZE, 8, field_be, NULL},
    {"seqid", 16, 8, field_be, NULL},
    {"label", 24, 48, field_text, NULL},
    {"csum_alg", 72, 32, field_text, NULL},
    {"salt", 104, 64, field_hex, NULL},
    {"subsystem", 208, 48, field_text, NULL},
    {"hdr_offset", LUKS2_HDR_OFFSET, 8, field_be, NULL},
    {"csum", 448, 64, field_hex, NULL},
};

/* Prints JSON as it is in the file, with its own escapes. */
static int luks2_print_json(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                            size_t size)
{
    (void)f;
    escape_line(out, size, (const char *)bytes, strnlen((const char *)bytes, length));
    return 0;
}

static const struct field json_fields[] = {{"json_area", 0, 0, luks2_print_json, NULL}};

/* Finds the header at the start of the file, if it is of this version. */
static int luks_find_version(struct disk *disk, unsigned version, uint64_t *offset,
                             uint64_t *length)
{
    const uint8_t *header;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    *offset = 0;
    *length = version == 1 ? HEADER_BYTES : SECTOR;
    return be16(header + LUKS_VERSION) == version;
}

static int luks1_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return luks_find_version(disk, 1, offset, length);
}

static int luks2_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return luks_find_version(disk, 2, offset, length);
}

static int luks_find_common(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    *offset = 0;
    *length = SECTOR;
    return 1;
}

static int luks2_find_copy_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    int found = luks_find_version(disk, 2, offset, length);

    return found == 1 ? luks2_find_copy(disk->img, offset) : found;
}

/* Finds the JSON area that follows the header that find() finds. */
static int luks2_find_json_after(struct disk *disk, uint64_t *offset, uint64_t *length,
                                 int (*find)(struct disk *disk, uint64_t *offset, uint64_t *length))
{
    int found = find(disk, offset, length);
    const uint8_t *header;
    int error = found == 1 ? image_get(disk->img, *offset, SECTOR, &header) : 0;

    if (found != 1 || error)
        return error ? error : found;
    *length = be64(header + LUKS2_HDR_SIZE) - LUKS2_BINARY_BYTES;
    *offset += LUKS2_BINARY_BYTES;
    return luks2_is_hdr_size(*length + LUKS2_BINARY_BYTES);
}

static int luks2_find_json(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return luks2_find_json_after(disk, offset, length, luks2_find_header);
}

static int luks2_find_copy_json(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    return luks2_find_json_after(disk, offset, length, luks2_find_copy_header);
}

#define KEY_SLOT_SECTION(number)                                                                   \
    {                                                                                              \
        "key-slot-" #number, key_slot_fields[number - 1], KEY_SLOT_FIELDS, luks1_find_header       \
    }

static const struct header_section luks_sections[] = {
    {"", FIELDS(common_fields), luks_find_common},
    {"", FIELDS(luks1_fields), luks1_find_header},
    {"", FIELDS(luks2_fields), luks2_find_header},
    {"", FIELDS(json_fields), luks2_find_json},
    {"copy", FIELDS(common_fields), luks2_find_copy_header},
    {"copy", FIELDS(luks2_fields), luks2_find_copy_header},
    {"copy", FIELDS(json_fields), luks2_find_copy_json},
    KEY_SLOT_SECTION(1),
    KEY_SLOT_SECTION(2),
    KEY_SLOT_SECTION(3),
    KEY_SLOT_SECTION(4),
    KEY_SLOT_SECTION(5),
    KEY_SLOT_SECTION(6),
    KEY_SLOT_SECTION(7),
    KEY_SLOT_SECTION(8),
    {.fields = NULL},
};

const struct format_driver luks_driver = {
    .name = "luks",
    .signatures = {{HEAD, 0, LUKS_MAGIC, LUKS_MAGIC_BYTES}},
    .sections = luks_sections,
    .opaque_to_qemu = true,
    .probe = luks_probe,
    .open = luks_open,
    .extent_at = luks_extent_at,
};
