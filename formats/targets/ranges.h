/* SPDX-License-Identifier: Apache-2.0 */
/* A set of numbers as disjoint ascending ranges: what is free, or missing, in a file being written.
 */
#ifndef FORMATS_TARGETS_RANGES_H
#define FORMATS_TARGETS_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

struct range {
    uint64_t begin, end; /* numbers from begin up to end, without end */
};

struct ranges {
    struct range *ranges;
    size_t count, room;
    bool overflowed; /* more ranges were needed than there is room for: the set is wrong from there
                      */
};

/* An empty set with session memory for so many ranges. 0 or -ENOMEM, said. */
int ranges_begin(struct ranges *r, struct image *img, size_t room);

/* The number of the first range that ends behind at; count: none does. */
size_t ranges_find(const struct ranges *r, uint64_t at);

/* How many of the numbers from begin to end, in a row from begin, are in the set. */
uint64_t ranges_run(const struct ranges *r, uint64_t begin, uint64_t end);

/* Adds [begin, end), of which nothing is in the set; takes it out, of which all is. */
void ranges_add(struct ranges *r, uint64_t begin, uint64_t end);
void ranges_remove(struct ranges *r, uint64_t begin, uint64_t end);

/* Drops the ranges that end at or below limit. */
void ranges_forget(struct ranges *r, uint64_t limit);

#endif
