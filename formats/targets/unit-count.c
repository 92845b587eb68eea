// SPDX-License-Identifier: Apache-2.0
/* Counting of target units that hold data. */
#include "unit-count.h"

#include <assert.h>

#include "formats/checked.h"

void unit_count_begin(struct unit_count *count, uint64_t unit)
{
    *count = (struct unit_count){.unit = unit};
    if (is_power_of_two(unit))
        count->shift = (unsigned)__builtin_ctzll(unit);
}

/* Counts [offset, end); end is greater than c->counted. */
static void count(struct unit_count *c, uint64_t offset, uint64_t end)
{
    uint64_t first = max_u64(offset, c->counted), last;

    if (c->shift) { /* divisions would dominate the time of a walk */
        first >>= c->shift;
        last = (end - 1) >> c->shift;
    } else {
        first /= c->unit;
        last = (end - 1) / c->unit;
    }
    c->touched += last + 1 - first;
    c->counted = (last + 1) * c->unit;
}

void unit_count_range(struct unit_count *c, uint64_t offset, uint64_t length)
{
    if (offset + length > c->counted)
        count(c, offset, offset + length);
}

void unit_count_add(struct unit_count *c, const struct extent *extent)
{
    if (extent->kind == EXTENT_DATA)
        unit_count_range(c, extent->offset, extent->length);
}

/* The last of the first units with its data bit set; units: none. */
static uint32_t last_data(const struct unit_map *map, uint32_t units)
{
    for (uint32_t word = (units + 63) / 64; word-- > 0;) {
        uint64_t here = unit_map_word(map->data, word, units);

        if (here)
            return 64 * word + 63 - (uint32_t)__builtin_clzll(here);
    }
    return units;
}

/* Counts groups of `group` bits, a power of two up to 64, that have a bit set: they are folded into
 * their lowest bits. */
static uint64_t count_groups(const struct unit_map *map, uint32_t units, unsigned group)
{
    static const uint64_t lowest[] = {UINT64_MAX,
                                      UINT64_C(0x5555555555555555),
                                      UINT64_C(0x1111111111111111),
                                      UINT64_C(0x0101010101010101),
                                      UINT64_C(0x0001000100010001),
                                      UINT64_C(0x0000000100000001),
                                      1};
    uint64_t mask = lowest[__builtin_ctz(group)], found = 0;

    for (uint32_t word = 0; 64 * word < units; word++) {
        uint64_t bits = unit_map_word(map->data, word, units);

        for (unsigned shift = 1; shift < group; shift *= 2)
            bits |= bits >> shift;
        found += unit_map_popcount(bits & mask);
    }
    return found;
}

/* Counts run by run: for units that do not divide one another, or do not begin together. */
static void count_runs(struct unit_count *c, const struct unit_map *map, uint64_t offset,
                       uint32_t units)
{
    uint32_t index = unit_map_next(map, map->data, 0);

    while (index < units) {
        uint32_t end = (uint32_t)min_u64(unit_map_end(map, map->data, index), units);

        unit_count_range(c, offset + index * map->unit, (end - index) * map->unit);
        index = unit_map_next(map, map->data, end);
    }
}

/* Counts larger units, of which each is a multiple of the map's: one step for each that has data.
 */
static void count_steps(struct unit_count *c, const struct unit_map *map, uint64_t offset,
                        uint32_t units)
{
    uint64_t first = c->counted > offset ? (c->counted - offset) / map->unit : 0;
    uint32_t index = first < units ? unit_map_next(map, map->data, (uint32_t)first) : units;

    while (index < units) {
        uint64_t end = (((offset + index * map->unit) >> c->shift) + 1) << c->shift;

        c->touched++;
        c->counted = end;
        if ((end - offset) / map->unit >= units)
            break;
        index = unit_map_next(map, map->data, (uint32_t)((end - offset) / map->unit));
    }
}

void unit_count_map(struct unit_count *c, const struct unit_map *map, uint64_t offset,
                    uint32_t units)
{
    bool powers = c->shift && is_power_of_two(map->unit);
    uint64_t group = c->unit / map->unit, parts = map->unit / c->unit;
    uint32_t last = last_data(map, units);

    if (last == units)
        return;
    if (!powers || (parts && c->counted > offset)) {
        count_runs(c, map, offset, units);
        return;
    }
    if (!parts && (group > 64 || c->counted > offset || offset % c->unit)) {
        count_steps(c, map, offset, units);
        return;
    }
    c->touched +=
        parts ? count_groups(map, units, 1) * parts : count_groups(map, units, (unsigned)group);
    c->counted = offset + (last + 1) * map->unit;
    checked_round_up(c->counted, c->unit, &c->counted);
}

void target_counts_begin(struct target_counts *counts)
{
    counts->used = 0;
}

/* Returns the index of the counter for that unit. Begins one if there is none. */
static uint8_t counter_index(struct target_counts *counts, uint64_t unit)
{
    size_t i = 0;

    while (i < counts->used && counts->counts[i].unit != unit)
        i++;
    assert(i < TARGET_COUNTS_MAX);
    if (i == counts->used)
        unit_count_begin(&counts->counts[counts->used++], unit);
    return (uint8_t)i;
}

void target_counts_want(struct target_counts *counts, size_t number, const struct target *target,
                        const struct target_options *options, uint64_t virtual_size)
{
    uint64_t units[TARGET_UNITS_MAX];
    size_t kinds = target->units ? target->units(options, virtual_size, units) : 0;

    assert(number < TARGETS_MAX && kinds <= TARGET_UNITS_MAX);
    for (size_t i = 0; i < TARGET_UNITS_MAX; i++)
        counts->indexes[number][i] = i < kinds ? counter_index(counts, units[i]) : UINT8_MAX;
}

uint64_t target_counts_add(struct target_counts *counts, uint64_t least,
                           const struct extent *extent)
{
    uint64_t end = extent->kind == EXTENT_DATA ? extent->offset + extent->length : 0;
    uint64_t counted = UINT64_MAX;

    for (struct unit_count *c = counts->counts; c < counts->counts + counts->used; c++) {
        if (end > c->counted) /* most small extents lie in units already counted */
            count(c, extent->offset, end);
        if (c->unit >= least)
            counted = min_u64(counted, c->counted);
    }
    return counted;
}

uint64_t target_counts_add_map(struct target_counts *counts, uint64_t least,
                               const struct unit_map *map, uint64_t offset, uint32_t units)
{
    uint64_t counted = UINT64_MAX;

    for (struct unit_count *c = counts->counts; c < counts->counts + counts->used; c++) {
        unit_count_map(c, map, offset, units);
        if (c->unit >= least)
            counted = min_u64(counted, c->counted);
    }
    return counted;
}

void target_counts_get(const struct target_counts *counts, size_t number,
                       uint64_t touched[TARGET_UNITS_MAX])
{
    for (size_t i = 0; i < TARGET_UNITS_MAX; i++) {
        uint8_t index = counts->indexes[number][i];

        touched[i] = index < counts->used ? counts->counts[index].touched : 0;
    }
}
