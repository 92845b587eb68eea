// SPDX-License-Identifier: Apache-2.0
/* The sector bitmaps of differencing disks: runs of equal bits, whole words at a time. */
#include "sector-bitmap.h"

#include "bytes.h"
#include "checked.h"
#include "disk.h"
#include "extents.h"

/* Limits the work of one call: each run may take a read. */
enum { RUNS_JOINED_MAX = 64 };

bool sector_bit(const uint8_t *bits, uint64_t sector, enum bit_order order)
{
    unsigned place = (unsigned)(sector % 8);

    return bits[sector / 8] >> (order == MSB_FIRST ? 7 - place : place) & 1;
}

/* ends: a byte in which set bits end the run. Returns the number of sectors from place on before
 * the first of them; 8: no bit of the byte ends it. */
static unsigned before_end(uint8_t ends, unsigned place, enum bit_order order)
{
    uint8_t rest = (uint8_t)(order == MSB_FIRST ? ends << place : ends >> place);

    if (!rest)
        return 8;
    return (unsigned)(order == MSB_FIRST ? __builtin_clz(rest) - 24 : __builtin_ctz(rest));
}

uint64_t sector_run_end(const uint8_t *bits, uint64_t first, uint64_t end, enum bit_order order)
{
    uint8_t like = sector_bit(bits, first, order) ? 0xff : 0;
    uint64_t all = like ? UINT64_MAX : 0, n = first;

    while (n < end) {
        unsigned place = (unsigned)(n % 8), before;

        if (!place && end - n >= 64 && le64(bits + n / 8) == all) {
            n += 64;
            continue;
        }
        before = before_end(bits[n / 8] ^ like, place, order);
        if (before < 8)
            return min_u64(n + before, end);
        n += 8 - place;
    }
    return end;
}

int sector_runs_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent,
                   int (*block_at)(struct disk *disk, uint64_t offset, unsigned want,
                                   struct extent *extent))
{
    struct extent more = {.length = 0};
    int error = block_at(disk, offset, want, extent);

    if (error || !disk->backing_reference || (want & EXTENTS_WANT_HOST))
        return error;
    more.kind = extent->kind;
    for (unsigned n = 0; n < RUNS_JOINED_MAX && more.kind == extent->kind; n++) {
        extent->length += more.length;
        if (extent->length >= disk->virtual_size - offset ||
            block_at(disk, offset + extent->length, 0, &more))
            break; /* an error ends the run here, and is returned when that offset is asked for */
    }
    return 0;
}
