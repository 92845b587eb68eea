/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation in bulk: one bit per unit of the disk, for as many units as a loaded piece of table
 * covers. Drivers fill the bits in a loop over the entries; consumers of allocation take whole
 * words of them. What needs a closer look is left to the driver's extent_at, unit by unit.
 */
#ifndef FORMATS_UNIT_MAP_H
#define FORMATS_UNIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;

enum { UNIT_MAP_WORDS = 1024, UNIT_MAP_UNITS = 64 * UNIT_MAP_WORDS };

/* Consecutive units. Bit n % 64 of word n / 64: unit n. */
struct unit_map {
    uint64_t unit;                 /* bytes */
    uint32_t count;                /* units that are classified */
    uint64_t data[UNIT_MAP_WORDS]; /* guest bytes that may be anything */
    uint64_t
        odd[UNIT_MAP_WORDS]; /* needs extent_at: its entry breaks a rule, or is of both kinds */
};

/* What a driver makes of an entry. Units of neither kind hold no data. */
enum unit_bits { UNIT_EMPTY = 0, UNIT_DATA = 1, UNIT_ODD = 2 };

/* Fills the map from count entries. classify is inlined into the loop. */
static inline void
unit_map_fill(struct unit_map *map, const uint8_t *entries, size_t entry_bytes, uint32_t count,
              enum unit_bits (*classify)(const void *context, const uint8_t *entry),
              const void *context)
{
    map->count = count;
    for (uint32_t word = 0; 64 * word < count; word++) {
        uint32_t here = count - 64 * word < 64 ? count - 64 * word : 64;
        uint64_t data = 0, odd = 0;

        for (uint32_t i = 0; i < here; i++) {
            uint64_t bits = (uint64_t)classify(context, entries + i * entry_bytes);

            data |= (bits & 1) << i;
            odd |= bits >> 1 << i;
        }
        map->data[word] = data;
        map->odd[word] = odd;
        entries += here * entry_bytes;
    }
}

/*
 * Classifies the units from offset on, without those that the disk's end cuts off. Returns whether
 * it did: at least one unit; else extent_at has to be asked for what is at offset, as there is a
 * backing image, the driver has no units there, or an error to report.
 */
bool disk_map_units(struct disk *disk, uint64_t offset, struct unit_map *map);

/* The index of the first unit at or after index with its bit set; map->count: there is none. */
uint32_t unit_map_next(const struct unit_map *map, const uint64_t *bits, uint32_t index);

/* The index of the first unit at or after index with its bit clear, at most map->count. */
uint32_t unit_map_end(const struct unit_map *map, const uint64_t *bits, uint32_t index);

/* Word number word of the bits, without those from unit number units on. */
static inline uint64_t unit_map_word(const uint64_t *bits, uint32_t word, uint32_t units)
{
    uint32_t here = units - 64 * word;

    return here < 64 ? bits[word] & ((UINT64_C(1) << here) - 1) : bits[word];
}

/* The number of bits that are set: processors without an instruction for it are supported. */
static inline unsigned unit_map_popcount(uint64_t bits)
{
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(bits * UINT64_C(0x0101010101010101) >> 56);
}

/* The number of the first units that have data. */
uint32_t unit_map_count(const struct unit_map *map, uint32_t units);

#endif
