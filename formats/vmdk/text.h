/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a descriptor, piece by piece: each function takes what it finds from the front of the
 * text. The bytes are the image's, not terminated.
 */
#ifndef FORMATS_VMDK_TEXT_H
#define FORMATS_VMDK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/image.h"

enum {
    /* The longest descriptor; as in qemu, what follows is left alone. 20,000 extents take a third
       of it. */
    VMDK_DESCRIPTOR_MAX = (1 << 20) - 1,
};

struct vmdk_text {
    const char *bytes;
    size_t length;
};

/* The text of up to length bytes at offset: it ends at a NUL or with the file, or is cut to
 * VMDK_DESCRIPTOR_MAX bytes, which is said. 0 or -errno, said. */
int vmdk_text_read(struct image *img, uint64_t offset, uint64_t length, struct vmdk_text *text);

bool vmdk_text_is(const struct vmdk_text *text, const char *s);

/* The text, escaped, in session memory; NULL, said, if there is none. */
const char *vmdk_text_keep(struct image *img, const struct vmdk_text *text);

/* Whether the text is a hexadecimal number of 1 to 8 digits. */
bool vmdk_text_hex(const struct vmdk_text *text, uint32_t *number);

/* Drops n bytes (there are as many); blanks: spaces, tabs and carriage returns. */
void vmdk_text_skip(struct vmdk_text *text, size_t n);
void vmdk_text_skip_blanks(struct vmdk_text *text);

/* Takes the text up to the character end (all of it, if there is none); that itself is dropped. */
struct vmdk_text vmdk_text_until(struct vmdk_text *text, char end);

/* Takes blanks, and then what is not blank. */
struct vmdk_text vmdk_text_word(struct vmdk_text *text);

/* Takes blanks and a decimal number, which ends at a blank or with the text. */
bool vmdk_text_number(struct vmdk_text *text, uint64_t *number);

/* The next line, without the blanks around it; false: no more. */
bool vmdk_text_line(struct vmdk_text *text, struct vmdk_text *line);

/* The value of the first line `key=value`, without its quotes. */
bool vmdk_text_value(struct vmdk_text text, const char *key, struct vmdk_text *value);

#endif
