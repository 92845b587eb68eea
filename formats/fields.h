/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header fields as they are shown: tables of name, place and kind, one for each on-disk structure,
 * under the names of the format's specification. Values are shown as they stand in the file, also
 * where the driver refuses them.
 */
#ifndef FORMATS_FIELDS_H
#define FORMATS_FIELDS_H

#include <stddef.h>
#include <stdint.h>

struct disk;
struct field;

enum {
    FIELD_SECTION_MAX = 64 << 10, /* bytes of a structure that are looked at */
    FIELD_TEXT_MAX = 16 << 10,    /* bytes of a value in words; a longer one is cut */
    HEADER_SECTIONS_MAX = 32,     /* structures of one format */
};

/*
 * Writes a field's value, one line without its end, to out (size bytes, at least 64, terminated):
 * length bytes of the image. 0, or -ENOENT: this image has no such field.
 */
typedef int (*field_print)(const struct field *field, const uint8_t *bytes, size_t length,
                           char *out, size_t size);

/* A flag: the bits that it is, and its word. Ends with a word of NULL. */
struct field_word {
    uint64_t mask;
    const char *word;
};

struct field {
    const char *name;
    uint32_t offset; /* in its structure */
    uint32_t length; /* bytes; 0: all the rest of the structure */
    field_print print;
    const struct field_word *words; /* of field_flags_*() */
};

/* Numbers of 1 to 8 bytes, decimal. */
int field_be(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);
int field_le(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);

/* Flags as words with blanks between them; "none"; unknown bits as "bit-17". */
int field_flags_be(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                   size_t size);
int field_flags_le(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                   size_t size);

/* Text up to its first NUL, escaped: bytes, UTF-16 big and little endian. */
int field_text(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);
int field_utf16be(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                  size_t size);
int field_utf16le(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                  size_t size);

/* Text that is filled up with blanks, which are left out. */
int field_padded(const struct field *f, const uint8_t *bytes, size_t length, char *out,
                 size_t size);

/* Bytes in hexadecimal, without blanks. */
int field_hex(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);

/* Sixteen bytes as a UUID: in the order in which they stand (RFC 4122), or the first three groups
 * little endian (a GUID of Microsoft's). */
int field_uuid(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);
int field_guid(const struct field *f, const uint8_t *bytes, size_t length, char *out, size_t size);

/* For struct header_section: the fields of a table. */
#define FIELDS(table) table, sizeof(table) / sizeof *(table)

/*
 * A structure of a header. find tells where it is in the file and how long; what is behind
 * FIELD_SECTION_MAX is left out. It is called whether or not open succeeded, and must not use
 * disk->state. 1; 0: this image has none; -errno, said. NULL: not the format's own structure.
 */
struct header_section {
    const char *directory; /* below header/; "": header/ itself */
    const struct field *fields;
    size_t count;
    int (*find)(struct disk *disk, uint64_t *offset, uint64_t *length);
};

/* A structure as it was found. */
struct header_found {
    int error;             /* 0; -ENOENT: this image has none; -errno, said */
    const uint8_t *bytes;  /* they live as long as the session */
    size_t length, inside; /* of the structure; those of them that the file holds */
};

/* Looks for a structure of the format's own and reads it. Of all that the end of the file cuts off,
 * the first field is said. */
void header_find(struct disk *disk, const struct header_section *section,
                 struct header_found *found);

/*
 * The value of the field called name in directory, of the sections (ending with NULL fields) as
 * they were found, a row of found each. Where several sections in one directory have it, the first
 * that the image has tells. out has FIELD_TEXT_MAX bytes. 0; -ENOENT: there is none, or the
 * structure ends before it; -EUCLEAN: the file ends before it; -errno of the structure.
 */
int header_field(const struct header_section *sections, const struct header_found *found,
                 const char *directory, const char *name, char *out);

/* The same of a disk's own structures, looked for now. */
int header_value(struct disk *disk, const char *directory, const char *name, char *out);

#endif
