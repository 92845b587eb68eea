// SPDX-License-Identifier: Apache-2.0
/* Allocation in bulk. */
#include "unit-map.h"

#include "checked.h"
#include "disk.h"
#include "format.h"

bool disk_map_units(struct disk *disk, uint64_t offset, struct unit_map *map)
{
    const struct format_driver *driver = disk->driver;

    if (!driver->map_units || disk->backing_reference || (disk->qemu && driver->opaque_to_qemu))
        return false;
    if (driver->map_units(disk, offset, map) != 1)
        return false;
    map->count = (uint32_t)min_u64(map->count, (disk->virtual_size - offset) / map->unit);
    return map->count;
}

uint32_t unit_map_count(const struct unit_map *map, uint32_t units)
{
    uint32_t count = 0;

    for (uint32_t word = 0; 64 * word < units; word++)
        count += unit_map_popcount(unit_map_word(map->data, word, units));
    return count;
}

/* The index of the first bit at or after index of which flip makes a 1; map->count: none. */
static uint32_t find(const struct unit_map *map, const uint64_t *bits, uint32_t index,
                     uint64_t flip)
{
    for (uint32_t word = index / 64; 64 * word < map->count; word++) {
        uint64_t here = bits[word] ^ flip;

        if (word == index / 64)
            here &= UINT64_MAX << index % 64;
        if (here) {
            uint32_t found = 64 * word + (uint32_t)__builtin_ctzll(here);

            return found < map->count ? found : map->count;
        }
    }
    return map->count;
}

uint32_t unit_map_next(const struct unit_map *map, const uint64_t *bits, uint32_t index)
{
    return find(map, bits, index, 0);
}

uint32_t unit_map_end(const struct unit_map *map, const uint64_t *bits, uint32_t index)
{
    return find(map, bits, index, UINT64_MAX);
}
