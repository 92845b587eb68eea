/* SPDX-License-Identifier: Apache-2.0 */
/* Text from an image, made safe to print: one line of UTF-8 without control characters. */
#ifndef FORMATS_ESCAPE_H
#define FORMATS_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes length bytes of text to out (size bytes, always terminated), with the bytes of control
 * characters, backslashes, invalid UTF-8 and bidirectional overrides as \xHH. Stops before the
 * first character that does not fit. Returns the bytes written.
 */
size_t escape_text(char *out, size_t size, const char *text, size_t length);

/* The same for a line that may contain escaped text: backslashes are not escaped. */
size_t escape_line(char *out, size_t size, const char *text, size_t length);

enum utf16_order { UTF16_BE, UTF16_LE };

/*
 * Writes length bytes of UTF-16 text as UTF-8 to out, which has room for 3 bytes for each 2. Not
 * escaped, not terminated. NULs at the end are dropped; each half of a broken surrogate pair
 * becomes the replacement character U+FFFD. Returns the bytes written.
 */
size_t utf8_from_utf16(char *out, const uint8_t *text, size_t length, enum utf16_order order);

/*
 * As escape_text(), for UTF-16 text that ends after length bytes or at the first NUL. Each half of
 * a broken surrogate pair becomes U+FFFD.
 */
size_t escape_utf16(char *out, size_t size, const uint8_t *text, size_t length,
                    enum utf16_order order);

#endif
