// SPDX-License-Identifier: Apache-2.0
/*
 * How clang's fuzzer changes inputs of fuzz_image: pieces are moved, cut, copied; fields of them get
 * values that mean something, such as where another piece is; sums are made right again, so that
 * what is behind them is reached. Bytes are changed by libFuzzer's own mutators, too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/checked.h"
#include "image-input.h"

enum {
    ARENA_BYTES = 4 << 20,
    GROWTH = 64,        /* bytes that a piece may become longer by */
    SMALL = 64,         /* bytes of a piece that is made of nothing */
    TIMES_MAX = 64,     /* a piece is laid, if not very often before */
    CHANGES_MAX = 5,    /* at once */
    REPAIRED = 15,      /* of 16 inputs */
    BASE64_LEAST = 32,  /* characters: less may be a word */
};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_size, unsigned seed);

static struct image_input input;
static uint8_t arena[ARENA_BYTES];
static size_t arena_used;
static uint64_t state; /* of the random numbers, xorshift64* */

static uint64_t random_bits(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static uint64_t below(uint64_t n)
{
    return n ? (random_bits() >> 8) % n : 0;
}

/* Bytes that live as long as the input at hand; NULL: there are no more. */
static uint8_t *take_room(size_t length)
{
    uint8_t *room = arena + arena_used;

    if (length > ARENA_BYTES - arena_used)
        return NULL;
    arena_used += length;
    return room;
}

static struct input_piece *any_piece(void)
{
    return input.count ? &input.pieces[below(input.count)] : NULL;
}

static uint64_t get(const uint8_t *bytes, unsigned width, bool big)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)bytes[big ? width - 1 - i : i] << 8 * i;
    return value;
}

