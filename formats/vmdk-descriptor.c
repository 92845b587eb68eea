// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: descriptors (VMware, "Virtual Disk Format 5.0"): lines of text, in a file of their own or
 * inside an extent.
 *
 * Lines are `key=value`, comments, or extents: access, sectors, type, "file name" and, for some, an
 * offset. qemu looks for keys anywhere in the text, comments included. Where the parent is
 * concerned so do we, as what one reader takes for a parent must not be zeros to us; else keys
 * stand at the beginning of their line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "checked.h"
#include "escape.h"
#include "vmdk.h"

enum {
    /* What qemu reads of an embedded descriptor, and what all writers reserve for it. */
    EMBEDDED_SECTORS = 20,
    EMBEDDED_OFFSET_SECTORS = 1,

    CREATE_TYPE_MAX = 127,  /* qemu's limit; the longest there is has 21 */
    EXTENT_NAME_MAX = 4095, /* the longest path that Linux takes */
    LINE_SHOWN_MAX = 200,   /* of a line that is at fault */
};

/* createType of disks in more than one file, as far as qemu knows them too. */
static const char *const spread_types[] = {
    "monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse",
    "vmfs",           "vmfsSparse",         "seSparse",
};

/* Types of extents that are files; only those marked are followed by an offset, and then must be.
 */
static const struct {
    const char *name;
    bool offset;
} extent_types[] = {
    {"FLAT", true}, {"SPARSE", false}, {"VMFS", false}, {"VMFSSPARSE", false}, {"SESPARSE", false},
};

