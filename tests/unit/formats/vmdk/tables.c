// SPDX-License-Identifier: Apache-2.0
/* vmdk: directories and tables with 4-byte entries, runs of grains, compressed grains. */
#include "tests/support/vmdk-image.h"

#include <string.h>
#include <zlib.h>

static void test_runs_without_host(void **state)
{
    (void)state;
    make_sparse(3);
    gte(0, 0, 1000);
    gte(0, 1, 500);
    for (uint32_t i = 2; i < 512; i++)
        gte(0, i, 5000 - 8 * i);
    gte(1, 0, 77);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    /* Across two tables, whatever the order of the grains. */
    assert_extent(at(0, 0), EXTENT_DATA, 513 * GRAIN, 1000 * SECTOR);
    assert_int_equal(at(513 * GRAIN, 0).kind, EXTENT_HOLE);
    assert_int_equal(at(513 * GRAIN, 0).length, 1023 * GRAIN);
    assert_int_equal(at(600 * GRAIN + 5, 0).length, 936 * GRAIN - 5);
}

static void test_runs_with_host(void **state)
{
    (void)state;
    make_sparse(1);
    gte(0, 0, 1000);
    gte(0, 1, 1008);
    gte(0, 2, 1024);
    gte(0, 3, 0xffffffff);
    gte(0, 4, 7); /* where a 32-bit sum would wrap to */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 1), EXTENT_DATA, 2 * GRAIN, 1000 * SECTOR);
    assert_extent(at(100, 1), EXTENT_DATA, 2 * GRAIN - 100, 1000 * SECTOR + 100);
    assert_extent(at(2 * GRAIN, 1), EXTENT_DATA, GRAIN, 1024 * SECTOR);
    assert_extent(at(3 * GRAIN, 1), EXTENT_DATA, GRAIN, UINT64_C(0xffffffff) * SECTOR);
    assert_extent(at(4 * GRAIN, 1), EXTENT_DATA, GRAIN, 7 * SECTOR);
    assert_extent(at(5 * GRAIN, 1), EXTENT_HOLE, 507 * GRAIN, EXTENT_NO_HOST);
}

static void test_zeroed_grains(void **state)
{
    (void)state;
    make_sparse(1);
    gte(0, 0, 1);
    gte(0, 1, 1);
    gte(0, 2, 99);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(at(0, 0).kind, EXTENT_DATA);
    assert_int_equal(at(0, 0).length, 3 * GRAIN);
    put_le(&s, 8, 4, 1 | 4);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 0), EXTENT_ZERO, 2 * GRAIN, EXTENT_NO_HOST);
    assert_int_equal(at(2 * GRAIN, 0).kind, EXTENT_DATA);
}

static void test_compressed(void **state)
{
    (void)state;
    make_sparse(1);
    put_le(&s, 77, 2, 1);
    gte(0, 0, 99);
    gte(0, 1, 90);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 1), EXTENT_DATA, 2 * GRAIN, EXTENT_NO_HOST);
    assert_int_equal(at(0, 1).flags, EXTENT_COMPRESSED);
}

static void test_directory(void **state)
{
    (void)state;
    make_sparse(5);
    for (uint32_t i = 0; i < 512; i++) {
        gte(1, i, 5);
        gte(3, i, 5);
    }
    put_le(&s, GD * SECTOR, 4, 0);                  /* no table */
    put_le(&s, GD * SECTOR + 4 * 2, 4, 0x7fffffff); /* past the end */
    put_le(&s, GD * SECTOR + 4 * 4, 4, GT + 4);     /* the table of another entry */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 0), EXTENT_HOLE, 512 * GRAIN, EXTENT_NO_HOST);
    assert_extent(at(512 * GRAIN, 0), EXTENT_DATA, 512 * GRAIN, 5 * SECTOR);
    assert_extent(at(1024 * GRAIN, 0), EXTENT_HOLE, 512 * GRAIN, EXTENT_NO_HOST);
    assert_extent(at(2048 * GRAIN, 0), EXTENT_DATA, 512 * GRAIN, 5 * SECTOR);
    put_le(&s, 56, 8, 1 << 20); /* the directory past the end */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 0), EXTENT_HOLE, 5 * 512 * GRAIN, EXTENT_NO_HOST);
}

/* Tables that do not fill their sectors, with gaps between them. */
static void test_small_tables(void **state)
{
    (void)state;
    make_sparse(1);
    put_le(&s, 44, 4, 100);
    for (uint64_t i = 0; i < 6; i++)
        put_le(&s, GD * SECTOR + 4 * i, 4, GT + i);
    for (uint64_t i = 0; i < 100; i++)
        put_le(&s, (GT + 1) * SECTOR + 4 * i, 4, 9);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 0), EXTENT_HOLE, 100 * GRAIN, EXTENT_NO_HOST);
    assert_extent(at(100 * GRAIN, 0), EXTENT_DATA, 100 * GRAIN, 9 * SECTOR);
    assert_extent(at(200 * GRAIN, 0), EXTENT_HOLE, 100 * GRAIN, EXTENT_NO_HOST);
}

