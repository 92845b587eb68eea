// SPDX-License-Identifier: Apache-2.0
/* Changes texts in inputs of the fuzzer of images: decimal numbers, and fields in base64. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image-mutator.h"

enum { BASE64_LEAST = 32 }; /* characters: shorter runs may be words */

/* Replaces bytes [begin, end) of the piece. */
static void replace(struct input_piece *p, size_t begin, size_t end, const char *bytes,
                    size_t length)
{
    size_t all = begin + length + (p->length - end);
    uint8_t *room = mutator_room(all);

    if (!room)
        return;
    memcpy(room, p->bytes, begin);
    memcpy(room + begin, bytes, length);
    memcpy(room + begin + length, p->bytes + end, p->length - end);
    p->bytes = room;
    p->length = (uint32_t)all;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

void mutate_number(void)
{
    struct input_piece *p = mutator_piece();
    size_t begin = p ? (size_t)mutator_below(p->length) : 0, end;
    uint64_t now = 0;
    char digits[24];
    int length;

    while (p && begin < p->length && !is_digit(p->bytes[begin]))
        begin++;
    if (!p || begin >= p->length)
        return;
    while (begin && is_digit(p->bytes[begin - 1]))
        begin--;
    for (end = begin; end < p->length && is_digit(p->bytes[end]); end++)
        now = 10 * now + (uint64_t)(p->bytes[end] - '0');
    length = snprintf(digits, sizeof digits, "%" PRIu64, mutator_value(now));
    replace(p, begin, end, digits, (size_t)length);
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a character; -1: none, such as the white space of property lists. */
static int sextet(uint8_t c)
{
    const char *found = c ? strchr(base64, c) : NULL;

    return found ? (int)(found - base64) : -1;
}

/* The start of the next run of at least BASE64_LEAST characters; the length of the piece if there
 * is none. */
static size_t find_base64(const struct input_piece *p, size_t at)
{
    size_t run = 0;

    for (; at < p->length; at++) {
        run = sextet(p->bytes[at]) >= 0 ? run + 1 : 0;
        if (run == BASE64_LEAST)
            return at + 1 - run;
    }
    return p->length;
}

/* The offset of sextet n after that place; SIZE_MAX: there is none. */
static size_t place_of_sextet(const struct input_piece *p, size_t at, size_t n)
{
    for (; at < p->length && p->bytes[at] != '<' && p->bytes[at] != '='; at++)
        if (sextet(p->bytes[at]) >= 0 && n-- == 0)
            return at;
    return SIZE_MAX;
}

/* Decodes 16 characters from a group of four on, changes a field, and encodes them again. */
void mutate_base64(void)
{
    struct input_piece *p = mutator_piece();
    size_t begin = p ? find_base64(p, (size_t)mutator_below(p->length)) : 0, places[16];
    unsigned width = 1U << mutator_below(4), first;
    uint8_t bytes[12] = {0};
    size_t group;

    if (!p || begin >= p->length)
        return;
    group = 4 * (size_t)mutator_below(mutator_below(2) ? 70 : 1 + p->length / 4);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t value;

        places[i] = place_of_sextet(p, begin, group + i);
        if (places[i] == SIZE_MAX)
            return;
        value = (uint32_t)sextet(p->bytes[places[i]]);
        for (unsigned bit = 0; bit < 6; bit++)
            bytes[(6 * i + bit) / 8] |=
                (uint8_t)((value >> (5 - bit) & 1) << (7 - (6 * i + bit) % 8));
    }
    first = (unsigned)(-(group / 4 * 3) % width);
    if (first + width > sizeof bytes)
        first = 0;
    input_put(bytes + first, width, true, mutator_value(input_get(bytes + first, width, true)));
    for (unsigned i = 0; i < 16; i++) {
        unsigned value = 0;

        for (unsigned bit = 0; bit < 6; bit++)
            value = value << 1 | (bytes[(6 * i + bit) / 8] >> (7 - (6 * i + bit) % 8) & 1);
        p->bytes[places[i]] = (uint8_t)base64[value];
    }
}
