/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a session and those it owns may read and compute. Limits grow with the bytes that the
 * files store, not with sizes that a header claims; holes do not count. Internal to the reading
 * session: drivers call image_work() and image_begin_walk().
 */
#ifndef FORMATS_BUDGET_H
#define FORMATS_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BUDGET_WORK_MAX = 256 << 20, /* units of work, about a nanosecond each, without a walk */

    /*
     * Units of work of decompression. For a byte of input: the worst case, tables of codes that
     * produce next to nothing. For its output, a unit a byte, up to the most that deflate produces
     * from a byte of input.
     */
    BUDGET_UNPACK_INPUT_WORK = 100,
    BUDGET_UNPACK_OUTPUT_WORK = 1032,
};

struct budget {
    uint64_t total_size; /* bytes of all files */
    uint64_t holes;      /* bytes of them that the host does not store; valid if knows_holes */
    uint64_t bytes_read, reads, work;
    unsigned walks; /* over all guest data, begun so far */
    bool knows_holes;
};

/* Adds a file of that size. */
void budget_add_file(struct budget *budget, uint64_t size);

/* Whether length more bytes may be read. */
bool budget_may_read(const struct budget *budget, size_t length);

/* Adds units of work. */
void budget_add_work(struct budget *budget, uint64_t units);

/* Whether the caller must count the holes before budget_has_work() can be answered. */
bool budget_wants_holes(const struct budget *budget);

/* Whether there is work left. */
bool budget_has_work(const struct budget *budget);

#endif
