/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows: what render functions write to. */
#ifndef FS_TREE_TEXT_H
#define FS_TREE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* not terminated; NULL if empty */
    size_t length, capacity;
    int error;       /* the first -errno of adding, after which nothing is added */
    uint64_t number; /* of a file that is one number; else 0 */
};

/* Adds formatted text. Errors are kept in t->error: -ENOMEM, -EFBIG. */
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a line that is the number, and sets t->number. */
void text_add_number(struct text *t, uint64_t number);

/*
 * Adds each line of length bytes that does not stand in the text yet, of at most 1023 bytes,
 * without control characters. A last line without its newline is a line, too.
 */
void text_add_lines_once(struct text *t, const char *lines, size_t length);

/* Adds a string of JSON; what is no printable UTF-8 in it is escaped first, as everywhere. */
void text_add_json_string(struct text *t, const char *string);

/* Frees the bytes and empties the text. */
void text_free(struct text *t);

#endif
