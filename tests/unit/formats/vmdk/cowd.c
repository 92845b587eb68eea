// SPDX-License-Identifier: Apache-2.0
/* vmdk: the rules of a COWD header, and its grain tables of 4096 entries. */
#include "tests/support/vmdk-image.h"

#include <string.h>

enum { NUM_SECTORS = 12, GRAIN_SIZE = 16, GD_OFFSET = 20, NUM_GD_ENTRIES = 24, TABLES_AT = 8 };

static const char text[] = DESCRIPTOR("vmfsSparse");

static void make(uint64_t tables)
{
    make_cowd(tables);
    put(&s, SECTOR, text, sizeof text);
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {GRAIN_SIZE, 4, 0, EUCLEAN, "grainSize 0"},
        {GRAIN_SIZE, 4, 3, EUCLEAN, "grainSize 3"},
        {GRAIN_SIZE, 4, 1 << 22, EFBIG, "grainSize 4194304"},
        {GRAIN_SIZE, 4, UINT32_MAX, EUCLEAN, "grainSize 4294967295"},
        {NUM_GD_ENTRIES, 4, 0, EUCLEAN, "numGDEntries 0"},
        {NUM_GD_ENTRIES, 4, 1, EUCLEAN, "numGDEntries 1"},
        {NUM_GD_ENTRIES, 4, (32 << 20) + 1, EFBIG, "numGDEntries 33554433"},
        {NUM_SECTORS, 4, 2 * 4096 * GRAIN_SECTORS + 1, EUCLEAN, "numSectors 65537"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make(2);
        assert_int_equal(sample_open(&s, &vmdk_driver), 0);
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &vmdk_driver, defects[i].error, defects[i].words);
    }
}

static void test_header_edges(void **state)
{
    (void)state;
    make(1);
    put_le(&s, NUM_GD_ENTRIES, 4, 32 << 20);
    put_le(&s, GRAIN_SIZE, 4, 1 << 21);
    put_le(&s, NUM_SECTORS, 4, UINT32_MAX);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, UINT64_C(0xffffffff) * SECTOR);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(UINT64_C(0xffffffff) * SECTOR));
    put_le(&s, GD_OFFSET, 4, UINT32_MAX);
    put_le(&s, NUM_SECTORS, 4, 0);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
}

static void test_tables(void **state)
{
    (void)state;
    make(3);
    put_le(&s, TABLES_AT * SECTOR, 4, 1000);
    put_le(&s, TABLES_AT * SECTOR + 4, 4, 1008);
    put_le(&s, TABLES_AT * SECTOR + 8, 4, 1); /* COWD has no zeroed grains */
    put_le(&s, (TABLES_AT + 32) * SECTOR - 4, 4, 2000);
    put_le(&s, (TABLES_AT + 32) * SECTOR, 4, 3000);
    put_le(&s, 4 * SECTOR + 8, 4, 0);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(2 * GRAIN, 1000 * SECTOR), DATA(GRAIN, SECTOR),
                   HOLE(4092 * GRAIN), DATA(GRAIN, 2000 * SECTOR), DATA(GRAIN, 3000 * SECTOR),
                   HOLE(4095 * GRAIN), HOLE(4096 * GRAIN));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(3 * GRAIN, 0), HOLE(4092 * GRAIN),
                   DATA(2 * GRAIN, 0), HOLE(8191 * GRAIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_header_edges),
        cmocka_unit_test(test_tables),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
