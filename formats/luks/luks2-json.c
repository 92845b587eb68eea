// SPDX-License-Identifier: Apache-2.0
/*
 * The JSON area of LUKS version 2 (LUKS2 On-Disk Format Specification 1.1, section 3). All of it
 * must be well-formed JSON (RFC 8259). Only segments.0 is used, which locates the payload; its
 * 64-bit numbers are strings. Nested objects are counted by depth, without recursion. The scan ends
 * because the length of the area and the number of values are limited.
 */
#include "luks2-json.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"

enum {
    DEPTH_MAX = 16,
    VALUES_MAX = 64 << 10,
    TEXT_BYTES = 40, /* of a key or string that are kept; no known one is longer */
    KEYS = 3,        /* levels whose keys are kept */
    WINDOW_BYTES = 64 << 10,
};

/* What may come next. */
enum expected { VALUE, VALUE_OR_END, KEY, KEY_OR_END, COMMA_OR_END, END_OF_TEXT };

struct segment {
    char type[TEXT_BYTES], offset[TEXT_BYTES], size[TEXT_BYTES];
    bool has_integrity;
    bool has_others; /* there are segments other than 0 */
};

struct scanner {
    struct image *img;
    struct image_window window;
    uint64_t begin, offset, end; /* file offsets; offset: of the next byte */
    unsigned depth;              /* objects and arrays that are open */
    unsigned values;
    bool is_object[DEPTH_MAX];
    char keys[KEYS][TEXT_BYTES]; /* latest keys of the outermost objects; "" for an array */
    struct segment segment;
};

static int luks2_json_fail(struct scanner *s, const char *what)
{
    return image_fail(s->img, EUCLEAN, "luks: JSON area, byte %llu: %s",
                      (unsigned long long)(s->offset - s->begin), what);
}

/* Reads the next byte without taking it. */
static int luks2_json_peek(struct scanner *s, char *c)
{
    const uint8_t *p;
    int error;

    if (s->offset == s->end)
        return luks2_json_fail(s, "unexpected end of the area");
    error = image_window_ahead(s->img, &s->window, s->offset, 1,
                               min_u64(s->end - s->offset, WINDOW_BYTES), &p);
    if (!error)
        *c = (char)*p;
    return error;
}

static int luks2_json_take(struct scanner *s, char *c)
{
    int error = luks2_json_peek(s, c);

    if (!error)
        s->offset++;
    return error;
}

/* Takes white space and the next byte after it. */
static int luks2_json_take_visible(struct scanner *s, char *c)
{
    int error;

    do
        error = luks2_json_take(s, c);
    while (!error && (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\r'));
    return error;
}

/* Takes the rest of a string after its first quote. text gets its first bytes, escapes as written.
 */
static int luks2_json_take_string(struct scanner *s, char *text)
{
    size_t n = 0;
    char c = 0;
    bool escaped = false;
    int error;

    while (!(error = luks2_json_take(s, &c)) && (c != '"' || escaped)) {
        if ((unsigned char)c < ' ')
            return luks2_json_fail(s, "control character in a string");
        if (escaped && !strchr("\"\\/bfnrtu", c))
            return luks2_json_fail(s, "unknown escape in a string");
        escaped = c == '\\' && !escaped;
        if (n + 1 < TEXT_BYTES)
            text[n++] = c;
    }
    text[n] = '\0';
    return error;
}

/* Skips digits; false if there are none. */
static bool luks2_json_skip_digits(const char **p)
{
    size_t n = strspn(*p, "0123456789");

    *p += n;
    return n > 0;
}

static bool luks2_json_is_number(const char *p)
{
    p += *p == '-';
    if (*p == '0')
        p++;
    else if (!luks2_json_skip_digits(&p))
        return false;
    if (*p == '.' && (p++, !luks2_json_skip_digits(&p)))
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!luks2_json_skip_digits(&p))
            return false;
    }
    return *p == '\0';
}

