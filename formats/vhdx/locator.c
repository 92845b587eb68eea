// SPDX-License-Identifier: Apache-2.0
/*
 * The parent locator of a differencing VHDX (MS-VHDX 2.6.2.6), little endian: keys and values in
 * UTF-16, which name and identify the parent. Peculiar: offsets count from the start of the
 * locator.
 */
#include "locator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/fields.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "header.h"

enum {
    GUID_TEXT = 39,      /* {GUID}, terminated */
    LINKAGE_UTF16 = 128, /* bytes of a linkage that are compared: more than a GUID has */
};

static const uint8_t locator_type[VHDX_GUID] = {0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1, 0x81, 0x4a,
                                                0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13};

bool vhdx_is_key(const uint8_t *bytes, uint32_t length, const char *key)
{
    size_t n = strlen(key);

    if (length != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (le16(bytes + 2 * i) != (uint8_t)key[i])
            return false;
    return true;
}

/* Finds the value of a key in a validated locator. Returns its length in bytes, 0 if there is none.
 */
static uint32_t vhdx_locator_value(const uint8_t *locator, const char *key, const uint8_t **value)
{
    for (uint32_t i = 0; i < le16(locator + LOCATOR_KEY_VALUE_COUNT); i++) {
        const uint8_t *pair = locator + LOCATOR_BYTES + (size_t)i * LOCATOR_PAIR_BYTES;

        if (!vhdx_is_key(locator + le32(pair + PAIR_KEY_OFFSET), le16(pair + PAIR_KEY_LENGTH), key))
            continue;
        *value = locator + le32(pair + PAIR_VALUE_OFFSET);
        return le16(pair + PAIR_VALUE_LENGTH);
    }
    return 0;
}

/* Each key and each value must lie in the locator. */
static int vhdx_check_locator(struct image *img, const uint8_t *locator, uint32_t length)
{
    uint32_t count = le16(locator + LOCATOR_KEY_VALUE_COUNT);
    char type[GUID_TEXT];

    if (memcmp(locator + LOCATOR_TYPE, locator_type, VHDX_GUID) != 0) {
        field_guid(NULL, locator + LOCATOR_TYPE, VHDX_GUID, type, sizeof type);
        return image_fail(img, ENOTSUP,
                          "vhdx: LocatorType %s of the parent locator is not supported", type);
    }
    if (LOCATOR_BYTES + count * LOCATOR_PAIR_BYTES > length)
        return image_fail(img, EUCLEAN,
                          "vhdx: parent locator of %u bytes is too short for %u pairs", length,
                          count);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *pair = locator + LOCATOR_BYTES + (size_t)i * LOCATOR_PAIR_BYTES;
        uint32_t key_length = le16(pair + PAIR_KEY_LENGTH);
        uint32_t value_length = le16(pair + PAIR_VALUE_LENGTH);

        if (key_length % 2 || value_length % 2)
            return image_fail(
                img, EUCLEAN,
                "vhdx: pair %u of the parent locator is not UTF-16: its lengths are %u and %u", i,
                key_length, value_length);
        if ((uint64_t)le32(pair + PAIR_KEY_OFFSET) + key_length > length ||
            (uint64_t)le32(pair + PAIR_VALUE_OFFSET) + value_length > length)
            return image_fail(img, EUCLEAN,
                              "vhdx: pair %u of the parent locator is not inside its %u bytes", i,
                              length);
    }
    return 0;
}

/* The keys of 2.6.2.6.3 whose values are paths. */
static const char *const path_keys[] = {"relative_path", "volume_path", "absolute_win32_path"};

enum { PATH_KEYS = sizeof path_keys / sizeof *path_keys };

