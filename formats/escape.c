// SPDX-License-Identifier: Apache-2.0
/*
 * Text from an image, made safe to print. Valid UTF-8 is that of RFC 3629: shortest form, no
 * surrogates, up to U+10FFFF.
 */
#include "escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

/* Decodes one character of up to n bytes to *code. Returns its length, or 0: it is not UTF-8. */
static size_t utf8_decode(const uint8_t *p, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (length == 1) {
        *code = p[0];
        return 1;
    }
    if (length == 0 || length > n || p[0] > 0xf4)
        return 0;
    *code = p[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3f);
    }
    if (*code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
        return 0;
    return length;
}

/* Whether a character may be printed as it is: not one that moves the cursor, breaks the line or
 * changes the direction of the text. */
static bool is_printable(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return false;
    if ((code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
        return false;
    return code != 0x200e && code != 0x200f && code != 0x061c && code != 0x2028 && code != 0x2029;
}

static size_t escape(char *out, size_t size, const char *text, size_t length, bool backslashes)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t used = 0;

    for (size_t i = 0; i < length;) {
        char piece[4 * 4 + 1];
        uint32_t code;
        size_t n = utf8_decode(p + i, length - i, &code);
        size_t piece_length;

        if (n && is_printable(code) && !(code == '\\' && backslashes)) {
            memcpy(piece, p + i, n);
            piece_length = n;
        } else {
            n = n ? n : 1;
            for (size_t k = 0; k < n; k++)
                snprintf(piece + 4 * k, 5, "\\x%02x", p[i + k]);
            piece_length = 4 * n;
        }
        if (used + piece_length >= size)
            break;
        memcpy(out + used, piece, piece_length);
        used += piece_length;
        i += n;
    }
    if (size)
        out[used] = '\0';
    return used;
}

size_t escape_text(char *out, size_t size, const char *text, size_t length)
{
    return escape(out, size, text, length, true);
}

size_t escape_line(char *out, size_t size, const char *text, size_t length)
{
    return escape(out, size, text, length, false);
}

static uint16_t utf16_unit(const uint8_t *p, enum utf16_order order)
{
    return order == UTF16_BE ? be16(p) : le16(p);
}

/* Writes a character (no surrogate, at most U+10FFFF) as UTF-8. Returns the bytes written. */
static size_t utf8_encode(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Returns the character at text, of which length (at least 2) bytes are left. *units: how many
 * units of 2 bytes it takes. */
static uint32_t utf16_decode(const uint8_t *text, size_t length, enum utf16_order order,
                             size_t *units)
{
    uint32_t code = utf16_unit(text, order);
    uint32_t next = length > 3 ? utf16_unit(text + 2, order) : 0;

    *units = 1;
    if (code < 0xd800 || code >= 0xe000)
        return code;
    if (code >= 0xdc00 || next < 0xdc00 || next >= 0xe000)
        return 0xfffd;
    *units = 2;
    return 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
}

size_t utf8_from_utf16(char *out, const uint8_t *text, size_t length, enum utf16_order order)
{
    size_t used = 0, units;

    length -= length % 2;
    while (length && !utf16_unit(text + length - 2, order))
        length -= 2;
    for (size_t i = 0; i < length; i += 2 * units)
        used += utf8_encode(out + used, utf16_decode(text + i, length - i, order, &units));
    return used;
}

size_t escape_utf16(char *out, size_t size, const uint8_t *text, size_t length,
                    enum utf16_order order)
{
    size_t used = 0, units;

    if (size)
        out[0] = '\0';
    for (size_t i = 0; i + 1 < length; i += 2 * units) {
        uint32_t code = utf16_decode(text + i, length - i, order, &units);
        char utf8[4];
        size_t written;

        if (code == 0)
            break;
        written = escape_text(out + used, size - used, utf8, utf8_encode(utf8, code));
        if (written == 0)
            break;
        used += written;
    }
    return used;
}
