// SPDX-License-Identifier: Apache-2.0
/* Invariants of every file of the tree, whatever the image. */
#include "image-checks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/disk.h"

enum { NUMBERS_KEPT = 16 };

/* A file, as the last pass yielded it. */
struct seen {
    unsigned run; /* in which it was */
    int error;
    uint64_t hash;
    uint64_t numbers[2]; /* the first two numbers of its text */
};

enum { VIEWS = 2 }; /* the whole image, and layer 0 */

static struct seen seen[VIEWS][NODES_MAX][NUMBERS_KEPT];
static unsigned run;

/* VIEWS and above: not kept. */
static uint32_t view_slot(uint32_t view)
{
    return view_kind(view) == VIEW_WHOLE ? 0 : 1 + view_number(view);
}

static void fail(const struct place *place, const char *what, const struct text *text)
{
    char path[PLACE_PATH_BYTES];

    place_path(place, path);
    fprintf(stderr, "%s: %s\n", path, what);
    if (text)
        fwrite(text->bytes, 1, text->length, stderr);
    abort();
}

/* Decodes a UTF-8 character. Returns its length, 0 if it is malformed. */
static size_t decode_character(const uint8_t *c, size_t length, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = *c < 0x80   ? 1
                   : *c < 0xc0 ? 0
                   : *c < 0xe0 ? 2
                   : *c < 0xf0 ? 3
                   : *c < 0xf8 ? 4
                               : 0;

    if (!bytes || bytes > length)
        return 0;
    *code = bytes == 1 ? *c : *c & (0x7fU >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (c[i] & 0x3f);
    }
    return *code < least[bytes] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0
                                                                                           : bytes;
}

/* No control character, no bidi override, no line separator. */
static bool is_printable(uint32_t code)
{
    if (code < 0x20)
        return code == '\n';
    return !(code >= 0x7f && code < 0xa0) && code != 0x61c && !(code >= 0x200e && code <= 0x200f) &&
           !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

static bool is_printable_text(const char *text, size_t length)
{
    const uint8_t *c = (const uint8_t *)text;
    uint32_t code = 0;

    for (size_t at = 0, bytes; at < length; at += bytes) {
        bytes = decode_character(c + at, length - at, &code);
        if (!bytes || !is_printable(code))
            return false;
    }
    return true;
}

/* A decimal number without leading zeros, and a newline. */
static bool is_number(const char *text, size_t length, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i + 1 < length; i++)
        if (text[i] < '0' || text[i] > '9' || (i == 0 && *text == '0' && length > 2) ||
            __builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(text[i] - '0'), value))
            return false;
    return length > 1;
}

/* Checks only that brackets and quotes are balanced. */
static bool is_json(const char *text, size_t length)
{
    char open[16];
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '"') {
            quoted = !quoted;
        } else if (quoted) {
            i += c == '\\';
        } else if (c == '{' || c == '[') {
            if (depth == sizeof open)
                return false;
            open[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (!depth || open[--depth] != c || (!depth && i + 2 != length))
                return false;
        }
    }
    return !depth && !quoted && length > 2;
}

static void check_text(const struct place *place, const struct text *text)
{
    enum kind kind = place->node->kind;
    uint64_t value;

    if (!text->length || text->bytes[text->length - 1] != '\n')
        fail(place, "does not end with a newline", text);
    if (kind != KIND_STRING && text->length > 1 && text->bytes[text->length - 2] == '\n')
        fail(place, "ends with two newlines", text);
    if (kind == KIND_STRING && memchr(text->bytes, '\n', text->length - 1))
        fail(place, "has several lines", text);
    if (!is_printable_text(text->bytes, text->length))
        fail(place, "is not printable", text);
    if ((kind == KIND_NUMBER || kind == KIND_BYTES) &&
        !is_number(text->bytes, text->length, &value))
        fail(place, "is not a number", text);
    if (kind == KIND_BYTES && value > INT64_MAX)
        fail(place, "exceeds the largest file size", text);
    if (kind == KIND_JSON && !is_json(text->bytes, text->length))
        fail(place, "is not JSON", text);
}

static bool is_error_of_contract(int error)
{
    static const int errors[] = {EUCLEAN, ENOTSUP, EIO, EACCES, EINVAL, EFBIG, ENOENT};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (error == -errors[i])
            return true;
    return false;
}

static void find_numbers(const struct text *text, uint64_t *numbers)
{
    const char *c = text->bytes, *end = c + text->length;

    for (size_t n = 0; n < 2 && c < end; n++) {
        while (c < end && (*c < '0' || *c > '9'))
            c++;
        for (numbers[n] = 0; c < end && *c >= '0' && *c <= '9'; c++)
            numbers[n] = 10 * numbers[n] + (uint64_t)(*c - '0');
    }
}

static uint64_t hash_of(const struct text *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < text->length; i++)
        hash = (hash ^ (uint8_t)text->bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

void checks_begin(void)
{
    run++;
}

void check_file(const struct place *place, int error, const struct text *text)
{
    struct seen now = {.run = run, .error = error}, *before;
    uint32_t view = view_slot(place->view);

    if (error && !is_error_of_contract(error))
        fail(place, strerror(-error), NULL);
    if (!error)
        check_text(place, text);
    if (view >= VIEWS || place->set || place->number >= NUMBERS_KEPT)
        return;
    if (!error) {
        now.hash = hash_of(text);
        find_numbers(text, now.numbers);
    }
    before = &seen[view][node_index(place->node)][place->number];
    if (before->run == run && (before->error != error || before->hash != now.hash))
        fail(place, "differs from what another pass yielded", error ? NULL : text);
    *before = now;
}

void check_problems(const char *text)
{
    size_t length = strlen(text);

    if (is_printable_text(text, length) && (!length || text[length - 1] == '\n') &&
        !strstr(text, "\n\n"))
        return;
    fprintf(stderr, "problems are not printable lines:\n%s", text);
    abort();
}

/* NULL: it was not yielded in this run, or is an error. */
static const struct seen *find_seen(uint32_t view, const char *directory, const char *name)
{
    char path[PLACE_PATH_BYTES];
    const struct seen *s;

    snprintf(path, sizeof path, "%s%s", directory, name);
    s = &seen[view_slot(view)][node_index(node_by_path(path))][0];
    return s->run == run && !s->error ? s : NULL;
}

/* The first number of less is at most number n of more. */
static void check_order(const struct seen *less, const struct seen *more, size_t n,
                        const char *what)
{
    if (!less || !more || less->numbers[0] <= more->numbers[n])
        return;
    fprintf(stderr, "%s: %" PRIu64 " is more than %" PRIu64 "\n", what, less->numbers[0],
            more->numbers[n]);
    abort();
}

void check_sizes(uint32_t view)
{
    const struct seen *size = find_seen(view, "", "virtual_size");

    if (size && size->numbers[0] > DISK_BYTES_MAX) {
        fprintf(stderr, "virtual_size: %" PRIu64 "\n", size->numbers[0]);
        abort();
    }
    check_order(find_seen(view, "", "allocated_size"), size, 0, "allocated_size");
    for (size_t i = 0; targets[i]; i++) {
        const struct seen *measured = find_seen(view, "measure/", targets[i]->name);

        check_order(measured, measured, 1, targets[i]->name);
        check_order(find_seen(view, "convert_size/", targets[i]->name), measured, 1,
                    targets[i]->name);
    }
}
