// SPDX-License-Identifier: Apache-2.0
/* Counting of touched units, by one counter and by those of several targets. */
#include "formats/targets/unit-count.h"

#include <stdlib.h>

#include "formats/extents.h"
#include "tests/support/target-vectors.h"

static void add(struct unit_count *count, uint64_t offset, uint64_t length, enum extent_kind kind)
{
    const struct extent e = {.offset = offset, .length = length, .kind = kind};

    unit_count_add(count, &e);
}

static void test_count(void **state)
{
    struct unit_count c;

    (void)state;
    unit_count_begin(&c, 100);
    add(&c, 0, 99, EXTENT_ZERO);
    add(&c, 99, 1, EXTENT_HOLE);
    assert_int_equal(c.touched, 0);
    /* The last byte of a unit and the first of the next. */
    add(&c, 199, 2, EXTENT_DATA);
    assert_int_equal(c.touched, 2);
    add(&c, 250, 50, EXTENT_DATA);
    assert_int_equal(c.touched, 2);
    add(&c, 300, 1, EXTENT_DATA);
    add(&c, 302, 98, EXTENT_DATA);
    assert_int_equal(c.touched, 3);
    /* From the middle of a counted unit across whole ones into another. */
    add(&c, 500, 1, EXTENT_DATA);
    add(&c, 550, 351, EXTENT_DATA);
    assert_int_equal(c.touched, 3 + 1 + 4);
    assert_int_equal(c.counted, 1000);
}

static void test_count_far(void **state)
{
    struct unit_count c;
    uint64_t last = (uint64_t)INT64_MAX - 511;

    (void)state;
    unit_count_begin(&c, 2 * MIB);
    add(&c, 0, last, EXTENT_DATA);
    assert_true(c.touched == UINT64_C(1) << 42);
    unit_count_begin(&c, 512);
    add(&c, last - 1, 1, EXTENT_DATA);
    assert_int_equal(c.touched, 1);
    assert_true(c.counted == last);
}

/* Compared with an array of touched units. */
static void test_count_random(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        bool seen[200] = {false};
        uint64_t unit = 1 + random_below(40), offset = 0, expected = 0;
        struct unit_count c;

        unit_count_begin(&c, unit);
        while (offset < 150) {
            uint64_t length = 1 + random_below(30);
            enum extent_kind kind = (enum extent_kind)random_below(3);

            add(&c, offset, length, kind);
            for (uint64_t i = offset; i < offset + length && kind == EXTENT_DATA; i++)
                seen[i / unit] = true;
            offset += length;
        }
        for (size_t i = 0; i < COUNT(seen); i++)
            expected += seen[i];
        assert_int_equal(c.touched, expected);
    }
}

/* Targets with the same unit share a counter, and each target gets its own counts. */
static void test_counts(void **state)
{
    static struct target_counts c;
    uint64_t touched[TARGET_UNITS_MAX];
    const struct extent first = {.offset = 4096, .length = 8192, .kind = EXTENT_DATA};
    const struct extent second = {.offset = 3 * MIB, .length = 4096, .kind = EXTENT_DATA};

    (void)state;
    target_counts_begin(&c);
    for (size_t i = 0; targets[i]; i++)
        target_counts_want(&c, i, targets[i], &targets[i]->defaults, 8 * MIB);
    /* 4 KiB, 64 KiB, 1 MiB, 2 MiB, 8 MiB, 2 GiB */
    assert_int_equal(c.used, 6);
    assert_int_equal(target_counts_add(&c, 0, &first), 12288);
    assert_int_equal(target_counts_add(&c, 65536, &first), 65536);
    assert_int_equal(target_counts_add(&c, MIB, &second), 4 * MIB);
    target_counts_get(&c, target_row(&qcow_target), touched);
    assert_int_equal(touched[0], 3);
    assert_int_equal(touched[1], 2);
    target_counts_get(&c, target_row(&qed_target), touched);
    assert_int_equal(touched[0], 2);
    assert_int_equal(touched[1], 1);
    target_counts_get(&c, target_row(&vmdk_target), touched);
    assert_int_equal(touched[0], 2);
    target_counts_get(&c, target_row(&vhdx_target), touched);
    assert_int_equal(touched[0], 1);
    target_counts_get(&c, target_row(&raw_target), touched);
    assert_int_equal(touched[0], 0);
    target_counts_begin(&c);
    target_counts_want(&c, 3, &raw_target, &raw_target.defaults, 8 * MIB);
    assert_true(target_counts_add(&c, 0, &first) == UINT64_MAX);
}

/* Maps of any units and sizes are counted as their units one by one. */
static void test_maps(void **state)
{
    static struct unit_map map;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        bool powers = round % 4;
        struct unit_count bulk, single;
        uint64_t offset = 0;

        map.unit = powers ? UINT64_C(512) << random_below(13) : 512 * (1 + random_below(40));
        unit_count_begin(&bulk, powers && round % 8 ? UINT64_C(512) << random_below(16)
                                                    : 512 * (1 + random_below(60)));
        single = bulk;
        for (unsigned piece = 0; piece < 4; piece++) {
            uint32_t units = 1 + (uint32_t)random_below(round % 3 ? 200 : 64 * 4);
            uint64_t density = random_below(5);

            map.count = units + (uint32_t)random_below(10);
            for (uint32_t word = 0; 64 * word < map.count; word++) {
                map.data[word] = 0;
                for (unsigned i = 0; i < 64; i++)
                    map.data[word] |= (uint64_t)(random_below(4) < density) << i;
            }
            unit_count_map(&bulk, &map, offset, units);
            for (uint32_t i = 0; i < units; i++)
                if (map.data[i / 64] >> i % 64 & 1)
                    unit_count_range(&single, offset + i * map.unit, map.unit);
            offset += units * map.unit;
            if (bulk.touched != single.touched || bulk.counted != single.counted)
                fail_msg("round %u: %llu units up to %llu, one by one %llu up to %llu", round,
                         (unsigned long long)bulk.touched, (unsigned long long)bulk.counted,
                         (unsigned long long)single.touched, (unsigned long long)single.counted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps),      cmocka_unit_test(test_count),
        cmocka_unit_test(test_count_far), cmocka_unit_test(test_count_random),
        cmocka_unit_test(test_counts),
    };

    srandom(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
