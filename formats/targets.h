/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large an image of another format would be: one size model per target format, over the virtual
 * size and the number of target units that hold data. Counting those is the same for all.
 */
#ifndef FORMATS_TARGETS_H
#define FORMATS_TARGETS_H

#include <stdbool.h>
#include <stdint.h>

#include "extents.h"

/* What `qemu-img measure -O TARGET -o ...` takes. */
struct target_options {
    uint64_t cluster_size;
    unsigned refcount_bits;
    bool extended_l2;
};

struct target_size {
    uint64_t required;        /* bytes of the file with the data that the source holds */
    uint64_t fully_allocated; /* bytes of the file with every unit written */
};

struct target {
    const char *name;
    struct target_options defaults;
    bool keeps_bitmaps; /* can hold the persistent bitmaps of a source */

    /* Bytes of one allocation unit; NULL: the size does not depend on the data. */
    uint64_t (*unit)(const struct target_options *options);

    /* The sizes for a disk of virtual_size bytes of which touched units hold data. 0 or -EFBIG. */
    int (*size)(const struct target_options *options, uint64_t virtual_size, uint64_t touched,
                struct target_size *size);
};

/* Ends with a NULL name. */
extern const struct target targets[];

/* The target of that name, or NULL. */
const struct target *target_by_name(const char *name);

/* Counts the distinct units that data touches. Extents come in ascending order. */
struct unit_count {
    uint64_t unit;    /* bytes */
    uint64_t counted; /* guest bytes up to here need no second look */
    uint64_t touched; /* units */
};
void unit_count_begin(struct unit_count *count, uint64_t unit);
void unit_count_add(struct unit_count *count, const struct extent *extent);

#endif
