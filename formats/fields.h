/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header fields, as header/ shows them: tables of name, offset and type, one for each structure on
 * disk, under the names of the format's specification. Values are shown as they are in the file,
 * even if the driver rejects them.
 */
#ifndef FORMATS_FIELDS_H
#define FORMATS_FIELDS_H

#include <stddef.h>
#include <stdint.h>

struct disk;
struct field;

enum {
    FIELD_SECTION_MAX = 64 << 10, /* bytes of a structure that are read */
    FIELD_TEXT_MAX = 16 << 10,    /* bytes of a printed value; a longer one is cut */
    HEADER_SECTIONS_MAX = 32,     /* structures of one format */
};

/*
 * Prints the value of a field, length bytes of the image, to out (size bytes, at least 64,
 * terminated), as one line without a newline. Returns 0, or -ENOENT: this image has no such field.
 */
typedef int (*field_print)(const struct field *field, const uint8_t *bytes, size_t length,
                           char *out, size_t size);

/* A flag: its bits and its name. A table of them ends with a word of NULL. */
struct field_word {
    uint64_t mask;
    const char *word;
};

struct field {
    const char *name;
    uint32_t offset; /* in its structure */
    uint32_t length; /* bytes; 0: up to the end of the structure */
    field_print print;
    const struct field_word *words; /* of field_flags_*() */
};

/* Numbers of 1 to 8 bytes, in decimal. */
int field_be(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);
int field_le(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);

/* Names of the flags that are set, separated by spaces; "none"; unknown bits as "bit-17". */
int field_flags_be(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                   size_t size);
int field_flags_le(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                   size_t size);

/* Text up to the first NUL, escaped: bytes, or UTF-16 big and little endian. */
int field_text(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);
int field_utf16be(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                  size_t size);
int field_utf16le(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                  size_t size);

/* Text that is padded with spaces, which are not printed. */
int field_padded(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                 size_t size);

/* Bytes in hexadecimal, without spaces. */
int field_hex(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);

/* Sixteen bytes as a UUID: in the order of the file (RFC 4122), or with the first three groups
 * little endian (a Microsoft GUID). */
int field_uuid(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);
int field_guid(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);

/* The fields and count of a struct header_section. */
#define FIELDS(table) table, sizeof(table) / sizeof *(table)

/*
 * A structure of a header. find sets its offset in the file and its length, of which at most
 * FIELD_SECTION_MAX bytes are used. It is called whether or not the driver could open the image,
 * and must not use disk->state. It returns 1; 0: this image has none; -errno, reported. NULL: not a
 * structure of the format itself.
 */
struct header_section {
    const char *directory; /* below header/; "": header/ itself */
    const struct field *fields;
    size_t count;
    int (*find)(struct disk *disk, uint64_t *offset, uint64_t *length);
};

/* A structure of an image. */
struct header_found {
    int error;            /* 0; -ENOENT: this image has none; -errno, reported */
    const uint8_t *bytes; /* they live as long as the session */
    size_t length;
    size_t inside; /* how many of the bytes the file holds */
};

/* Finds and reads a structure. Of all the fields that the end of the file cuts off, only the first
 * is reported. */
void header_find(struct disk *disk, const struct header_section *section,
                 struct header_found *found);

/*
 * Prints the field called name in directory to out (FIELD_TEXT_MAX bytes). sections ends with NULL
 * fields, and found has an element for each. If several sections of the directory have the field,
 * the first that exists in the image is printed. Returns 0; -ENOENT: there is none, or the
 * structure ends before it; -EUCLEAN: the file ends before it; the error of the structure.
 */
int header_field(const struct header_section *sections, const struct header_found *found,
                 const char *directory, const char *name, char *out);

/* The same for the sections of the disk's driver, which are read now. */
int header_value(struct disk *disk, const char *directory, const char *name, char *out);

#endif
