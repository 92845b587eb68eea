/* SPDX-License-Identifier: Apache-2.0 */
/* Compares allocation in bulk (unit-map.h) with the driver's answers for single units. */
#ifndef TESTS_SUPPORT_UNIT_MAP_CHECK_H
#define TESTS_SUPPORT_UNIT_MAP_CHECK_H

#include <stdlib.h>

#include "formats/extents.h"
#include "formats/unit-map.h"
#include "support.h"

/* The unit at offset, as the stream of extents has it. */
static inline enum unit_bits unit_by_stream(struct sample *s, uint64_t offset, uint64_t unit)
{
    struct extents stream;
    struct extent e;

    extents_begin(&stream, &s->disk, 0);
    extents_seek(&stream, offset);
    if (extents_next(&stream, &e) != 1)
        return UNIT_ODD;
    assert_true(e.length >= unit);
    return e.kind == EXTENT_DATA ? UNIT_DATA : UNIT_EMPTY;
}

/* Every unit that the open disk's tables map is classified in bulk as the stream of extents has it;
 * at most `rest` bytes are left to the stream. */
static inline void assert_bulk(struct sample *s, uint64_t rest)
{
    static struct unit_map map;
    struct extents stream;
    struct extent e;

    extents_begin(&stream, &s->disk, 0);
    for (uint64_t offset = 0; offset < s->disk.virtual_size; offset += e.length) {
        if (!disk_map_units(&s->disk, offset, &map)) {
            extents_seek(&stream, offset);
            assert_int_equal(extents_next(&stream, &e), 1);
            assert_true(e.length <= rest);
            rest -= e.length;
            continue;
        }
        assert_true(map.count > 0 && map.count <= UNIT_MAP_UNITS);
        for (uint32_t i = 0; i < map.count; i++) {
            enum unit_bits bits = (enum unit_bits)((map.data[i / 64] >> i % 64 & 1) |
                                                   (map.odd[i / 64] >> i % 64 & 1) << 1);

            if (bits != unit_by_stream(s, offset + i * map.unit, map.unit))
                fail_msg("unit %u from offset %llu on differs", i, (unsigned long long)offset);
        }
        e.length = map.count * map.unit;
    }
}

/* Bits for a table: runs and single entries, also across words of 64. Seeded by the caller. */
static inline bool random_bit(uint32_t index)
{
    static uint32_t until;
    static bool value;

    if (!index || index >= until) {
        value = rand() % 2;
        until = index + 1 + (rand() % 3 ? 0 : (uint32_t)rand() % 200);
    }
    return value;
}

#endif
