// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer's mutator of images: moves, splits and copies pieces; sets fields to plausible values,
 * such as the offset of another piece; recomputes checksums, so that the code after their check is
 * reached. Bytes are also changed by libFuzzer's own mutators.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/checked.h"
#include "image-mutator.h"

enum {
    ARENA_BYTES = 4 << 20,
    GROWTH = 64,     /* a piece may grow by so many bytes */
    SMALL = 64,      /* bytes of a new piece, at most */
    TIMES_MAX = 64,  /* repetitions of a piece, if it has not more already */
    CHANGES_MAX = 5, /* per input */
    REPAIRED = 15,   /* of 16 inputs get valid checksums */
};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_size, unsigned seed);

struct image_input mutated;
static uint8_t arena[ARENA_BYTES];
static size_t arena_used;
static uint64_t state; /* of xorshift64* */

static uint64_t random_bits(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

uint64_t mutator_below(uint64_t n)
{
    return n ? (random_bits() >> 8) % n : 0;
}

uint8_t *mutator_room(size_t length)
{
    uint8_t *room = arena + arena_used;

    if (length > ARENA_BYTES - arena_used)
        return NULL;
    arena_used += length;
    return room;
}

struct input_piece *mutator_piece(void)
{
    return mutated.count ? &mutated.pieces[mutator_below(mutated.count)] : NULL;
}

/* The offset of a piece, of its end, or of the end of the file. */
static uint64_t some_place(void)
{
    const struct input_piece *p = mutator_piece();
    uint64_t size = mutated.sizes[mutator_below(8) ? 0 : mutator_below(INPUT_FILES)];

    if (!p || !mutator_below(4))
        return size;
    return p->offset + (mutator_below(2) ? input_piece_bytes(p) : 0);
}

/* log2 of units in which fields count. */
static const unsigned shifts[] = {0, 0, 0, 9, 9, 9, 12, 16, 16, 20, 20, 15, 8, 10, 3};

static unsigned some_shift(void)
{
    return shifts[mutator_below(sizeof shifts / sizeof *shifts)];
}

/* A boundary value. */
static uint64_t some_limit(void)
{
    uint64_t power = UINT64_C(1) << mutator_below(64);

    switch (mutator_below(8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX - mutator_below(3);
    case 2:
        return power - 1;
    case 3:
        return power + mutator_below(3);
    case 4:
        return mutator_below(32);
    case 5:
        return -power;
    case 6:
        return UINT64_MAX >> mutator_below(64);
    default:
        return random_bits();
    }
}

uint64_t mutator_value(uint64_t now)
{
    switch (mutator_below(8)) {
    case 0:
    case 1:
        return some_place() >> some_shift();
    case 2:
        return some_limit();
    case 3:
        return now + 1 + mutator_below(4);
    case 4:
        return now - 1 - mutator_below(4);
    case 5:
        return now ^ UINT64_C(1) << mutator_below(64);
    case 6:
        return mutator_below(2) ? now << 1 : now >> 1;
    default:
        return mutator_below(64);
    }
}

/* A random field in the piece, aligned in the file; false: the piece is empty. */
static bool find_field(const struct input_piece *p, unsigned *width, size_t *at)
{
    uint64_t last;

    *width = 1U << mutator_below(4);
    while (*width > p->length)
        *width /= 2;
    if (!*width)
        return false;
    last = p->length - *width;
    *at = (size_t)mutator_below(last + 1);
    *at -= (size_t)min_u64((p->offset + *at) % *width, *at);
    return true;
}

static void change_field(void)
{
    struct input_piece *p = mutator_piece();
    unsigned width;
    size_t at;
    bool big = mutator_below(2);

    if (p && find_field(p, &width, &at))
        input_put(p->bytes + at, width, big, mutator_value(input_get(p->bytes + at, width, big)));
}

/* Makes entries of a table ascending from one of them. */
static void change_table(void)
{
    struct input_piece *p = mutator_piece();
    bool big = mutator_below(2);
    uint64_t value, step = mutator_below(3) ? UINT64_C(1) << mutator_below(24) : 0;
    size_t at, count = (size_t)mutator_below(32);
    unsigned width;

    if (!p || !find_field(p, &width, &at))
        return;
    value = input_get(p->bytes + at, width, big);
    for (; count-- && at + width <= p->length; at += width, value += step)
        input_put(p->bytes + at, width, big, value);
}

static void change_bytes(void)
{
    struct input_piece *p = mutator_piece();
    size_t most = p ? p->length + GROWTH : 0;
    uint8_t *room = p && p->length ? mutator_room(most) : NULL;

    if (!room)
        return;
    memcpy(room, p->bytes, p->length);
    if (mutator_below(2)) /* keeps the length */
        most = p->length;
    p->length = (uint32_t)LLVMFuzzerMutate(room, p->length, most);
    p->bytes = room;
}

/* An offset for a piece: the value of a field, or near the present offset. */
static uint64_t some_offset(uint64_t now)
{
    const struct input_piece *p = mutator_piece();
    unsigned width;
    size_t at;

    switch (mutator_below(4)) {
    case 0:
        return some_place();
    case 1:
        return now + (mutator_below(2) ? 1 : UINT64_MAX) * (UINT64_C(1) << mutator_below(24));
    case 2:
        return some_limit() & INT64_MAX;
    default:
        if (!p || !find_field(p, &width, &at))
            return 0;
        return input_get(p->bytes + at, width, mutator_below(2)) << some_shift() & INT64_MAX;
    }
}

static struct input_piece *add_piece(struct input_piece piece)
{
    if (mutated.count == INPUT_PIECES_MAX)
        return NULL;
    mutated.pieces[mutated.count] = piece;
    return &mutated.pieces[mutated.count++];
}

static void add_small(void)
{
    size_t length = 1 + (size_t)mutator_below(SMALL);
    uint8_t *room = mutator_room(length);
    unsigned width = 1U << mutator_below(4);
    bool big = mutator_below(2);

    if (!room)
        return;
    memset(room, mutator_below(4) ? 0 : (int)mutator_below(256), length);
    for (size_t at = 0; at + width <= length; at += width)
        input_put(room + at, width, big, mutator_value(mutator_below(4)));
    add_piece((struct input_piece){some_offset(0), (uint32_t)length,
                                   mutator_below(4) ? 1 : 1 + (uint32_t)mutator_below(TIMES_MAX),
                                   (uint8_t)(mutator_below(8) ? 0 : mutator_below(INPUT_FILES)),
                                   room});
}

static void copy_piece(void)
{
    const struct input_piece *p = mutator_piece();
    struct input_piece copy;

    if (!p || !(copy.bytes = mutator_room(p->length)))
        return;
    memcpy(copy.bytes, p->bytes, p->length);
    copy.offset = some_offset(p->offset);
    copy.length = p->length;
    copy.times = p->times;
    copy.file = mutator_below(16) ? p->file : (uint8_t)mutator_below(INPUT_FILES);
    add_piece(copy);
}

static void move_piece(void)
{
    struct input_piece *p = mutator_piece();

    if (p)
        p->offset = some_offset(p->offset);
}

static void remove_piece(void)
{
    struct input_piece *p = mutator_piece();

    if (p)
        *p = mutated.pieces[--mutated.count];
}

/* Splits a piece, so that its halves can be changed separately. */
static void split_piece(void)
{
    struct input_piece *p = mutator_piece(), second;
    uint32_t at;

    if (!p || p->length < 2 || p->times != 1)
        return;
    at = 1 + (uint32_t)mutator_below(p->length - 1);
    second = (struct input_piece){p->offset + at, p->length - at, 1, p->file, p->bytes + at};
    if (add_piece(second))
        p->length = at;
}

/* Joins two pieces that follow each other, with the zeros between them. */
static void join_pieces(void)
{
    struct input_piece *a = mutator_piece(), *b = mutator_piece();
    uint64_t gap = a ? b->offset - a->offset - a->length : 0;
    uint8_t *room;

    if (!a || a == b || a->times != 1 || b->times != 1 || a->file != b->file || gap > 4096)
        return;
    room = mutator_room(a->length + gap + b->length);
    if (!room)
        return;
    memcpy(room, a->bytes, a->length);
    memset(room + a->length, 0, gap);
    memcpy(room + a->length + gap, b->bytes, b->length);
    a->bytes = room;
    a->length += (uint32_t)gap + b->length;
    *b = mutated.pieces[--mutated.count];
}

static void change_times(void)
{
    struct input_piece *p = mutator_piece();

    if (p)
        p->times = p->times > 1 && mutator_below(2)
                       ? 1 + (uint32_t)mutator_below(2 * (uint64_t)p->times)
                       : 1 + (uint32_t)mutator_below(TIMES_MAX);
}

/* Changes a size; pieces at the end of the file may move with it. */
static void change_size(void)
{
    unsigned file = mutator_below(8) ? 0 : (unsigned)mutator_below(INPUT_FILES);
    uint64_t before = mutated.sizes[file], size;

    switch (mutator_below(4)) {
    case 0:
        size = some_place();
        break;
    case 1:
        size = before + (mutator_below(2) ? 1 : UINT64_MAX) * (UINT64_C(1) << mutator_below(32));
        break;
    case 2:
        size = some_limit() >> mutator_below(64);
        break;
    default:
        size = before - 2 + mutator_below(4);
    }
    mutated.sizes[file] = size & INT64_MAX;
    if (mutator_below(2))
        return;
    for (struct input_piece *p = mutated.pieces; p < mutated.pieces + mutated.count; p++)
        if (p->file == file && before - p->offset <= 1024 && p->offset <= before)
            p->offset += mutated.sizes[file] - before;
}

static void change_choice(void)
{
    mutated.choices[mutator_below(CHOICE_BACKING + 1)] =
        mutator_below(3) ? (uint8_t)mutator_below(32) : 0;
}

/* Repeated ones are more frequent. */
static void (*const changes[])(void) = {
    change_field, change_field, change_field, change_field,  change_field,  change_field,
    change_bytes, change_bytes, change_bytes, mutate_number, mutate_base64, mutate_base64,
    change_table, change_size,  change_times, change_choice, add_small,     copy_piece,
    move_piece,   move_piece,   remove_piece, split_piece,   join_pieces,
};

/* Copies and parses the input. false: it is invalid. */
static bool take(const uint8_t *data, size_t size, unsigned seed)
{
    uint8_t *copy;

    arena_used = 0;
    state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    copy = mutator_room(size);
    if (!copy)
        return false;
    memcpy(copy, data, size);
    return input_parse(&mutated, copy, size);
}

static size_t give(uint8_t *out, size_t max_size)
{
    uint8_t *room = mutator_below(16) < REPAIRED ? mutator_room(INPUT_REPAIR_BYTES) : NULL;

    if (!mutator_below(4))
        input_prune(&mutated);
    if (room)
        input_repair(&mutated, room);
    return input_write(&mutated, out, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (!take(data, size, seed))
        return LLVMFuzzerMutate(data, size, max_size);
    for (uint64_t n = 1 + mutator_below(CHANGES_MAX); n; n--)
        changes[mutator_below(sizeof changes / sizeof *changes)]();
    return give(data, max_size);
}

/* The first input, with some pieces of the second over it. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_size, unsigned seed)
{
    static struct image_input other;
    uint8_t *copy;

    if (!take(data1, size1, seed) || !(copy = mutator_room(size2)))
        return 0;
    memcpy(copy, data2, size2);
    if (!input_parse(&other, copy, size2))
        return 0;
    for (size_t i = 0; i < other.count; i++)
        if (!mutator_below(3))
            add_piece(other.pieces[i]);
    if (!mutator_below(4))
        mutated.sizes[0] = other.sizes[0];
    if (!mutator_below(4))
        memcpy(mutated.choices, other.choices, sizeof mutated.choices);
    return give(out, max_size);
}
