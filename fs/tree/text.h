/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows: what render functions write to. */
#ifndef FS_TREE_TEXT_H
#define FS_TREE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* not terminated; NULL if empty */
    size_t length, capacity;
    int error;       /* the first -errno; after it nothing is added */
    uint64_t number; /* the value, if the text is one number; else 0 */
};

/* Adds formatted text. Errors are in t->error: -ENOMEM, or -EFBIG above TEXT_BYTES_MAX. */
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a line with the number, and sets t->number. */
void text_add_number(struct text *t, uint64_t number);

/*
 * Adds the lines that the text does not have yet. lines: length bytes; the last line may lack its
 * newline. Control characters are escaped, and a line is cut at 1023 bytes.
 */
void text_add_lines_once(struct text *t, const char *lines, size_t length);

/* Adds a JSON string. Bytes that are not printable UTF-8 are escaped by escape_text() first. */
void text_add_json_string(struct text *t, const char *string);

/* Frees the bytes and empties the text. */
void text_free(struct text *t);

#endif
