/* SPDX-License-Identifier: Apache-2.0 */
/* A set of numbers, kept as disjoint ascending ranges: the free clusters, or the missing refcount
 * blocks, of a file that is being written. */
#ifndef FORMATS_TARGETS_RANGES_H
#define FORMATS_TARGETS_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

struct range {
    uint64_t begin, end; /* [begin, end) */
};

struct ranges {
    struct range *ranges;
    size_t count, room;
    bool overflowed; /* a range did not fit in room: the set is wrong from then on */
};

/* Begins an empty set with room for that many ranges, in memory of the session. Returns 0 or
 * -ENOMEM, already reported. */
int ranges_begin(struct ranges *r, struct image *img, size_t room);

/* Returns the index of the first range whose end is greater than at, or r->count. */
size_t ranges_find(const struct ranges *r, uint64_t at);

/* Returns how many consecutive numbers from begin on, and below end, are in the set. */
uint64_t ranges_run(const struct ranges *r, uint64_t begin, uint64_t end);

/* Adds [begin, end); none of it may be in the set. */
void ranges_add(struct ranges *r, uint64_t begin, uint64_t end);

/* Removes [begin, end); all of it must be in the set, in one range. */
void ranges_remove(struct ranges *r, uint64_t begin, uint64_t end);

/* Removes the ranges whose end is at most limit. */
void ranges_forget(struct ranges *r, uint64_t limit);

#endif
