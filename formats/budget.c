// SPDX-License-Identifier: Apache-2.0
/* The limits of reading and computing, for a session and those it owns. */
#include "budget.h"

#include "checked.h"

enum {
    /* A session that reads more than the whole file and this much again reads some of it over and
     * over: tables that refer to themselves or to each other. */
    REREAD_BYTES = 64 << 20,

    /*
     * How often a walk over compressed data may read the file. A stream is read together with its
     * neighbours in the same sectors, up to 1024 bytes, and again for each stream if these are out
     * of order. The shortest streams have about ten bytes, and a table entry of eight.
     */
    WALK_READS = 64,
    WALK_WORK = BUDGET_UNPACK_INPUT_WORK + BUDGET_UNPACK_OUTPUT_WORK, /* for a byte of the file */
};

/* base + bytes * share, or UINT64_MAX. */
static uint64_t limit(uint64_t bytes, uint64_t base, uint64_t share)
{
    uint64_t most;

    if (!checked_mul(bytes, share, &most) || !checked_add(most, base, &most))
        most = UINT64_MAX;
    return most;
}

void budget_add_file(struct budget *budget, uint64_t size)
{
    if (!checked_add(budget->total_size, size, &budget->total_size))
        budget->total_size = UINT64_MAX;
}

bool budget_may_read(const struct budget *budget, size_t length)
{
    uint64_t share = 1 + (uint64_t)budget->walks * WALK_READS;

    return length <= limit(budget->total_size, REREAD_BYTES, share) - budget->bytes_read;
}

void budget_add_work(struct budget *budget, uint64_t units)
{
    if (!checked_add(budget->work, units, &budget->work))
        budget->work = UINT64_MAX;
}

bool budget_wants_holes(const struct budget *budget)
{
    return budget->work >= BUDGET_WORK_MAX && budget->walks && !budget->knows_holes;
}

bool budget_has_work(const struct budget *budget)
{
    uint64_t share = (uint64_t)budget->walks * WALK_WORK;

    return budget->work < limit(budget->total_size - budget->holes, BUDGET_WORK_MAX, share);
}
