/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the units of target formats that hold data, from the extents of the source. */
#ifndef FORMATS_TARGETS_UNIT_COUNT_H
#define FORMATS_TARGETS_UNIT_COUNT_H

#include "formats/extents.h"
#include "formats/unit-map.h"
#include "targets.h"

enum {
    TARGET_COUNTS_MAX = 16, /* different unit sizes counted in one walk */
};

/* Counts the distinct units that overlap data. Extents must come in ascending order. */
struct unit_count {
    uint64_t unit;    /* bytes */
    unsigned shift;   /* unit is 1 << shift; 0: unit is 1 or not a power of two */
    uint64_t counted; /* end of the last touched unit: data before it adds no unit */
    uint64_t touched; /* number of units */
};
void unit_count_begin(struct unit_count *count, uint64_t unit);

/* Counts guest bytes [offset, offset + length) as data; length is not 0. */
void unit_count_range(struct unit_count *count, uint64_t offset, uint64_t length);

/* Counts the extent if its kind is EXTENT_DATA. */
void unit_count_add(struct unit_count *count, const struct extent *extent);

/* Counts the first units of a map, which begins at offset: those whose data bit is set. */
void unit_count_map(struct unit_count *count, const struct unit_map *map, uint64_t offset,
                    uint32_t units);

/* Counters for several targets, which share the counter of a unit size. */
struct target_counts {
    struct unit_count counts[TARGET_COUNTS_MAX];
    size_t used;
    uint8_t indexes[TARGETS_MAX][TARGET_UNITS_MAX]; /* in counts; UINT8_MAX: none */
};
void target_counts_begin(struct target_counts *counts);

/* Adds the counters for a target. The caller chooses its number, below TARGETS_MAX. */
void target_counts_want(struct target_counts *counts, size_t number, const struct target *target,
                        const struct target_options *options, uint64_t virtual_size);

/* Adds an extent to all counters. Returns the guest offset before which no extent can change a
 * counter whose unit is at least `least` bytes. */
uint64_t target_counts_add(struct target_counts *counts, uint64_t least,
                           const struct extent *extent);

/* Adds the first units of a map, which begins at offset, to all counters. Returns as
 * target_counts_add(). */
uint64_t target_counts_add_map(struct target_counts *counts, uint64_t least,
                               const struct unit_map *map, uint64_t offset, uint32_t units);

/* Sets the touched units of the target with that number; 0 for kinds that it does not have. */
void target_counts_get(const struct target_counts *counts, size_t number,
                       uint64_t touched[TARGET_UNITS_MAX]);

#endif
