/* SPDX-License-Identifier: Apache-2.0 */
/* DMG images for tests: block tables, the property list that holds them, and the trailer. */
#ifndef TESTS_SUPPORT_DMG_IMAGE_H
#define TESTS_SUPPORT_DMG_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "formats/dmg/blocks.h"
#include "support.h"

enum {
    DMG_LIST_AT = 4096, /* the data fork is before it */

    KOLY_BYTES = 512,
    KOLY_HEADER_SIZE = 8,
    KOLY_DATA_FORK_OFFSET = 24,
    KOLY_RSRC_OFFSET = 40,
    KOLY_RSRC_LENGTH = 48,
    KOLY_SEGMENT_NUMBER = 56,
    KOLY_XML_OFFSET = 216,
    KOLY_XML_LENGTH = 224,
    KOLY_SECTOR_COUNT = 492,

    MISH_BYTES = 204,
    MISH_SECTOR = 8,
    MISH_DATA_OFFSET = 24,
    MISH_CHUNKS = 200,
    MISH_ENTRY = 40,
};

struct dmg_entry {
    uint32_t type;
    uint64_t sector, sectors, offset, length;
};

static inline void number_be(uint8_t *bytes, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

/* Writes a trailer at offset at, with the property list of length bytes at offset list. */
static inline void put_koly(struct sample *s, uint64_t at, uint64_t list, uint64_t length,
                            uint64_t sectors)
{
    uint8_t koly[KOLY_BYTES] = "koly";

    number_be(koly + 4, 4, 4);
    number_be(koly + KOLY_HEADER_SIZE, 4, KOLY_BYTES);
    number_be(koly + KOLY_XML_OFFSET, 8, list);
    number_be(koly + KOLY_XML_LENGTH, 8, length);
    number_be(koly + KOLY_SECTOR_COUNT, 8, sectors);
    put(s, at, koly, sizeof koly);
}

/* Makes a block table of these entries; free() it. */
static inline uint8_t *mish_of(const struct dmg_entry *entries, size_t count, size_t *length)
{
    uint8_t *mish, *p;

    *length = MISH_BYTES + count * MISH_ENTRY;
    mish = calloc(1, *length);
    assert_non_null(mish);
    memcpy(mish, "mish", 4);
    number_be(mish + MISH_CHUNKS, 4, count);
    p = mish + MISH_BYTES;
    for (size_t i = 0; i < count; i++, p += MISH_ENTRY) {
        number_be(p, 4, entries[i].type);
        number_be(p + 8, 8, entries[i].sector);
        number_be(p + 16, 8, entries[i].sectors);
        number_be(p + 24, 8, entries[i].offset);
        number_be(p + 32, 8, entries[i].length);
    }
    return mish;
}

/* Encodes bytes as base64, in lines of 44 digits; free() it. */
static inline char *base64_of(const uint8_t *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc(length / 3 * 4 + length / 33 + 16), *p = text;

    assert_non_null(text);
    for (size_t i = 0; i < length; i += 3) {
        size_t n = length - i < 3 ? length - i : 3;
        uint32_t group = (uint32_t)bytes[i] << 16;

        group |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= n > 2 ? bytes[i + 2] : 0;
        if (i % 33 == 0)
            *p++ = '\n';
        *p++ = digits[group >> 18];
        *p++ = digits[group >> 12 & 63];
        *p++ = n > 1 ? digits[group >> 6 & 63] : '=';
        *p++ = n > 2 ? digits[group & 63] : '=';
    }
    *p = '\0';
    return text;
}

#define PLIST_HEAD                                                                                 \
    "<?xml version=\"1.0\"?>\n<!DOCTYPE plist PUBLIC \"a\" \"b\">\n<plist version=\"1.0\">"
#define BLKX_HEAD "<dict><key>resource-fork</key><dict><key>blkx</key><array>"
#define BLKX_TAIL "</array></dict></dict></plist>\n"

/* Writes the text as the property list of a disk of this many sectors, then the trailer. */
static inline void put_list(struct sample *s, const char *text, uint64_t sectors)
{
    put_text(s, DMG_LIST_AT, text);
    put_koly(s, DMG_LIST_AT + strlen(text), DMG_LIST_AT, strlen(text), sectors);
}

/* Makes an image with one block table. */
static inline void make_dmg(struct sample *s, uint64_t sectors, const struct dmg_entry *entries,
                            size_t count)
{
    static const char head[] = PLIST_HEAD BLKX_HEAD "<dict><key>Data</key><data>";
    static const char tail[] = "</data></dict>" BLKX_TAIL;
    size_t length;
    uint8_t *mish = mish_of(entries, count, &length);
    char *base64 = base64_of(mish, length);
    char *text = calloc(1, sizeof head + strlen(base64) + sizeof tail);

    assert_non_null(text);
    sample_begin(s);
    strcat(strcat(strcpy(text, head), base64), tail);
    put_list(s, text, sectors);
    free(mish);
    free(base64);
    free(text);
}
#define MAKE_DMG(s, sectors, ...)                                                                  \
    make_dmg(s, sectors, (const struct dmg_entry[]){__VA_ARGS__},                                  \
             COUNT(((const struct dmg_entry[]){__VA_ARGS__})))

/* File offset of the trailer that put_list() wrote. */
static inline uint64_t koly_of(const struct sample *s)
{
    return image_size(s->img) - KOLY_BYTES;
}

#endif
