// SPDX-License-Identifier: Apache-2.0
/* vmdk: the rules of the two headers of a seSparse extent, and entries of each type. */
#include "tests/support/vmdk-image.h"

#include <string.h>

enum { SE_GRAIN = 4096, SE_TABLE = 4096 * SE_GRAIN };

#define TYPE(n) (UINT64_C(n) << 60)

static void se_gte(uint64_t index, uint64_t value)
{
    put_le(&s, SE_GT * SECTOR + 8 * index, 8, value);
}

/* An entry of the grain with that number. */
static uint64_t grain(uint64_t number)
{
    return TYPE(3) | (number & 0xfff) << 48 | number >> 12;
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {8, 8, 1, ENOTSUP, "version 1 "},
        {24, 8, 16, ENOTSUP, "grain_size 16"},
        {32, 8, 32, ENOTSUP, "grain_table_size 32"},
        {40, 8, 1, ENOTSUP, "flags 1"},
        {48, 1, 1, ENOTSUP, "reserved"},
        {79, 1, 1, ENOTSUP, "reserved"},
        {208, 1, 1, ENOTSUP, "reserved"},
        {511, 1, 1, ENOTSUP, "reserved"},
        {80, 8, 0, EUCLEAN, "volatile header at sector 0"},
        {80, 8, 1 << 20, EUCLEAN, "offset 536870912"},
        {80, 8, UINT64_C(1) << 54, EUCLEAN, "volatile_header_offset 18014398509481984"},
        {80, 8, UINT64_MAX, EUCLEAN, "volatile_header_offset 18446744073709551615"},
        {SECTOR, 8, 1, EUCLEAN, "volatile header at sector 1"},
        {SECTOR + 24, 8, 1, ENOTSUP, "journal is 1"},
        {SECTOR + 32, 1, 1, ENOTSUP, "volatile header"},
        {SECTOR + 511, 1, 1, ENOTSUP, "volatile header"},
        {16, 8, UINT64_MAX, EFBIG, "capacity 18446744073709551615"},
        {16, 8, (UINT64_C(1) << 54) - (1 << 21) + 1, EFBIG, "capacity 18014398507384833"},
        {16, 8, 8 * 64 * 32768 + 1, EUCLEAN, "capacity 16777217"},
        {136, 8, 0, EUCLEAN, "grain_dir_size 0"},
        {136, 8, (512 << 10) + 1, EFBIG, "grain_dir_size 524289"},
        {136, 8, UINT64_MAX, EFBIG, "grain_dir_size 18446744073709551615"},
        {128, 8, UINT64_C(1) << 55, EUCLEAN, "grain_dir_offset 36028797018963968"},
        {192, 8, UINT64_C(1) << 55, EUCLEAN, "grains_offset 36028797018963968"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_sesparse(2);
        assert_int_equal(sample_open(&s, &vmdk_driver), 0);
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &vmdk_driver, defects[i].error, defects[i].words);
    }
}

static void test_header_edges(void **state)
{
    (void)state;
    make_sesparse(1);
    put_le(&s, 16, 8, 8 * 64 * 32768);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, UINT64_C(512) * SE_TABLE);
    put_le(&s, 136, 8, 512 << 10);
    put_le(&s, 144, 8, UINT64_MAX); /* fails only for entries that name a table */
    put_le(&s, SE_GD * SECTOR, 8, 0);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(UINT64_C(512) * SE_TABLE));
    put_le(&s, 16, 8, 0);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
}

static void test_entries(void **state)
{
    (void)state;
    make_sesparse(1);
    se_gte(0, grain(0));
    se_gte(1, grain(1));
    se_gte(2, grain(7));
    se_gte(3, TYPE(1));
    se_gte(4, TYPE(2));
    se_gte(5, TYPE(2) | 77);
    se_gte(7, grain(0xfff));
    se_gte(8, grain(0x1000));
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(2 * SE_GRAIN, SE_GRAINS * SECTOR),
                   DATA(SE_GRAIN, SE_GRAINS * SECTOR + 7 * SE_GRAIN), ZERO(3 * SE_GRAIN),
                   HOLE(SE_GRAIN), DATA(2 * SE_GRAIN, SE_GRAINS * SECTOR + 0xfff * SE_GRAIN),
                   HOLE(4087 * SE_GRAIN));
    ASSERT_EXTENTS(&s, 0, DATA(3 * SE_GRAIN, 0), ZERO(3 * SE_GRAIN), HOLE(SE_GRAIN),
                   DATA(2 * SE_GRAIN, 0), HOLE(4087 * SE_GRAIN));
}

