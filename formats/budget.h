/* SPDX-License-Identifier: Apache-2.0 */
/* How much a session and its parts may read and work, in proportion to their files. Part of the
 * reading session; drivers use image_work() and image_begin_walk(). */
#ifndef FORMATS_BUDGET_H
#define FORMATS_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
    uint64_t total_size; /* bytes of all files */
    uint64_t holes;      /* bytes of them that the host does not store, as far as they are known */
    uint64_t bytes_read, reads, work;
    unsigned walks; /* over all data, that were begun */
    bool knows_holes;
};

/* Adds a file of that size. */
void budget_add_file(struct budget *budget, uint64_t size);

/* Whether so many bytes more may be read. */
bool budget_may_read(const struct budget *budget, size_t length);

/* Adds units of image_work(). */
void budget_add_work(struct budget *budget, uint64_t units);

/* Whether holes are to be counted: without that it is not known whether there is work left. */
bool budget_wants_holes(const struct budget *budget);

/* Whether there is work left. */
bool budget_has_work(const struct budget *budget);

#endif