/* Takes a number, true, false or null; its first byte was taken. */
static int luks2_json_take_literal(struct scanner *s, char first)
{
    char text[TEXT_BYTES] = {first}, c = 0;
    size_t n = 1;
    int error;

    while (!(error = luks2_json_peek(s, &c)) && c &&
           strchr("abcdefghijklmnopqrstuvwxyzE0123456789+-.", c)) {
        if (n + 1 == TEXT_BYTES)
            return luks2_json_fail(s, "value of more than 39 characters");
        text[n++] = c;
        s->offset++;
    }
    if (error)
        return error;
    if (luks2_json_is_number(text) || strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
        strcmp(text, "null") == 0)
        return 0;
    return luks2_json_fail(s, "expected a value");
}

/* Whether the current value is a member of the segment of this number. */
static bool luks2_json_is_in_segment(const struct scanner *s, const char *number)
{
    return s->depth == 3 && strcmp(s->keys[0], "segments") == 0 && strcmp(s->keys[1], number) == 0;
}

/* Keeps a string, the value of the latest key, if it is a known member of segment 0. */
static int luks2_json_keep_string(struct scanner *s, const char *text)
{
    struct segment *segment = &s->segment;
    const char *key = s->keys[KEYS - 1];
    char *place = NULL;

    if (!luks2_json_is_in_segment(s, "0"))
        return 0;
    if (strcmp(key, "type") == 0)
        place = segment->type;
    else if (strcmp(key, "offset") == 0)
        place = segment->offset;
    else if (strcmp(key, "size") == 0)
        place = segment->size;
    else
        return 0;
    if (*place)
        return luks2_json_fail(s, "duplicate key in segment 0");
    memcpy(place, text, TEXT_BYTES);
    return 0;
}

/* Begins an object or array, the value of the latest key. */
static int luks2_json_push(struct scanner *s, bool is_object)
{
    if (s->depth == DEPTH_MAX)
        return luks2_json_fail(s, "more than 16 nested objects or arrays");
    if (s->depth == 2 && strcmp(s->keys[0], "segments") == 0 && strcmp(s->keys[1], "0") != 0)
        s->segment.has_others = true;
    if (luks2_json_is_in_segment(s, "0") && strcmp(s->keys[2], "integrity") == 0)
        s->segment.has_integrity = true;
    if (s->depth < KEYS)
        s->keys[s->depth][0] = '\0';
    s->is_object[s->depth++] = is_object;
    return 0;
}

/* Ends the innermost object or array, which must end with c. */
static int luks2_json_pop(struct scanner *s, char c, enum expected *next)
{
    if (c != (s->is_object[s->depth - 1] ? '}' : ']'))
        return luks2_json_fail(s, "expected a comma, or the end of an object or array");
    s->depth--;
    *next = s->depth ? COMMA_OR_END : END_OF_TEXT;
    return 0;
}

/* Takes a value whose first byte is c. */
static int luks2_json_scan_value(struct scanner *s, char c, enum expected *next)
{
    char text[TEXT_BYTES] = "";
    int error;

    if (++s->values > VALUES_MAX)
        return luks2_json_fail(s, "more than 65536 values");
    *next = COMMA_OR_END;
    if (c == '{' || c == '[') {
        *next = c == '{' ? KEY_OR_END : VALUE_OR_END;
        return luks2_json_push(s, c == '{');
    }
    if (c != '"')
        return luks2_json_take_literal(s, c);
    error = luks2_json_take_string(s, text);
    return error ? error : luks2_json_keep_string(s, text);
}

/* Takes a key and its colon; c, its first byte, must be a quote. */
static int luks2_json_scan_key(struct scanner *s, char c, enum expected *next)
{
    char text[TEXT_BYTES] = "";
    int error;

    if (c != '"')
        return luks2_json_fail(s, "expected a key");
    error = luks2_json_take_string(s, text);
    if (!error)
        error = luks2_json_take_visible(s, &c);
    if (error)
        return error;
    if (c != ':')
        return luks2_json_fail(s, "expected a colon");
    if (s->depth <= KEYS)
        memcpy(s->keys[s->depth - 1], text, TEXT_BYTES);
    *next = VALUE;
    return 0;
}

