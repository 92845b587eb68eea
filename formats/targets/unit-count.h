/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the units of targets that hold data: the one input of a size model that depends on it. */
#ifndef FORMATS_TARGETS_UNIT_COUNT_H
#define FORMATS_TARGETS_UNIT_COUNT_H

#include "formats/extents.h"
#include "targets.h"

enum {
    TARGET_COUNTS_MAX = 16, /* different units that are counted in one walk */
};

/* Counts the distinct units that data touches. Extents come in ascending order. */
struct unit_count {
    uint64_t unit;    /* bytes */
    unsigned shift;   /* unit is 1 << shift; 0: it is no power of two, or 1 */
    uint64_t counted; /* guest bytes up to here need no second look */
    uint64_t touched; /* units */
};
void unit_count_begin(struct unit_count *count, uint64_t unit);
void unit_count_range(struct unit_count *count, uint64_t offset, uint64_t length);
void unit_count_add(struct unit_count *count, const struct extent *extent);

/* Counts for several targets; equal units are counted once. */
struct target_counts {
    struct unit_count counts[TARGET_COUNTS_MAX];
    size_t used;
    uint8_t places[TARGETS_MAX][TARGET_UNITS_MAX]; /* of a target's units in counts */
};
void target_counts_begin(struct target_counts *counts);

/* Adds a target to be counted for, by a number of the caller's, below TARGETS_MAX. */
void target_counts_want(struct target_counts *counts, size_t number, const struct target *target,
                        const struct target_options *options, uint64_t virtual_size);

/* Feeds all counters. Returns the guest bytes up to where none of those whose unit is at least
 * `least` has more to learn. */
uint64_t target_counts_add(struct target_counts *counts, uint64_t least,
                           const struct extent *extent);

/* What was counted for that number. */
void target_counts_get(const struct target_counts *counts, size_t number,
                       uint64_t touched[TARGET_UNITS_MAX]);

#endif