static void put(uint8_t *bytes, unsigned width, bool big, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        bytes[big ? width - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

/* A place in a file: of a piece, of its end, of the end of the file. */
static uint64_t some_place(void)
{
    const struct input_piece *p = any_piece();
    uint64_t size = input.sizes[below(8) ? 0 : below(INPUT_FILES)];

    if (!p || !below(4))
        return size;
    return p->offset + (below(2) ? input_piece_bytes(p) : 0);
}

/* In which units fields count. */
static const unsigned shifts[] = {0, 0, 0, 9, 9, 9, 12, 16, 16, 20, 20, 15, 8, 10, 3};

static unsigned some_shift(void)
{
    return shifts[below(sizeof shifts / sizeof *shifts)];
}

/* A number at which something changes. */
static uint64_t some_limit(void)
{
    uint64_t power = UINT64_C(1) << below(64);

    switch (below(8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX - below(3);
    case 2:
        return power - 1;
    case 3:
        return power + below(3);
    case 4:
        return below(32);
    case 5:
        return -power;
    case 6:
        return UINT64_MAX >> below(64);
    default:
        return random_bits();
    }
}

/* A value for a field that has this one. */
static uint64_t some_value(uint64_t now)
{
    switch (below(8)) {
    case 0:
    case 1:
        return some_place() >> some_shift();
    case 2:
        return some_limit();
    case 3:
        return now + 1 + below(4);
    case 4:
        return now - 1 - below(4);
    case 5:
        return now ^ UINT64_C(1) << below(64);
    case 6:
        return below(2) ? now << 1 : now >> 1;
    default:
        return below(64);
    }
}

/* Where a field may be in the piece, aligned as in the file; false: it has no room. */
static bool find_field(const struct input_piece *p, unsigned *width, size_t *at)
{
    uint64_t last;

    *width = 1U << below(4);
    while (*width > p->length)
        *width /= 2;
    if (!*width)
        return false;
    last = p->length - *width;
    *at = (size_t)below(last + 1);
    *at -= (size_t)min_u64((p->offset + *at) % *width, *at);
    return true;
}

static void change_field(void)
{
    struct input_piece *p = any_piece();
    unsigned width;
    size_t at;
    bool big = below(2);

    if (p && find_field(p, &width, &at))
        put(p->bytes + at, width, big, some_value(get(p->bytes + at, width, big)));
}

/* Entries of a table that count on from one of them. */
static void change_table(void)
{
    struct input_piece *p = any_piece();
    bool big = below(2);
    uint64_t value, step = below(3) ? UINT64_C(1) << below(24) : 0;
    size_t at, count = (size_t)below(32);
    unsigned width;

    if (!p || !find_field(p, &width, &at))
        return;
    value = get(p->bytes + at, width, big);
    for (; count-- && at + width <= p->length; at += width, value += step)
        put(p->bytes + at, width, big, value);
}

static void change_bytes(void)
{
    struct input_piece *p = any_piece();
    size_t most = p ? p->length + GROWTH : 0;
    uint8_t *room = p && p->length ? take_room(most) : NULL;

    if (!room)
        return;
    memcpy(room, p->bytes, p->length);
    if (below(2)) /* what follows stays where it is */
        most = p->length;
    p->length = (uint32_t)LLVMFuzzerMutate(room, p->length, most);
    p->bytes = room;
}

/* Puts length bytes in place of what is from begin to end in the piece. */
static void replace(struct input_piece *p, size_t begin, size_t end, const char *bytes,
                    size_t length)
{
    size_t all = begin + length + (p->length - end);
    uint8_t *room = take_room(all);

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

/* A decimal number in a text becomes another. */
static void change_number(void)
{
    struct input_piece *p = any_piece();
    size_t begin = p ? (size_t)below(p->length) : 0, end;
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
    length = snprintf(digits, sizeof digits, "%" PRIu64, some_value(now));
    replace(p, begin, end, digits, (size_t)length);
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of a character, -1: it has none. (A property list has white space in between.) */
static int sextet(uint8_t c)
{
    const char *found = c ? strchr(base64, c) : NULL;

    return found ? (int)(found - base64) : -1;
}

/* Where base64 begins at or after that place in the piece, for at least so many characters. */
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

/* The place of sextet number n, counted from there on; SIZE_MAX: there is none. */
static size_t place_of_sextet(const struct input_piece *p, size_t at, size_t n)
{
    for (; at < p->length && p->bytes[at] != '<' && p->bytes[at] != '='; at++)
        if (sextet(p->bytes[at]) >= 0 && n-- == 0)
            return at;
    return SIZE_MAX;
}

/* A field of the bytes that are told in base64, in groups of three bytes or four characters. */
static void change_base64(void)
{
    struct input_piece *p = any_piece();
    size_t begin = p ? find_base64(p, (size_t)below(p->length)) : 0, places[16];
    unsigned width = 1U << below(4), first;
    uint8_t bytes[12] = {0};
    size_t group;

    if (!p || begin >= p->length)
        return;
    group = 4 * (size_t)below(below(2) ? 70 : 1 + p->length / 4);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t value;

        places[i] = place_of_sextet(p, begin, group + i);
        if (places[i] == SIZE_MAX)
            return;
        value = (uint32_t)sextet(p->bytes[places[i]]);
        for (unsigned bit = 0; bit < 6; bit++)
            bytes[(6 * i + bit) / 8] |= (uint8_t)((value >> (5 - bit) & 1) << (7 - (6 * i + bit) % 8));
    }
    first = (unsigned)(-(group / 4 * 3) % width);
    if (first + width > sizeof bytes)
        first = 0;
    put(bytes + first, width, true, some_value(get(bytes + first, width, true)));
    for (unsigned i = 0; i < 16; i++) {
        unsigned value = 0;

        for (unsigned bit = 0; bit < 6; bit++)
            value = value << 1 | (bytes[(6 * i + bit) / 8] >> (7 - (6 * i + bit) % 8) & 1);
        p->bytes[places[i]] = (uint8_t)base64[value];
    }
}

/* A place for a piece: one that a field of another names, or near one that is known. */
static uint64_t some_offset(uint64_t now)
{
    const struct input_piece *p = any_piece();
    unsigned width;
    size_t at;

    switch (below(4)) {
    case 0:
        return some_place();
    case 1:
        return now + (below(2) ? 1 : UINT64_MAX) * (UINT64_C(1) << below(24));
    case 2:
        return some_limit() & INT64_MAX;
    default:
        if (!p || !find_field(p, &width, &at))
            return 0;
        return get(p->bytes + at, width, below(2)) << some_shift() & INT64_MAX;
    }
}

static struct input_piece *add_piece(struct input_piece piece)
{
    if (input.count == INPUT_PIECES_MAX)
        return NULL;
    input.pieces[input.count] = piece;
    return &input.pieces[input.count++];
}

static void add_small(void)
{
    size_t length = 1 + (size_t)below(SMALL);
    uint8_t *room = take_room(length);
    unsigned width = 1U << below(4);
    bool big = below(2);

    if (!room)
        return;
    memset(room, below(4) ? 0 : (int)below(256), length);
    for (size_t at = 0; at + width <= length; at += width)
        put(room + at, width, big, some_value(below(4)));
    add_piece((struct input_piece){some_offset(0), (uint32_t)length,
                                   below(4) ? 1 : 1 + (uint32_t)below(TIMES_MAX),
                                   (uint8_t)(below(8) ? 0 : below(INPUT_FILES)), room});
}

static void copy_piece(void)
{
    const struct input_piece *p = any_piece();
    struct input_piece copy;

    if (!p || !(copy.bytes = take_room(p->length)))
        return;
    memcpy(copy.bytes, p->bytes, p->length);
    copy.offset = some_offset(p->offset);
    copy.length = p->length;
    copy.times = p->times;
    copy.file = below(16) ? p->file : (uint8_t)below(INPUT_FILES);
    add_piece(copy);
}

static void move_piece(void)
{
    struct input_piece *p = any_piece();

    if (p)
        p->offset = some_offset(p->offset);
}

static void remove_piece(void)
{
    struct input_piece *p = any_piece();

    if (p)
        *p = input.pieces[--input.count];
}

/* Cuts a piece in two, of which one may then go its own way. */
static void split_piece(void)
{
    struct input_piece *p = any_piece(), second;
    uint32_t at;

    if (!p || p->length < 2 || p->times != 1)
        return;
    at = 1 + (uint32_t)below(p->length - 1);
    second = (struct input_piece){p->offset + at, p->length - at, 1, p->file, p->bytes + at};
    if (add_piece(second))
        p->length = at;
}

/* Makes one of two pieces that follow each other, with the zeros between them. */
static void join_pieces(void)
{
    struct input_piece *a = any_piece(), *b = any_piece();
    uint64_t gap = a ? b->offset - a->offset - a->length : 0;
    uint8_t *room;

    if (!a || a == b || a->times != 1 || b->times != 1 || a->file != b->file || gap > 4096)
        return;
    room = take_room(a->length + gap + b->length);
    if (!room)
        return;
    memcpy(room, a->bytes, a->length);
    memset(room + a->length, 0, gap);
    memcpy(room + a->length + gap, b->bytes, b->length);
    a->bytes = room;
    a->length += (uint32_t)gap + b->length;
    *b = input.pieces[--input.count];
}

static void change_times(void)
{
    struct input_piece *p = any_piece();

    if (p)
        p->times = p->times > 1 && below(2) ? 1 + (uint32_t)below(2 * (uint64_t)p->times)
                                            : 1 + (uint32_t)below(TIMES_MAX);
}

/* Another size, with which what is at the end of the file may move. */
static void change_size(void)
{
    unsigned file = below(8) ? 0 : (unsigned)below(INPUT_FILES);
    uint64_t before = input.sizes[file], size;

    switch (below(4)) {
    case 0:
        size = some_place();
        break;
    case 1:
        size = before + (below(2) ? 1 : UINT64_MAX) * (UINT64_C(1) << below(32));
        break;
    case 2:
        size = some_limit() >> below(64);
        break;
    default:
        size = before - 2 + below(4);
    }
    input.sizes[file] = size & INT64_MAX;
    if (below(2))
        return;
    for (struct input_piece *p = input.pieces; p < input.pieces + input.count; p++)
        if (p->file == file && before - p->offset <= 1024 && p->offset <= before)
            p->offset += input.sizes[file] - before;
}

static void change_choice(void)
{
    input.choices[below(CHOICE_BACKING + 1)] = below(3) ? (uint8_t)below(32) : 0;
}

/* How an input may be changed; what stands here more than once is done more often. */
static void (*const changes[])(void) = {
    change_field,  change_field, change_field, change_field,  change_field,  change_field,
    change_bytes,  change_bytes, change_bytes, change_number, change_base64, change_base64,
    change_table,  change_size,  change_times, change_choice, add_small,     copy_piece,
    move_piece,    move_piece,   remove_piece, split_piece,   join_pieces,
};

/* Takes the input apart, in memory of its own. false: it is none. */
static bool take(const uint8_t *data, size_t size, unsigned seed)
{
    uint8_t *copy;

    arena_used = 0;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    copy = take_room(size);
    if (!copy)
        return false;
    memcpy(copy, data, size);
    return input_parse(&input, copy, size);
}

static size_t give(uint8_t *out, size_t max_size)
{
    uint8_t *room = below(16) < REPAIRED ? take_room(INPUT_REPAIR_BYTES) : NULL;

    if (room)
        input_repair(&input, room);
    return input_write(&input, out, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (!take(data, size, seed))
        return LLVMFuzzerMutate(data, size, max_size);
    for (uint64_t n = 1 + below(CHANGES_MAX); n; n--)
        changes[below(sizeof changes / sizeof *changes)]();
    return give(data, max_size);
}

/* All of the first, and over it some pieces of the second. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_size, unsigned seed)
{
    static struct image_input other;
    uint8_t *copy;

    if (!take(data1, size1, seed) || !(copy = take_room(size2)))
        return 0;
    memcpy(copy, data2, size2);
    if (!input_parse(&other, copy, size2))
        return 0;
    for (size_t i = 0; i < other.count; i++)
        if (!below(3))
            add_piece(other.pieces[i]);
    if (!below(4))
        input.sizes[0] = other.sizes[0];
    if (!below(4))
        memcpy(input.choices, other.choices, sizeof input.choices);
    return give(out, max_size);
}
