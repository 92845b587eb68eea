/* SPDX-License-Identifier: Apache-2.0 */
/* VHD images for tests: footers and dynamic headers in a sparse file. Footers get a valid
 * checksum. */
#ifndef TESTS_SUPPORT_VHD_IMAGE_H
#define TESTS_SUPPORT_VHD_IMAGE_H

#include <string.h>
#include <unistd.h>

#include "support.h"

enum {
    VHD_CREATOR = 28,
    VHD_CURRENT_SIZE = 48,
    VHD_GEOMETRY = 56,
    VHD_TYPE = 60,
    VHD_CHECKSUM = 64,
    VHD_UNIQUE_ID = 68,

    DYNAMIC_AT = 512,
    DYNAMIC_TABLE_OFFSET = DYNAMIC_AT + 16,
    DYNAMIC_ENTRIES = DYNAMIC_AT + 28,
    DYNAMIC_BLOCK_SIZE = DYNAMIC_AT + 32,
    DYNAMIC_PARENT_ID = DYNAMIC_AT + 40,
    DYNAMIC_PARENT_TIME = DYNAMIC_AT + 56,
    DYNAMIC_PARENT_NAME = DYNAMIC_AT + 64,
    DYNAMIC_LOCATORS = DYNAMIC_AT + 576,
    BAT_AT = 2048,

    FIXED = 2,
    DYNAMIC = 3,
    DIFFERENCING = 4,
};

struct footer {
    const char *creator; /* 4 bytes */
    uint64_t size;
    uint32_t geometry; /* cylinders, heads, sectors per track: 16, 8 and 8 bits */
    uint32_t type;
    uint64_t data_offset; /* 0: the usual one of the type */
};

static inline void footer_number(uint8_t *bytes, uint32_t at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[at + i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

static inline void put_footer(struct sample *s, uint64_t at, const struct footer *f)
{
    uint8_t bytes[512] = "conectix";
    uint32_t sum = 0;

    footer_number(bytes, 11, 1, 2);
    footer_number(bytes, 12, 4, 0x10000);
    footer_number(bytes, 16, 8,
                  f->data_offset     ? f->data_offset
                  : f->type == FIXED ? UINT64_MAX
                                     : DYNAMIC_AT);
    memcpy(bytes + VHD_CREATOR, f->creator, 4);
    footer_number(bytes, 40, 8, 12345); /* the original size, which is ignored */
    footer_number(bytes, VHD_CURRENT_SIZE, 8, f->size);
    footer_number(bytes, VHD_GEOMETRY, 4, f->geometry);
    footer_number(bytes, VHD_TYPE, 4, f->type);
    footer_number(bytes, VHD_CHECKSUM + 4, 8, UINT64_C(0x8877665544332211)); /* the unique id */
    for (size_t i = 0; i < sizeof bytes; i++)
        sum += bytes[i];
    footer_number(bytes, VHD_CHECKSUM, 4, ~sum);
    put(s, at, bytes, sizeof bytes);
}

/* Changes a number in the footer at that offset, and updates its checksum. */
static inline void change_footer(struct sample *s, uint64_t at, uint32_t field, unsigned width,
                                 uint64_t value)
{
    uint8_t bytes[512];
    uint32_t sum = 0;

    assert_int_equal(pread(s->fd, bytes, sizeof bytes, (off_t)at), sizeof bytes);
    footer_number(bytes, field, width, value);
    footer_number(bytes, VHD_CHECKSUM, 4, 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        sum += bytes[i];
    footer_number(bytes, VHD_CHECKSUM, 4, ~sum);
    put(s, at, bytes, sizeof bytes);
}

/* A fixed disk of size bytes. */
static inline void make_fixed(struct sample *s, uint64_t size)
{
    sample_begin(s);
    put_footer(s, size, &(struct footer){"win ", size, 0, FIXED, 0});
}

/* A dynamic disk without a last footer: no block is allocated, and the file ends with the last
 * sector of the BAT. */
static inline void make_dynamic(struct sample *s, uint64_t size, uint32_t block_size, uint32_t type)
{
    uint64_t entries = (size + block_size - 1) / block_size;

    sample_begin(s);
    put_footer(s, 0, &(struct footer){"win ", size, 0, type, 0});
    put_text(s, DYNAMIC_AT, "cxsparse");
    put_be(s, DYNAMIC_AT + 8, 8, UINT64_MAX);
    put_be(s, DYNAMIC_TABLE_OFFSET, 8, BAT_AT);
    put_be(s, DYNAMIC_AT + 24, 4, 0x10000);
    put_be(s, DYNAMIC_ENTRIES, 4, entries);
    put_be(s, DYNAMIC_BLOCK_SIZE, 4, block_size);
    for (uint64_t i = 0; i < entries; i++)
        put_be(s, BAT_AT + 4 * i, 4, UINT32_MAX);
    set_size(s, (BAT_AT + 4 * entries + 511) / 512 * 512);
}

#endif