int vmdk_text_read(struct image *img, uint64_t offset, uint64_t length, struct vmdk_text *text)
{
    uint64_t size = image_size(img);
    const uint8_t *bytes;
    int error;

    *text = (struct vmdk_text){"", 0};
    if (offset >= size)
        return 0;
    length = min_u64(min_u64(length, size - offset), VMDK_DESCRIPTOR_MAX);
    error = image_get(img, offset, (size_t)length, &bytes);
    if (error)
        return error;
    text->bytes = (const char *)bytes;
    text->length = strnlen(text->bytes, (size_t)length);
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool text_is(const struct vmdk_text *text, const char *s)
{
    return text->length == strlen(s) && memcmp(text->bytes, s, text->length) == 0;
}

static void skip(struct vmdk_text *text, size_t n)
{
    text->bytes += n;
    text->length -= n;
}

static void skip_blanks(struct vmdk_text *text)
{
    while (text->length && is_blank(text->bytes[0]))
        skip(text, 1);
}

/* Takes the text up to the character end (all of it, if there is none); that itself is dropped. */
static struct vmdk_text take_until(struct vmdk_text *text, char end)
{
    const char *at = memchr(text->bytes, end, text->length);
    struct vmdk_text taken = {text->bytes, at ? (size_t)(at - text->bytes) : text->length};

    skip(text, taken.length + (at != NULL));
    return taken;
}

/* Takes blanks, and then what is not blank. */
static struct vmdk_text take_word(struct vmdk_text *text)
{
    struct vmdk_text word;

    skip_blanks(text);
    word = (struct vmdk_text){text->bytes, 0};
    while (word.length < text->length && !is_blank(text->bytes[word.length]))
        word.length++;
    skip(text, word.length);
    return word;
}

/* Takes blanks and a decimal number, which ends at a blank or with the text. */
static bool take_number(struct vmdk_text *text, uint64_t *number)
{
    bool any = false;

    *number = 0;
    skip_blanks(text);
    if (text->length && text->bytes[0] == '+')
        skip(text, 1);
    for (; text->length && is_digit(text->bytes[0]); skip(text, 1)) {
        any = true;
        if (!checked_mul(*number, 10, number) ||
            !checked_add(*number, (uint64_t)(text->bytes[0] - '0'), number))
            return false;
    }
    return any && (!text->length || is_blank(text->bytes[0]));
}

/* The next line, without the blanks around it; false: no more. */
static bool take_line(struct vmdk_text *text, struct vmdk_text *line)
{
    if (!text->length)
        return false;
    *line = take_until(text, '\n');
    skip_blanks(line);
    while (line->length && is_blank(line->bytes[line->length - 1]))
        line->length--;
    return true;
}

/* The value of the first line `key=value`, without its quotes. */
static bool find_value(struct vmdk_text text, const char *key, struct vmdk_text *value)
{
    struct vmdk_text line;
    size_t length = strlen(key);

    while (take_line(&text, &line)) {
        if (line.length <= length || memcmp(line.bytes, key, length) != 0)
            continue;
        skip(&line, length);
        skip_blanks(&line);
        if (!line.length || line.bytes[0] != '=')
            continue;
        skip(&line, 1);
        skip_blanks(&line);
        if (line.length && line.bytes[0] == '"') {
            skip(&line, 1);
            line = take_until(&line, '"');
        }
        *value = line;
        return true;
    }
    return false;
}

/* The text, escaped, in session memory; NULL, said, if there is none. */
static const char *keep(struct image *img, const struct vmdk_text *text)
{
    size_t size = 4 * text->length + 1;
    char *kept = image_alloc(img, size);

    if (kept)
        escape_text(kept, size, text->bytes, text->length);
    return kept;
}

static int keep_reference(struct image *img, const char *kind, const struct vmdk_text *path,
                          const struct reference **kept)
{
    struct reference *reference = image_alloc(img, sizeof *reference);
    const char *escaped = keep(img, path);

    if (!reference || !escaped)
        return -ENOMEM;
    *reference = (struct reference){kind, escaped};
    *kept = reference;
    return 0;
}

/* Whether the line is `version=` 1 to 3 and, as qemu wants it, ends within the bytes that are
 * looked at. */
static bool is_version_line(const struct vmdk_text *text)
{
    static const char key[] = "version=";
    struct vmdk_text rest = *text;

    if (text->length < sizeof key + 1 || memcmp(text->bytes, key, sizeof key - 1) != 0)
        return false;
    skip(&rest, sizeof key - 1);
    if (rest.bytes[0] < '1' || rest.bytes[0] > '3')
        return false;
    skip(&rest, 1);
    return rest.bytes[0] == '\n' || (rest.length > 1 && memcmp(rest.bytes, "\r\n", 2) == 0);
}

/*
 * qemu's rule, so that we name a file as it does: comments may come first, and lines of nothing but
 * spaces (an empty line is none), then the version.
 */
int vmdk_descriptor_probe(const uint8_t *head, struct reason *why)
{
    static const char title[] = "# Disk DescriptorFile";
    struct vmdk_text text = {(const char *)head, IMAGE_HEAD_BYTES};

    while (text.length && (text.bytes[0] == '#' || text.bytes[0] == ' ')) {
        struct vmdk_text line = take_until(&text, '\n');

        if (line.bytes[0] == '#')
            continue;
        while (line.length && line.bytes[0] == ' ')
            skip(&line, 1);
        if (line.length && !text_is(&line, "\r"))
            break;
    }
    if (is_version_line(&text))
        return 1;
    if (memcmp(head, title, sizeof title - 1) == 0)
        snprintf(why->words, sizeof why->words,
                 "is titled as a descriptor, but version=1, 2 or 3 is not the first line after the "
                 "comments");
    return 0;
}

/* A parent that is named; *found: it is. A name of no length is none. */
static int find_parent_name(struct disk *disk, const struct vmdk_text *text, bool *found)
{
    static const char key[] = "parentFileNameHint";
    const char *at = memmem(text->bytes, text->length, key, sizeof key - 1);
    struct vmdk_text rest = *text, name;

    *found = false;
    if (!at)
        return 0;
    skip(&rest, (size_t)(at - text->bytes) + sizeof key - 1);
    name = take_until(&rest, '"');
    name = take_until(&rest, '"');
    if (name.bytes + name.length == text->bytes + text->length)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: parentFileNameHint has no file name in quotes");
    *found = name.length > 0;
    if (name.length > EXTENT_NAME_MAX)
        return image_fail(disk->img, EUCLEAN, "vmdk: parentFileNameHint is longer than %d bytes",
                          EXTENT_NAME_MAX);
    return *found ? keep_reference(disk->img, "parent", &name, &disk->below) : 0;
}

/*
 * What fills the holes of this disk: the parent that parentFileNameHint names, as qemu has it
 * whatever parentCID says. A parentCID alone tells that there is a parent, but not where.
 */
static int find_parent(struct disk *disk, const struct vmdk_text *text)
{
    struct vmdk_text cid, name;
    char words[sizeof "CID ffffffff"];
    bool found;
    int error;

    if (!find_value(*text, "parentCID", &cid))
        return image_fail(disk->img, EUCLEAN, "vmdk: the descriptor has no parentCID");
    error = find_parent_name(disk, text, &found);
    if (error || found || disk->below)
        return error;
    if (cid.length == 8 && strncasecmp(cid.bytes, "ffffffff", 8) == 0)
        return 0;
    snprintf(words, sizeof words, "CID %.*s", (int)min_u64(cid.length, 8), cid.bytes);
    name = (struct vmdk_text){words, strlen(words)};
    return keep_reference(disk->img, "parent", &name, &disk->below);
}

/* subformat from createType; stays as it is without one. *type: which; empty: none. */
static int find_create_type(struct disk *disk, const struct vmdk_text *text, struct vmdk_text *type)
{
    const char *kept;

    if (!find_value(*text, "createType", type) || type->length > CREATE_TYPE_MAX)
        type->length = 0;
    if (!type->length)
        return 0;
    kept = keep(disk->img, type);
    if (!kept)
        return -ENOMEM;
    disk->subformat = kept;
    return 0;
}

int vmdk_embedded_open(struct disk *disk, uint64_t offset_sectors, uint64_t size_sectors)
{
    struct vmdk_text own = {"", 0}, usual, type, cid;
    uint64_t offset, size;
    bool found;
    int error = vmdk_text_read(disk->img, EMBEDDED_OFFSET_SECTORS * VMDK_SECTOR,
                               EMBEDDED_SECTORS * VMDK_SECTOR, &usual);

    if (!size_sectors || !checked_mul(size_sectors, VMDK_SECTOR, &size))
        size = EMBEDDED_SECTORS * VMDK_SECTOR;
    if (!error && offset_sectors && checked_mul(offset_sectors, VMDK_SECTOR, &offset))
        error = vmdk_text_read(disk->img, offset, size, &own);
    if (error)
        return error;
    if (!find_value(own, "parentCID", &cid)) {
        /* qemu looks behind the header only, whatever the header says. */
        if (!find_value(usual, "parentCID", &cid))
            return image_fail(
                disk->img, ENOTSUP,
                "vmdk: no descriptor with a parentCID in this extent: it is a part of a "
                "disk that a descriptor file elsewhere puts together");
        own = usual;
    }
    error = find_create_type(disk, &own, &type);
    if (!error)
        error = find_parent(disk, &own);
    if (!error && !disk->below)
        error = find_parent_name(disk, &usual, &found);
    return error;
}

static bool is_spread_type(const struct vmdk_text *type)
{
    for (size_t i = 0; i < sizeof spread_types / sizeof *spread_types; i++)
        if (text_is(type, spread_types[i]))
            return true;
    return false;
}

bool vmdk_is_spread(const struct vmdk_text *text)
{
    struct vmdk_text type;

    return find_value(*text, "createType", &type) && is_spread_type(&type);
}

/* Fails with the line and the rule that it breaks. */
static int line_fail(struct image *img, int error, const struct vmdk_text *line, const char *rule)
{
    char shown[LINE_SHOWN_MAX];

    escape_text(shown, sizeof shown, line->bytes, line->length);
    return image_fail(img, error, "vmdk: extent line '%s': %s", shown, rule);
}

/* The rest of a RW line behind sectors and type: a file name and, for some types, an offset. */
static int take_file(struct image *img, const struct vmdk_text *line, const struct vmdk_text *type,
                     struct vmdk_text *rest, struct vmdk_text *name)
{
    const size_t types = sizeof extent_types / sizeof *extent_types;
    uint64_t offset_sectors;
    size_t row = 0;

    if (!type->length)
        return line_fail(img, EUCLEAN, line, "it needs a type behind the sectors");
    while (row < types && !text_is(type, extent_types[row].name))
        row++;
    if (row == types)
        return line_fail(img, ENOTSUP, line, "extents of this type are not handled");
    skip_blanks(rest);
    if (!rest->length || rest->bytes[0] != '"' || !memchr(rest->bytes + 1, '"', rest->length - 1))
        return line_fail(img, EUCLEAN, line, "it needs a file name in quotes");
    skip(rest, 1);
    *name = take_until(rest, '"');
    if (!name->length || name->length > EXTENT_NAME_MAX)
        return line_fail(img, EUCLEAN, line, "the file name is empty or longer than 4095 bytes");
    if (extent_types[row].offset && !take_number(rest, &offset_sectors))
        return line_fail(img, EUCLEAN, line, "it needs an offset behind the file name");
    if (!extent_types[row].offset && take_number(rest, &offset_sectors))
        return line_fail(img, EUCLEAN, line, "extents of this type have no offset");
    return 0;
}

/*
 * Adds the line to the disk if it is an extent. As in qemu, only those that can be written to
 * count: what is RDONLY, NOACCESS or ZERO is left out, and the disk is that much shorter (*left_out
 * lines).
 */
static int add_line(struct disk *disk, struct vmdk_text line, uint64_t *left_out)
{
    struct vmdk_text rest = line, access = take_word(&rest), type, name;
    uint64_t sectors, size;
    int error;

    if (text_is(&access, "RDONLY") || text_is(&access, "NOACCESS"))
        ++*left_out;
    if (!text_is(&access, "RW"))
        return 0;
    if (!take_number(&rest, &sectors))
        return line_fail(disk->img, EUCLEAN, &line, "RW needs a number of sectors");
    type = take_word(&rest);
    if (text_is(&type, "ZERO")) {
        ++*left_out;
        return 0;
    }
    error = take_file(disk->img, &line, &type, &rest, &name);
    if (error || !sectors)
        return error;
    if (!checked_mul(sectors, VMDK_SECTOR, &size) || size > DISK_BYTES_MAX - disk->virtual_size)
        return line_fail(disk->img, EFBIG, &line,
                         "the disk is then larger than 2^54 - 2^21 sectors");
    disk->virtual_size += size;
    return disk->beside ? 0 : keep_reference(disk->img, "extent", &name, &disk->beside);
}

int vmdk_descriptor_open(struct disk *disk, const struct vmdk_text *text)
{
    struct vmdk_text type, rest = *text, line;
    uint64_t left_out = 0;
    int error = find_create_type(disk, text, &type);

    if (error)
        return error;
    if (!type.length)
        return image_fail(disk->img, EUCLEAN,
                          "vmdk: the descriptor has no createType of 1 to %d bytes",
                          CREATE_TYPE_MAX);
    if (!is_spread_type(&type))
        return image_fail(disk->img, ENOTSUP,
                          "vmdk: createType \"%.*s\" is not handled in a descriptor file",
                          (int)type.length, type.bytes);
    while (!error && take_line(&rest, &line))
        error = add_line(disk, line, &left_out);
    if (!error)
        error = find_parent(disk, text);
    if (!error && left_out)
        image_note(disk->img,
                   "vmdk: left out of the disk, as by qemu-img: %llu extents, being RDONLY, "
                   "NOACCESS or ZERO",
                   (unsigned long long)left_out);
    return error;
}
