// SPDX-License-Identifier: Apache-2.0
/* Text that grows. */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/escape.h"
#include "limits.h"

enum { TEXT_FIRST_BYTES = 256, LINE_BYTES_MAX = 1024 };

/* Makes room for length more bytes and the terminator that vsnprintf() writes. */
static int make_room(struct text *t, size_t length)
{
    size_t needed = t->length + length + 1, capacity = t->capacity ? t->capacity : TEXT_FIRST_BYTES;
    char *bytes;

    if (needed > TEXT_BYTES_MAX)
        return -EFBIG;
    while (capacity < needed)
        capacity *= 2;
    if (capacity == t->capacity)
        return 0;
    bytes = realloc(t->bytes, capacity);
    if (!bytes)
        return -ENOMEM;
    t->bytes = bytes;
    t->capacity = capacity;
    return 0;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args;
    int length;

    if (t->error)
        return;
    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    t->error = length < 0 ? -EINVAL : make_room(t, (size_t)length);
    if (t->error)
        return;
    va_start(args, format);
    vsnprintf(t->bytes + t->length, (size_t)length + 1, format, args);
    va_end(args);
    t->length += (size_t)length;
}

void text_add_number(struct text *t, uint64_t number)
{
    text_add(t, "%" PRIu64 "\n", number);
    t->number = number;
}

/* Whether the text has the line, given without its newline. */
static bool has_line(const struct text *t, const char *line, size_t length)
{
    const char *p = t->bytes, *end = t->length ? t->bytes + t->length : t->bytes;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;

        if ((size_t)(stop - p) == length && memcmp(p, line, length) == 0)
            return true;
        p = stop + 1;
    }
    return false;
}

void text_add_lines_once(struct text *t, const char *lines, size_t length)
{
    const char *end = length ? lines + length : lines;
    char escaped[LINE_BYTES_MAX];

    while (lines < end) {
        const char *newline = memchr(lines, '\n', (size_t)(end - lines));
        size_t line = (size_t)((newline ? newline : end) - lines);

        if (!has_line(t, escaped, escape_line(escaped, sizeof escaped, lines, line)))
            text_add(t, "%s\n", escaped);
        lines += line + (newline != NULL);
    }
}

void text_add_json_string(struct text *t, const char *string)
{
    char escaped[4 * 1024];

    escape_text(escaped, sizeof escaped, string, strlen(string));
    text_add(t, "\"");
    for (const char *c = escaped; *c; c++)
        text_add(t, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    text_add(t, "\"");
}

void text_free(struct text *t)
{
    free(t->bytes);
    *t = (struct text){.bytes = NULL};
}