/* A walk over a directory that names the same table again and again fails soon. */
static void test_tables_used_again(void **state)
{
    enum { TABLES = 128 << 10, ENTRIES = 4096 };
    static uint8_t entries[4 * ENTRIES];

    (void)state;
    make_sparse(1);
    put_le(&s, 12, 8, UINT64_C(512) * GRAIN_SECTORS * TABLES);
    put_le(&s, 56, 8, 1000);
    for (size_t i = 0; i < sizeof entries; i += 4)
        entries[i] = GT;
    for (uint64_t i = 0; i < TABLES; i += ENTRIES)
        put(&s, 1000 * SECTOR + 4 * i, entries, sizeof entries);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_stream_fails(
        &s, 0, EFBIG,
        "grain tables take more bytes than the file: the grain directory repeats tables");
}

/* A grain of that many bytes of value, as a stream at that sector behind a marker. */
static void put_grain(uint64_t sector, uint64_t lba, int value, size_t length)
{
    uint8_t plain[GRAIN], packed[GRAIN];
    uLongf size = sizeof packed;

    memset(plain, value, length);
    assert_int_equal(compress(packed, &size, plain, length), Z_OK);
    put_le(&s, sector * SECTOR, 8, lba);
    put_le(&s, sector * SECTOR + 8, 4, size);
    put(&s, sector * SECTOR + 12, packed, size);
}

/* A stream of three grains, the last one of half the length. */
static void make_stream(void)
{
    make_sparse(1);
    put_le(&s, 8, 4, 1 | 3 << 16);
    put_le(&s, 12, 8, 3 * GRAIN_SECTORS - GRAIN_SECTORS / 2);
    put_le(&s, 77, 2, 1);
    gte(0, 0, 90);
    gte(0, 1, 99);
    gte(0, 2, 108);
    put_grain(90, 0, 'a', GRAIN);
    put_grain(99, GRAIN_SECTORS, 'b', GRAIN);
    put_grain(108, 2 * GRAIN_SECTORS, 'c', GRAIN / 2);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
}

static void test_decode(void **state)
{
    uint8_t bytes[3 * GRAIN];

    (void)state;
    make_stream();
    assert_int_equal(disk_read(&s.disk, 10, bytes, sizeof bytes), 0);
    assert_int_equal(bytes[0], 'a');
    assert_int_equal(bytes[GRAIN - 11], 'a');
    assert_int_equal(bytes[GRAIN - 10], 'b');
    assert_int_equal(bytes[2 * GRAIN - 10], 'c');
    assert_int_equal(bytes[2 * GRAIN - 10 + GRAIN / 2 - 1], 'c');
    assert_int_equal(bytes[2 * GRAIN - 10 + GRAIN / 2], 0);
    /* Without markers the stream begins with the grain. */
    put_le(&s, 8, 4, 1 | 1 << 16);
    gte(0, 1, 120);
    {
        uint8_t packed[GRAIN], plain[GRAIN] = "hello";
        uLongf size = sizeof packed;

        assert_int_equal(compress(packed, &size, plain, GRAIN), Z_OK);
        put(&s, 120 * SECTOR, packed, size);
        set_size(&s, 130 * SECTOR);
    }
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(disk_read(&s.disk, GRAIN + 1, bytes, 4), 0);
    assert_memory_equal(bytes, "ello", 4);
    /* A stream that is shorter than a grain is valid only at the end of the disk. */
    put_grain(120, 0, 'b', GRAIN - 1);
    gte(0, 1, 120);
    put_le(&s, 8, 4, 1 | 3 << 16);
    put_le(&s, 120 * SECTOR, 8, GRAIN_SECTORS);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(disk_read(&s.disk, GRAIN, bytes, 5), -EUCLEAN);
    assert_int_equal(disk_read(&s.disk, 2 * GRAIN, bytes, GRAIN / 2), 0);
    assert_int_equal(bytes[GRAIN / 2 - 1], 'c');
}

static void test_bad_grains(void **state)
{
    static const struct defect defects[] = {
        {99 * SECTOR, 8, GRAIN_SECTORS + 1, EUCLEAN, "sector 9"},
        {99 * SECTOR + 8, 4, 0, EUCLEAN, "size 0"},
        {99 * SECTOR + 8, 4, 2 * GRAIN + 1, EUCLEAN, "size 8193"},
        {99 * SECTOR + 8, 4, 9, EUCLEAN, "deflate"},
        {99 * SECTOR + 12, 2, 0xffff, EUCLEAN, "deflate"},
        {GT * SECTOR + 4, 4, 1 << 20, EIO, "guest offset 4096"},
    };
    uint8_t bytes[GRAIN];

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_stream();
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_int_equal(sample_open(&s, &vmdk_driver), 0);
        assert_int_equal(disk_read(&s.disk, 0, bytes, GRAIN), 0);
        assert_int_equal(disk_read(&s.disk, GRAIN, bytes, 1), -defects[i].error);
        assert_reported(s.img, defects[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_without_host), cmocka_unit_test(test_runs_with_host),
        cmocka_unit_test(test_zeroed_grains),     cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_directory),         cmocka_unit_test(test_small_tables),
        cmocka_unit_test(test_tables_used_again), cmocka_unit_test(test_decode),
        cmocka_unit_test(test_bad_grains),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
