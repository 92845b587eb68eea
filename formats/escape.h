/* SPDX-License-Identifier: Apache-2.0 */
/* Text from an image, made safe to print: one line of UTF-8 without control characters. */
#ifndef FORMATS_ESCAPE_H
#define FORMATS_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes length bytes of text to out (size bytes, always terminated), with each control character,
 * backslash, invalid UTF-8 byte and bidirectional override as \xHH. Stops before what does not fit.
 * Returns the bytes written.
 */
size_t escape_text(char *out, size_t size, const char *text, size_t length);

/* The same for a line that may hold escaped text already: backslashes stay. */
size_t escape_line(char *out, size_t size, const char *text, size_t length);

enum utf16_order { UTF16_BE, UTF16_LE };

/*
 * UTF-16 text of length bytes as UTF-8, unescaped, to out, which has 3 bytes for each 2 of them.
 * NULs at its end are dropped; half a surrogate pair becomes U+FFFD. Returns the bytes written.
 */
size_t utf8_from_utf16(char *out, const uint8_t *text, size_t length, enum utf16_order order);

/*
 * The same for UTF-16 text, which ends after length bytes or at a NUL before: each half of a broken
 * surrogate pair becomes the replacement character U+FFFD.
 */
size_t escape_utf16(char *out, size_t size, const uint8_t *text, size_t length,
                    enum utf16_order order);

#endif
