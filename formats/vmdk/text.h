/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a descriptor: a view of bytes of the image, not terminated. A function that takes
 * something removes it from the front of the text.
 */
#ifndef FORMATS_VMDK_TEXT_H
#define FORMATS_VMDK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/image.h"

enum {
    /* The longest descriptor: qemu's limit; the rest is ignored. 20,000 extents need a third of
       it. */
    VMDK_DESCRIPTOR_MAX = (1 << 20) - 1,
};

struct vmdk_text {
    const char *bytes;
    size_t length;
};

/* The text of up to length bytes at offset: it ends at a NUL or with the file, or is cut to
 * VMDK_DESCRIPTOR_MAX bytes, which is noted. 0 or -errno, reported. */
int vmdk_text_read(struct image *img, uint64_t offset, uint64_t length, struct vmdk_text *text);

bool vmdk_text_is(const struct vmdk_text *text, const char *s);

/* An escaped, terminated copy in session memory. NULL, reported: out of memory. */
const char *vmdk_text_keep(struct image *img, const struct vmdk_text *text);

/* Parses all of the text as a hexadecimal number; false unless it has 1 to 8 digits. */
bool vmdk_text_hex(const struct vmdk_text *text, uint32_t *number);

/* Removes n bytes (n <= length), or leading blanks: spaces, tabs and carriage returns. */
void vmdk_text_skip(struct vmdk_text *text, size_t n);
void vmdk_text_skip_blanks(struct vmdk_text *text);

/* Takes the text up to the character end, and removes that. Takes all of it if there is none. */
struct vmdk_text vmdk_text_until(struct vmdk_text *text, char end);

/* Removes blanks and takes the word behind them; it may be empty. */
struct vmdk_text vmdk_text_word(struct vmdk_text *text);

/* Removes blanks and takes a decimal number, which must end at a blank or with the text. */
bool vmdk_text_number(struct vmdk_text *text, uint64_t *number);

/* Takes the next line, without surrounding blanks; false: no more. */
bool vmdk_text_line(struct vmdk_text *text, struct vmdk_text *line);

/* The value of the first line `key=value`, without quotes; false: there is none. */
bool vmdk_text_value(struct vmdk_text text, const char *key, struct vmdk_text *value);

#endif