/* Extents that begin within a grain. */
static void test_extent_within(void **state)
{
    struct extent e;

    (void)state;
    make_sesparse(1);
    se_gte(5, grain(9));
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    e = at(5 * SE_GRAIN + 100, EXTENTS_WANT_HOST);
    assert_extent(e, EXTENT_DATA, SE_GRAIN - 100, SE_GRAINS * SECTOR + 9 * SE_GRAIN + 100);
    assert_extent(at(SE_GRAIN - 1, 0), EXTENT_HOLE, 4 * SE_GRAIN + 1, EXTENT_NO_HOST);
}

static void test_bad_entries(void **state)
{
    static const uint64_t entries[] = {1, TYPE(4), TYPE(15), UINT64_MAX, TYPE(4) - 1};

    (void)state;
    for (size_t i = 0; i < COUNT(entries); i++) {
        make_sesparse(1);
        se_gte(0, grain(0));
        se_gte(1, entries[i]);
        assert_int_equal(sample_open(&s, &vmdk_driver), 0);
        assert_int_equal(at(0, 0).length, SE_GRAIN);
        assert_stream_fails(&s, 0, EUCLEAN, "guest offset 4096");
    }
}

static void test_directory(void **state)
{
    static const uint64_t bad[] = {1, TYPE(1) | UINT64_C(1) << 32, TYPE(2), TYPE(1) | UINT32_MAX};

    (void)state;
    make_sesparse(5);
    for (uint64_t i = 0; i < 4096; i++)
        se_gte(4096 + i, grain(i));
    put_le(&s, SE_GD * SECTOR, 8, 0);                        /* no table */
    put_le(&s, SE_GD * SECTOR + 16, 8, TYPE(1) | 0x3000000); /* past the end */
    put_le(&s, SE_GD * SECTOR + 32, 8, TYPE(1) | 1);         /* the table of another entry */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(SE_TABLE), DATA(SE_TABLE, 0),
                   HOLE(2 * (uint64_t)SE_TABLE), DATA(SE_TABLE, 0));
    for (size_t i = 0; i < COUNT(bad); i++) {
        put_le(&s, SE_GD * SECTOR + 8, 8, bad[i]);
        assert_int_equal(sample_open(&s, &vmdk_driver), 0);
        assert_int_equal(at(0, 0).length, SE_TABLE);
        assert_stream_fails(&s, 0, EUCLEAN, "directory entry 1");
    }
    /* As in qemu, sector 0 stands for no table. */
    put_le(&s, 144, 8, 0);
    put_le(&s, SE_GD * SECTOR + 8, 8, TYPE(1));
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(at(SE_TABLE, 0).kind, EXTENT_HOLE);
}

/* A walk over a directory that names the same table again and again fails soon. */
static void test_tables_used_again(void **state)
{
    enum { TABLES = 16 << 10 };

    (void)state;
    make_sesparse(1);
    put_le(&s, 16, 8, UINT64_C(32768) * TABLES);
    put_le(&s, 128, 8, 1024);
    put_le(&s, 136, 8, TABLES / 64);
    for (uint64_t i = 0; i < TABLES; i++)
        put_le(&s, 1024 * SECTOR + 8 * i, 8, TYPE(1));
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_stream_fails(&s, 0, EFBIG, "grain tables");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_rules),      cmocka_unit_test(test_header_edges),
        cmocka_unit_test(test_entries),           cmocka_unit_test(test_extent_within),
        cmocka_unit_test(test_bad_entries),       cmocka_unit_test(test_directory),
        cmocka_unit_test(test_tables_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
