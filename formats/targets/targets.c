// SPDX-License-Identifier: Apache-2.0
/* The table of the size models, counting for them, and the one model that needs no file: raw. */
#include "targets.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "formats/checked.h"
#include "options.h"

/* raw: the virtual size in whole sectors, whatever the data. */
static int raw_size(const struct target_options *options, uint64_t virtual_size,
                    const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                    struct reason *why)
{
    (void)options;
    (void)touched;
    if (!checked_round_up(virtual_size, 512, &size->required))
        return target_too_large(why, virtual_size);
    size->fully_allocated = size->required;
    return 0;
}

static int raw_check(const struct target_values *values, struct target_options *options,
                     struct reason *why)
{
    (void)options;
    return target_check_preallocation(values, why);
}

const struct target raw_target = {
    .name = "raw",
    .check_conversion = raw_check,
    .size = raw_size,
};

const struct target *const targets[] = {
    &raw_target, &qcow2_target, &luks_target,      &vmdk_target, &vhd_target, &vhdx_target,
    &vdi_target, &qed_target,   &parallels_target, &qcow_target, NULL,
};
_Static_assert(sizeof targets / sizeof *targets <= TARGETS_MAX, "more targets than are counted");

const struct target *target_by_name(const char *name)
{
    for (const struct target *const *t = targets; *t; t++)
        if (strcmp((*t)->name, name) == 0)
            return *t;
    return NULL;
}

size_t target_row(const struct target *target)
{
    size_t row = 0;

    while (targets[row] != target)
        row++;
    return row;
}

size_t targets_count(void)
{
    return sizeof targets / sizeof *targets - 1;
}

int target_refuse(struct reason *why, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why->words, sizeof why->words, format, arguments);
    va_end(arguments);
    return -error;
}

int target_too_large(struct reason *why, uint64_t virtual_size)
{
    return target_refuse(why, EFBIG, "a disk of %llu bytes is too large",
                         (unsigned long long)virtual_size);
}

void unit_count_begin(struct unit_count *count, uint64_t unit)
{
    *count = (struct unit_count){.unit = unit};
    if (is_power_of_two(unit))
        count->shift = (unsigned)__builtin_ctzll(unit);
}

/* Counts [offset, end), of which something lies behind what is counted. */
static void count(struct unit_count *c, uint64_t offset, uint64_t end)
{
    uint64_t first = max_u64(offset, c->counted), last;

    if (c->shift) { /* divisions are what all of this costs */
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

/* The place of the counter of that unit, which is begun if there is none. */
static uint8_t place_of(struct target_counts *counts, uint64_t unit)
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
        counts->places[number][i] = i < kinds ? place_of(counts, units[i]) : UINT8_MAX;
}

uint64_t target_counts_add(struct target_counts *counts, uint64_t least,
                           const struct extent *extent)
{
    uint64_t end = extent->kind == EXTENT_DATA ? extent->offset + extent->length : 0;
    uint64_t counted = UINT64_MAX;

    for (struct unit_count *c = counts->counts; c < counts->counts + counts->used; c++) {
        if (end > c->counted) /* most small extents lie in units that are counted already */
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
        uint8_t place = counts->places[number][i];

        touched[i] = place < counts->used ? counts->counts[place].touched : 0;
    }
}