/* Takes what *next allows here, and sets *next to what may follow it. */
static int luks2_json_scan_step(struct scanner *s, enum expected *next)
{
    enum expected now = *next;
    char c = 0;
    int error = luks2_json_take_visible(s, &c);

    if (error)
        return error;
    if (now == COMMA_OR_END && c == ',') {
        *next = s->is_object[s->depth - 1] ? KEY : VALUE;
        return 0;
    }
    if (now == COMMA_OR_END || (now == KEY_OR_END && c == '}') || (now == VALUE_OR_END && c == ']'))
        return luks2_json_pop(s, c, next);
    if (now == KEY || now == KEY_OR_END)
        return luks2_json_scan_key(s, c, next);
    return luks2_json_scan_value(s, c, next);
}

/* Scans the area: an object, then a NUL. */
static int luks2_json_scan(struct scanner *s)
{
    enum expected next = KEY_OR_END;
    char c = 0;
    int error = luks2_json_take_visible(s, &c);

    if (!error && c != '{')
        return luks2_json_fail(s, "expected an object");
    if (!error)
        error = luks2_json_push(s, true);
    while (!error && next != END_OF_TEXT)
        error = luks2_json_scan_step(s, &next);
    if (!error)
        error = luks2_json_take_visible(s, &c);
    if (!error && c != '\0')
        return luks2_json_fail(s, "expected a NUL after the object");
    return error;
}

/* Parses a decimal number, which must consist of digits. */
static bool luks2_json_parse_number(const char *text, uint64_t *value)
{
    *value = 0;
    for (const char *p = text; *p; p++)
        if (*p < '0' || *p > '9' || !checked_mul(*value, 10, value) ||
            !checked_add(*value, (uint64_t)(*p - '0'), value))
            return false;
    return *text != '\0';
}

/* Checks segment 0, which must be the only one, and sets the payload. */
static int luks2_json_check_segment(struct image *img, const struct segment *g,
                                    struct luks_payload *payload)
{
    if (!*g->type)
        return image_fail(img, EUCLEAN, "luks: JSON area: segment 0 has no type");
    if (g->has_others)
        return image_fail(img, ENOTSUP,
                          "luks: JSON area has more than one segment: reencryption is in progress");
    if (strcmp(g->type, "crypt") != 0)
        return image_fail(img, ENOTSUP, "luks: segment type \"%s\" is not \"crypt\"", g->type);
    if (g->has_integrity)
        return image_fail(
            img, ENOTSUP,
            "luks: segment with integrity: tags between its sectors are not supported");
    if (!luks2_json_parse_number(g->offset, &payload->offset) || payload->offset % SECTOR)
        return image_fail(
            img, EUCLEAN,
            "luks: segment offset \"%s\" is not a 64-bit number that is a multiple of %d",
            g->offset, SECTOR);
    if (payload->offset == 0)
        return image_fail(img, ENOTSUP,
                          "luks: segment offset \"0\": the header is detached from its payload");
    payload->size = LUKS_SIZE_DYNAMIC;
    if (strcmp(g->size, "dynamic") == 0)
        return 0;
    if (!luks2_json_parse_number(g->size, &payload->size) || payload->size % SECTOR)
        return image_fail(img, EUCLEAN,
                          "luks: segment size \"%s\" is neither \"dynamic\" nor a multiple of %d",
                          g->size, SECTOR);
    return 0;
}

int luks2_read_segment(struct image *img, uint64_t offset, uint64_t length,
                       struct luks_payload *payload)
{
    struct scanner s = {.img = img, .begin = offset, .offset = offset, .end = offset + length};
    int error = image_window_begin(img, &s.window, WINDOW_BYTES);

    if (!error)
        error = luks2_json_scan(&s);
    return error ? error : luks2_json_check_segment(img, &s.segment, payload);
}
