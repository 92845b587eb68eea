// SPDX-License-Identifier: Apache-2.0
/* Header fields: printing each type, and finding structures in the file. */
#include "fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checked.h"
#include "disk.h"
#include "escape.h"
#include "format.h"
#include "image.h"

enum { UUID_BYTES = 16 };

static uint64_t number_be(const uint8_t *bytes, size_t length)
{
    uint64_t value = 0;

    for (size_t i = 0; i < length; i++)
        value = value << 8 | bytes[i];
    return value;
}

static uint64_t number_le(const uint8_t *bytes, size_t length)
{
    uint64_t value = 0;

    while (length)
        value = value << 8 | bytes[--length];
    return value;
}

int field_be(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    (void)f;
    snprintf(out, size, "%" PRIu64, number_be(bytes, length));
    return 0;
}

int field_le(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    (void)f;
    snprintf(out, size, "%" PRIu64, number_le(bytes, length));
    return 0;
}

static int print_flags(const struct field_word *words, uint64_t flags, char *out, size_t size)
{
    const char *space = "";
    size_t used = 0;

    for (const struct field_word *w = words; w->word && used < size; w++)
        if ((flags & w->mask) == w->mask) {
            used += (size_t)snprintf(out + used, size - used, "%s%s", space, w->word);
            flags &= ~w->mask;
            space = " ";
        }
    for (; flags && used < size; flags &= flags - 1, space = " ")
        used +=
            (size_t)snprintf(out + used, size - used, "%sbit-%d", space, __builtin_ctzll(flags));
    if (!used)
        snprintf(out, size, "none");
    return 0;
}

int field_flags_be(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                   size_t size)
{
    return print_flags(f->words, number_be(bytes, length), out, size);
}

int field_flags_le(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                   size_t size)
{
    return print_flags(f->words, number_le(bytes, length), out, size);
}

int field_text(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    (void)f;
    escape_text(out, size, (const char *)bytes, strnlen((const char *)bytes, length));
    return 0;
}

int field_padded(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    while (length && bytes[length - 1] == ' ')
        length--;
    return field_text(f, bytes, length, out, size);
}

int field_utf16be(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                  size_t size)
{
    (void)f;
    escape_utf16(out, size, bytes, length, UTF16_BE);
    return 0;
}

int field_utf16le(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                  size_t size)
{
    (void)f;
    escape_utf16(out, size, bytes, length, UTF16_LE);
    return 0;
}

int field_hex(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    (void)f;
    out[0] = '\0';
    for (size_t i = 0; i < length && 2 * i + 2 < size; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

/* order: the index of each byte to print. */
static int print_uuid(const char order[UUID_BYTES], const uint8_t *bytes, char *out, size_t size)
{
    size_t used = 0;

    for (int i = 0; i < UUID_BYTES; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%02x",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                                 bytes[(int)order[i]]);
    return 0;
}

int field_uuid(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    static const char order[UUID_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    (void)f;
    (void)length;
    return print_uuid(order, bytes, out, size);
}

int field_guid(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size)
{
    static const char order[UUID_BYTES] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

    (void)f;
    (void)length;
    return print_uuid(order, bytes, out, size);
}

/* The end of the field in a structure of that length; 0: the structure ends before it. */
static size_t field_end(const struct field *f, size_t length)
{
    size_t end = (size_t)f->offset + f->length;

    if (f->offset > length || end > length)
        return 0;
    return f->length ? end : length;
}

/* The first field of the structure that the end of the file cuts off, or NULL. */
static const struct field *lost_field(const struct header_section *section,
                                      const struct header_found *found)
{
    for (const struct field *f = section->fields; f < section->fields + section->count; f++)
        if (field_end(f, found->length) > found->inside)
            return f;
    return NULL;
}

/* Reports that the file ends before or within the structure, if a field is lost. */
static void check_end(struct disk *disk, const struct header_section *section, uint64_t offset,
                      const struct header_found *found)
{
    const struct field *lost = lost_field(section, found);
    const char *what = section->directory[0] ? "header/" : "the header";

    if (!lost || !image_is_first_truncation(disk->img))
        return;
    if (found->inside)
        image_note(disk->img,
                   "%s: %s%s at offset %llu is cut off by the end of the file, before the end of "
                   "%s",
                   disk->driver->name, what, section->directory, (unsigned long long)offset,
                   lost->name);
    else
        image_note(disk->img, "%s: %s%s at offset %llu is past the end of the file",
                   disk->driver->name, what, section->directory, (unsigned long long)offset);
}

void header_find(struct disk *disk, const struct header_section *section,
                 struct header_found *found)
{
    uint64_t size = image_size(disk->img), offset = 0, length = 0;
    int has_it = section->find(disk, &offset, &length);

    *found = (struct header_found){.error = has_it == 1 ? 0 : has_it ? has_it : -ENOENT};
    if (found->error)
        return;
    found->length = (size_t)min_u64(length, FIELD_SECTION_MAX);
    found->inside = offset < size ? (size_t)min_u64(found->length, size - offset) : 0;
    check_end(disk, section, offset, found);
    found->error = image_get(disk->img, offset, found->length, &found->bytes);
}

/* As header_field(), for one section. */
static int section_field(const struct header_section *section, const struct header_found *found,
                         const char *name, char *out)
{
    for (const struct field *f = section->fields; f < section->fields + section->count; f++) {
        size_t end;

        if (strcmp(f->name, name) != 0)
            continue;
        end = found->error ? 0 : field_end(f, found->length);
        if (found->error || !end)
            return found->error ? found->error : -ENOENT;
        if (end > found->inside)
            return -EUCLEAN;
        return f->print(f, found->bytes + f->offset, end - f->offset, out, FIELD_TEXT_MAX);
    }
    return -ENOENT;
}

int header_field(const struct header_section *sections, const struct header_found *found,
                 const char *directory, const char *name, char *out)
{
    int error = -ENOENT;

    for (size_t i = 0; sections && sections[i].fields && error == -ENOENT; i++)
        if (strcmp(sections[i].directory, directory) == 0)
            error = section_field(&sections[i], &found[i], name, out);
    return error;
}

int header_value(struct disk *disk, const char *directory, const char *name, char *out)
{
    struct header_found found[HEADER_SECTIONS_MAX];
    const struct header_section *sections = disk->driver->sections;

    for (size_t i = 0; sections && sections[i].fields; i++)
        header_find(disk, &sections[i], &found[i]);
    return header_field(sections, found, directory, name, out);
}