/* Adds a reference if a pair of a locator is a path, and the first one with its key. */
static int vhdx_add_path(struct disk *disk, const uint8_t *locator, const uint8_t *pair,
                         bool seen[PATH_KEYS])
{
    const uint8_t *bytes = locator + le32(pair + PAIR_KEY_OFFSET);
    uint32_t length = le16(pair + PAIR_VALUE_LENGTH);
    size_t key = 0;
    char *path;

    while (key < PATH_KEYS && !vhdx_is_key(bytes, le16(pair + PAIR_KEY_LENGTH), path_keys[key]))
        key++;
    if (key == PATH_KEYS)
        return 0;
    if (seen[key])
        image_note(disk->img, "vhdx: the parent locator has %s twice: the first is used",
                   path_keys[key]);
    if (seen[key] || !length)
        return 0;
    seen[key] = true;
    path = image_alloc(disk->img, (size_t)length / 2 * 3);
    if (!path)
        return -ENOMEM;
    length =
        (uint32_t)utf8_from_utf16(path, locator + le32(pair + PAIR_VALUE_OFFSET), length, UTF16_LE);
    if (!length)
        return 0;
    return disk_add_reference(disk, &(struct reference){.role = REFERENCE_BACKING,
                                                        .kind = "parent",
                                                        .source = path_keys[key],
                                                        .format = "vhdx",
                                                        .path = path,
                                                        .length = length,
                                                        .is_windows = true});
}

int vhdx_read_locator(struct disk *disk, struct vhdx *v, uint64_t offset, uint32_t length)
{
    bool seen[PATH_KEYS] = {false};
    const uint8_t *locator;
    uint32_t count;
    int error = image_require(disk->img, offset, length, "vhdx: the parent locator");

    if (!error)
        error = image_get(disk->img, offset, length, &locator);
    if (!error)
        error = vhdx_check_locator(disk->img, locator, length);
    if (error)
        return error;
    v->locator = locator;
    count = le16(locator + LOCATOR_KEY_VALUE_COUNT);
    for (uint32_t i = 0; !error && i < count; i++)
        error = vhdx_add_path(disk, locator,
                              locator + LOCATOR_BYTES + (size_t)i * LOCATOR_PAIR_BYTES, seen);
    if (!error && !disk->backing_reference)
        return image_fail(disk->img, EUCLEAN, "vhdx: the parent locator names no path");
    return error;
}

/* The DataWriteGuid of the parent, formatted as in a locator. */
static int vhdx_parent_guid(struct disk *parent, char text[GUID_TEXT])
{
    const uint8_t *header;
    uint64_t at;
    int error = vhdx_active_header(parent->img, &at);

    if (!error)
        error = image_get(parent->img, at, VHDX_HEADER_BYTES, &header);
    if (error)
        return error;
    text[0] = '{';
    field_guid(NULL, header + HEADER_DATA_WRITE_GUID, VHDX_GUID, text + 1, GUID_TEXT - 1);
    strcat(text, "}");
    return 0;
}

/* The start of the value of a key, in UTF-8; "" if there is none. */
static void vhdx_linkage(const uint8_t *locator, const char *key,
                         char text[LINKAGE_UTF16 / 2 * 3 + 1])
{
    const uint8_t *value = NULL;
    uint32_t length = vhdx_locator_value(locator, key, &value);

    if (length > LINKAGE_UTF16)
        length = LINKAGE_UTF16;
    text[length ? utf8_from_utf16(text, value, length, UTF16_LE) : 0] = '\0';
}

/*
 * 2.6.2.6.3: the DataWriteGuid of the parent must be parent_linkage or parent_linkage2. The
 * specification does not require equal logical sector sizes: guest bytes do not depend on them.
 */
int vhdx_check_parent(struct disk *disk, struct disk *parent)
{
    const struct vhdx *v = disk->state;
    char guid[GUID_TEXT], one[LINKAGE_UTF16 / 2 * 3 + 1], two[LINKAGE_UTF16 / 2 * 3 + 1];
    int error;

    if (parent->driver != disk->driver)
        return image_fail(disk->img, EUCLEAN,
                          "vhdx: the parent is %s, not vhdx; -o any-parent accepts it anyway",
                          parent->driver->name);
    error = vhdx_parent_guid(parent, guid);
    if (error)
        return error;
    vhdx_linkage(v->locator, "parent_linkage", one);
    vhdx_linkage(v->locator, "parent_linkage2", two);
    if (strcasecmp(guid, one) == 0 || strcasecmp(guid, two) == 0)
        return 0;
    return image_fail(
        disk->img, EUCLEAN,
        "vhdx: DataWriteGuid of the parent is %s, but parent_linkage is \"%s\"%s%s%s; "
        "-o any-parent accepts it anyway",
        guid, one, *two ? ", parent_linkage2 \"" : "", two, *two ? "\"" : "");
}
