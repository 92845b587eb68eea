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

void target_counts_get(const struct target_counts *counts, size_t number,
                       uint64_t touched[TARGET_UNITS_MAX])
{
    for (size_t i = 0; i < TARGET_UNITS_MAX; i++) {
        uint8_t index = counts->indexes[number][i];

        touched[i] = index < counts->used ? counts->counts[index].touched : 0;
    }
}
