// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the size models, their options, and counting for them. An input is text:
 *
 *     the target's name
 *     its options, as those of -o
 *     other options
 *     virtual size, touched units of both kinds, and the size difference of a larger disk
 *     data LENGTH, zero LENGTH or hole LENGTH in bytes: an extent per line
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "formats/disk.h"
#include "formats/format.h"
#include "tests/support/target-properties.h"

enum { TEXT_MAX = 4096, EXTENTS_MAX = 64 };

struct numbers {
    uint64_t virtual_size, touched[TARGET_UNITS_MAX], larger;
};

/* The extents of a disk, up to its end or less. */
struct stream {
    struct extent extents[EXTENTS_MAX];
    size_t count;
};

/* Takes the next line; "" at the end. */
static char *take_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');

    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

static struct numbers parse_numbers(char *line)
{
    struct numbers n;

    n.virtual_size = strtoull(line, &line, 0);
    for (size_t i = 0; i < TARGET_UNITS_MAX; i++)
        n.touched[i] = strtoull(line, &line, 0);
    n.larger = strtoull(line, &line, 0);
    return n;
}

static void parse_extents(struct stream *s, char *text, uint64_t virtual_size)
{
    static const char kinds[] = "dzh"; /* in the order of enum extent_kind */
    uint64_t offset = 0, end = min_u64(virtual_size, DISK_BYTES_MAX);

    for (s->count = 0; *text && s->count < EXTENTS_MAX && offset < end;) {
        char *line = take_line(&text);
        const char *kind = *line ? strchr(kinds, *line) : NULL;
        uint64_t length = strtoull(line + strcspn(line, " "), NULL, 0);

        if (!kind || !length)
            continue;
        length = min_u64(length, end - offset);
        s->extents[s->count++] = (struct extent){
            .offset = offset, .length = length, .kind = (enum extent_kind)(kind - kinds)};
        offset += length;
    }
}

/* The units with data, by a simple algorithm: consecutive extents share at most one. */
static uint64_t count_units(const struct stream *s, uint64_t unit)
{
    uint64_t touched = 0, last = UINT64_MAX;

    for (const struct extent *e = s->extents; e < s->extents + s->count; e++) {
        if (e->kind != EXTENT_DATA)
            continue;
        touched += e->offset / unit != last;
        touched += (e->offset + e->length - 1) / unit - e->offset / unit;
        last = (e->offset + e->length - 1) / unit;
    }
    return touched;
}

/* Counts for the target with these options, and for all others. */
static void begin_counts(struct target_counts *c, const struct target *t,
                         const struct target_options *o, uint64_t virtual_size)
{
    target_counts_begin(c);
    for (size_t i = 0; targets[i]; i++)
        target_counts_want(c, i, targets[i], targets[i] == t ? o : &targets[i]->defaults,
                           virtual_size);
}

/* Feeds extents in two pieces each, without what all counters of units from least on have covered.
 */
static void feed_pieces(struct target_counts *c, const struct stream *s, uint64_t least)
{
    uint64_t known = 0;

    for (size_t i = 0; i < 2 * s->count; i++) {
        struct extent e = s->extents[i / 2];
        uint64_t middle = e.offset + e.length / 2, end = e.offset + e.length;
        uint64_t from = max_u64(i % 2 ? middle : e.offset, known), to = i % 2 ? end : middle;

        if (from >= to)
            continue;
        e.offset = from;
        e.length = to - from;
        known = max_u64(known, target_counts_add(c, least, &e));
    }
}

/* Counting for all targets at once, and in pieces without covered ranges, has the same results. */
static void check_counts(const struct target *t, const struct target_options *o,
                         uint64_t virtual_size, const struct stream *s, uint64_t least)
{
    static struct target_counts whole, pieces;
    uint64_t units[TARGET_UNITS_MAX], counted[2][TARGET_UNITS_MAX];

    begin_counts(&whole, t, o, virtual_size);
    begin_counts(&pieces, t, o, virtual_size);
    for (size_t i = 0; i < s->count; i++)
        target_counts_add(&whole, 0, &s->extents[i]);
    feed_pieces(&pieces, s, least);
    for (size_t row = 0; targets[row]; row++) {
        const struct target_options *its = targets[row] == t ? o : &targets[row]->defaults;
        size_t kinds = targets[row]->units ? targets[row]->units(its, virtual_size, units) : 0;

        target_counts_get(&whole, row, counted[0]);
        target_counts_get(&pieces, row, counted[1]);
        for (size_t i = 0; i < TARGET_UNITS_MAX; i++) {
            assert(counted[0][i] == (i < kinds ? count_units(s, units[i]) : 0));
            assert(i >= kinds || counted[0][i] <= div_up(virtual_size, units[i]));
            assert(counted[1][i] <= counted[0][i]);
            assert(i >= kinds || units[i] < least || counted[1][i] == counted[0][i]);
        }
        check_sizes(targets[row], its, virtual_size, counted[0]);
    }
}

/* Options of a conversion are accepted, or refused with a message. */
static void check_conversion(const struct target *t, const char *text)
{
    struct target_options o;
    struct reason why = {""};
    int error = target_options_parse_conversion(t, text, &o, &why);

    assert(!error || error == -EINVAL || error == -ENOTSUP);
    if (error)
        check_message(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MAX];
    static struct stream stream;
    char *at = text, *options, *others;
    const struct target *t;
    struct target_options o, other;
    struct numbers n;

    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    t = target_by_name(take_line(&at));
    if (!t)
        return 0;
    options = take_line(&at);
    others = take_line(&at);
    n = parse_numbers(take_line(&at));
    parse_extents(&stream, at, n.virtual_size);
    if (take_options(t, options, &o))
        check_preallocation(t, options, o);
    else
        o = t->defaults;
    if (!take_options(t, others, &other))
        other = t->defaults;
    check_conversion(t, options);
    check_options(t, &o);
    check_equal(t, &o, &other, n.virtual_size, n.touched);
    check_sizes(t, &o, n.virtual_size, n.touched);
    check_larger(t, &o, n.virtual_size, n.larger);
    check_counts(t, &o, n.virtual_size, &stream, n.touched[0]);
    return 0;
}
