// SPDX-License-Identifier: Apache-2.0
/*
 * The parent of a differencing VHD: its names in the dynamic header ("Dynamic Disk Header Format":
 * parent unicode name, parent locator entries), and the fields that identify it. Big endian.
 * Peculiar: the text of the locators W2ku and W2ru is little endian, while that of the name is big
 * endian. The space of a locator is in bytes or in sectors, depending on the writer, so it is
 * ignored.
 */
#include <errno.h>
#include <stdio.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/escape.h"
#include "formats/fields.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "vhd.h"

enum {
    UUID_BYTES = 16,
    UUID_TEXT = 37,
    PATH_MAX_BYTES = 4095, /* ours: the longest path of Linux. Windows has 32767 characters. */
    PATH_UTF16_MAX = 2 * PATH_MAX_BYTES + 2,
    CODE_BYTES = 4,
    SOURCE_BYTES = 40,
    TIME_TEXT = 64,
};

/* The epoch of time stamps, 2000-01-01 00:00:00 UTC, in seconds since 1970. */
#define EPOCH_2000 INT64_C(946684800)

/* The encoding of a locator's platform data. */
enum platform_data { OPAQUE, BYTES, UTF16 };

static const struct platform {
    char code[CODE_BYTES + 1];
    enum platform_data data;
    bool is_windows;
} platforms[] = {
    {"W2ru", UTF16, true},   {"W2ku", UTF16, true},
    {"Wi2r", BYTES, true},   {"Wi2k", BYTES, true}, /* deprecated; the code page is unknown */
    {"MacX", BYTES, false},                         /* a file URL in UTF-8 */
    {"Mac ", OPAQUE, false}, /* an alias record, which only Mac OS can read */
};

bool vhd_locator_is_used(const uint8_t *entry)
{
    for (size_t i = 0; i < PARENT_LOCATOR_BYTES; i++)
        if (entry[i])
            return true;
    return false;
}

static const struct platform *vhd_platform_by_code(const uint8_t *code)
{
    static const struct platform unknown = {"", OPAQUE, false};

    for (size_t i = 0; i < sizeof platforms / sizeof *platforms; i++)
        if (memcmp(code, platforms[i].code, CODE_BYTES) == 0)
            return &platforms[i];
    return &unknown;
}

/* Adds the parent's name in the header, which ends at a NUL or with the field. */
static int vhd_add_parent_name(struct disk *disk, const uint8_t *header)
{
    char *name = image_alloc(disk->img, DYNAMIC_PARENT_NAME_BYTES / 2 * 3);
    const uint8_t *text = header + DYNAMIC_PARENT_UNICODE_NAME;
    size_t length = 0;

    while (length < DYNAMIC_PARENT_NAME_BYTES && be16(text + length))
        length += 2;
    if (!name)
        return -ENOMEM;
    length = utf8_from_utf16(name, text, length, UTF16_BE);
    if (!length)
        return 0;
    return disk_add_reference(disk, &(struct reference){.role = REFERENCE_BACKING,
                                                        .kind = "parent",
                                                        .source = "parent_unicode_name",
                                                        .format = "vpc",
                                                        .path = name,
                                                        .length = length,
                                                        .is_windows = true});
}

/* Why the platform data of a locator cannot be a path, or NULL. */
static const char *vhd_path_fault(const struct image *img, enum platform_data data, uint64_t offset,
                                  uint32_t length)
{
    uint64_t end;

    if (!length)
        return "it is empty";
    if (!checked_add(offset, length, &end) || end > image_size(img))
        return "it is past the end of the file";
    if (data == UTF16 && length % 2)
        return "it is not UTF-16";
    if (length > (data == UTF16 ? PATH_UTF16_MAX : PATH_MAX_BYTES + 1))
        return "it is longer than 4095 bytes";
    return NULL;
}

/* Sets the path of *reference from a locator's platform data. Returns NULL, or why the data are not
 * a path. Sets *error to -errno, reported, if it fails. */
static const char *vhd_read_path(struct disk *disk, enum platform_data data, uint64_t offset,
                                 uint32_t length, struct reference *reference, int *error)
{
    const char *fault = vhd_path_fault(disk->img, data, offset, length);
    const uint8_t *bytes;
    char *path;

    if (fault)
        return fault;
    *error = image_get(disk->img, offset, length, &bytes);
    if (*error)
        return NULL;
    path = image_alloc(disk->img, (size_t)length / 2 * 3 + 1);
    if (!path) {
        *error = -ENOMEM;
        return NULL;
    }
    if (data == UTF16) {
        length = (uint32_t)utf8_from_utf16(path, bytes, length, UTF16_LE);
    } else {
        while (length && !bytes[length - 1])
            length--;
        memcpy(path, bytes, length);
    }
    if (!length || length > PATH_MAX_BYTES)
        return length ? "it is longer than 4095 bytes" : "it is empty";
    reference->path = path;
    reference->length = length;
    return NULL;
}

/* The source of a reference: the locator's number and platform code. NULL, reported: out of memory.
 */
static const char *vhd_locator_source(struct image *img, unsigned n, const uint8_t *code)
{
    char *source = image_alloc(img, SOURCE_BYTES);
    size_t length = CODE_BYTES;
    int used;

    if (!source)
        return NULL;
    while (length && code[length - 1] == ' ')
        length--;
    used = snprintf(source, SOURCE_BYTES, "parent_locator_%u ", n);
    escape_text(source + used, SOURCE_BYTES - (size_t)used, (const char *)code, length);
    return source;
}

