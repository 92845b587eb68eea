// SPDX-License-Identifier: Apache-2.0
/* VHDX: where blocks may lie in the file (MS-VHDX 2.2): behind the headers, outside of the log, the
 * BAT and the metadata region. */
#include "place.h"

#include <errno.h>

#include "formats/checked.h"
#include "formats/disk.h"
#include "state.h"

int vhdx_check_place(struct disk *disk, const char *what, uint64_t number, uint64_t host,
                     uint64_t bytes, uint64_t *low, uint64_t *high)
{
    const struct vhdx *v = disk->state;
    const struct vhdx_region *regions[] = {&v->log, &v->bat, &v->metadata};
    uint64_t end;

    *low = VHDX_MIB;
    *high = image_size(disk->img);
    if (!checked_add(host, bytes, &end) || end > *high)
        return image_fail(disk->img, EUCLEAN,
                          "vhdx: %s %llu (%llu bytes at offset %llu) is past the end of the file",
                          what, (unsigned long long)number, (unsigned long long)bytes,
                          (unsigned long long)host);
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        uint64_t region_end = regions[i]->offset + regions[i]->length;

        if (region_end <= host)
            *low = max_u64(*low, region_end);
        else if (regions[i]->length)
            *high = min_u64(*high, regions[i]->offset);
    }
    if (host < *low || end > *high)
        return image_fail(
            disk->img, EUCLEAN,
            "vhdx: %s %llu (%llu bytes at offset %llu) overlaps the headers or a region", what,
            (unsigned long long)number, (unsigned long long)bytes, (unsigned long long)host);
    checked_round_up(*low, VHDX_MIB, low);
    return 0;
}
