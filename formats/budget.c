// SPDX-License-Identifier: Apache-2.0
/* How much a session may read and work. What a file claims counts for nothing, its bytes do: they
 * took somebody room. A hole took none, and no stream is in it. */
#include "budget.h"

#include "checked.h"
#include "image.h"

enum {
    /* A walk that reads more than the whole file and this much again reads some of it over and
     * over: tables that refer to themselves or to each other. */
    REREAD_BYTES = 64 << 20,

    /*
     * So often a walk over compressed data may read the file. A stream is read with what stands
     * beside it in its sectors, almost 1024 bytes at the most: where streams are out of order, each
     * time anew. The shortest have some ten bytes, and an entry of eight in a table.
     */
    WALK_READS = 64,
    WALK_WORK = IMAGE_UNPACK_INPUT_WORK + IMAGE_UNPACK_OUTPUT_WORK, /* for a byte of the file */
};

/* base, and share more for each of the bytes. */
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
    return budget->work >= IMAGE_WORK_MAX && budget->walks && !budget->knows_holes;
}

bool budget_has_work(const struct budget *budget)
{
    uint64_t share = (uint64_t)budget->walks * WALK_WORK;

    return budget->work < limit(budget->total_size - budget->holes, IMAGE_WORK_MAX, share);
}