/* Adds the reference of locator n, from 1 on, even if its path cannot be read. */
static int vhd_add_locator(struct disk *disk, unsigned n, const uint8_t *entry)
{
    const struct platform *platform = vhd_platform_by_code(entry + LOCATOR_PLATFORM_CODE);
    struct reference reference = {.role = REFERENCE_BACKING,
                                  .kind = "parent",
                                  .source = vhd_locator_source(disk->img, n, entry),
                                  .format = "vpc",
                                  .path = "",
                                  .is_windows = platform->is_windows};
    uint32_t length = be32(entry + LOCATOR_PLATFORM_DATA_LENGTH);
    uint64_t offset = be64(entry + LOCATOR_PLATFORM_DATA_OFFSET);
    const char *fault = NULL;
    int error = reference.source ? 0 : -ENOMEM;

    if (!error && platform->data != OPAQUE)
        fault = vhd_read_path(disk, platform->data, offset, length, &reference, &error);
    if (error)
        return error;
    if (fault)
        image_note(disk->img, "vpc: the path of %s (%u bytes at offset %llu) cannot be read: %s",
                   reference.source, length, (unsigned long long)offset, fault);
    return disk_add_reference(disk, &reference);
}

int vhd_read_parent(struct disk *disk, struct vhd *vhd, const uint8_t *header)
{
    int error = vhd_add_parent_name(disk, header);

    vhd->parent_unique_id = header + DYNAMIC_PARENT_UNIQUE_ID;
    vhd->parent_time_stamp = be32(header + DYNAMIC_PARENT_TIME_STAMP);
    for (unsigned n = 1; !error && n <= PARENT_LOCATORS; n++) {
        const uint8_t *entry = header + DYNAMIC_PARENT_LOCATORS + (n - 1) * PARENT_LOCATOR_BYTES;

        if (vhd_locator_is_used(entry))
            error = vhd_add_locator(disk, n, entry);
    }
    /* There is a parent, even if nothing names it. */
    if (!error && !disk->backing_reference)
        error = disk_add_reference(disk, &(struct reference){.role = REFERENCE_BACKING,
                                                             .kind = "parent",
                                                             .source = "parent_unicode_name",
                                                             .format = "vpc",
                                                             .path = "",
                                                             .is_windows = true});
    return error;
}

/*
 * Formats a time in seconds since 1970 as a date in UTC. 400 years have 146097 days; they are
 * counted from 0000-03-01, so that the leap day is the last day of a year. gmtime() would open
 * files, which the sandbox forbids.
 */
static void vhd_write_time(char out[TIME_TEXT], int64_t seconds)
{
    int64_t days = seconds / 86400, rest = seconds % 86400, era, year;
    int day, month;

    if (rest < 0) {
        rest += 86400;
        days--;
    }
    days += 719468; /* from 0000-03-01 to 1970-01-01 */
    era = (days < 0 ? days - 146096 : days) / 146097;
    days -= era * 146097;
    year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    day = (int)(days - (365 * year + year / 4 - year / 100));
    month = (5 * day + 2) / 153; /* 0 is March */
    day -= (153 * month + 2) / 5;
    year += era * 400 + (month >= 10);
    snprintf(out, TIME_TEXT, "%04lld-%02d-%02d %02d:%02d:%02d UTC", (long long)year,
             month < 10 ? month + 3 : month - 9, day + 1, (int)(rest / 3600), (int)(rest / 60 % 60),
             (int)(rest % 60));
}

/* The time stamp of the parent is when its file was last modified, as specified; some writers store
 * the time stamp of the parent's footer instead. */
static int vhd_check_time(struct disk *disk, struct disk *parent, const uint8_t *footer)
{
    const struct vhd *vhd = disk->state;
    int64_t stamp = EPOCH_2000 + vhd->parent_time_stamp, modified = image_modified(parent->img);
    int64_t stored = EPOCH_2000 + be32(footer + FOOTER_TIME_STAMP);
    char times[3][TIME_TEXT];

    if (!vhd->parent_time_stamp || stamp == modified || stamp == stored)
        return 0;
    vhd_write_time(times[0], modified);
    vhd_write_time(times[1], stored);
    vhd_write_time(times[2], stamp);
    return image_fail(disk->img, EUCLEAN,
                      "vpc: the parent was modified at %s, its footer has time stamp %s, but "
                      "parent_time_stamp is %s; -o any-parent accepts it anyway",
                      times[0], times[1], times[2]);
}

static void vhd_write_uuid(char out[UUID_TEXT], const uint8_t *uuid)
{
    field_uuid(NULL, uuid, UUID_BYTES, out, UUID_TEXT);
}

int vhd_check_parent(struct disk *disk, struct disk *parent)
{
    const struct vhd *vhd = disk->state;
    struct vhd_footer footer;
    char ids[2][UUID_TEXT];
    int error;

    if (parent->driver != disk->driver)
        return image_fail(disk->img, EUCLEAN,
                          "vpc: the parent is %s, not vpc; -o any-parent accepts it anyway",
                          parent->driver->name);
    error = vhd_find_footer(parent->img, &footer);
    if (error)
        return error;
    if (memcmp(footer.bytes + FOOTER_UNIQUE_ID, vhd->parent_unique_id, UUID_BYTES) == 0)
        return vhd_check_time(disk, parent, footer.bytes);
    vhd_write_uuid(ids[0], footer.bytes + FOOTER_UNIQUE_ID);
    vhd_write_uuid(ids[1], vhd->parent_unique_id);
    return image_fail(
        disk->img, EUCLEAN,
        "vpc: unique_id of the parent is %s, but parent_unique_id is %s; -o any-parent "
        "accepts it anyway",
        ids[0], ids[1]);
}
