// SPDX-License-Identifier: Apache-2.0
/* vmdk: what open accepts and refuses, in which words, and what lies where. Images are written
 * here, by bytes. */
#include "vmdk-image.h"

enum { GD = 32, GT = 40, GRAIN_SECTORS = 8, GRAIN = GRAIN_SECTORS * SECTOR };

static const char base[] = DESCRIPTOR("monolithicSparse");

static void gte(uint64_t table, uint64_t index, uint32_t value)
{
    put_le(&s, (GT + 4 * table) * SECTOR + 4 * index, 4, value);
}

static void header(uint64_t at, uint64_t capacity_sectors)
{
    put_text(&s, at, "KDMV");
    put_le(&s, at + 4, 4, 1);
    put_le(&s, at + 8, 4, 1);
    put_le(&s, at + 12, 8, capacity_sectors);
    put_le(&s, at + 20, 8, GRAIN_SECTORS);
    put_le(&s, at + 28, 8, 1);
    put_le(&s, at + 36, 8, 20);
    put_le(&s, at + 44, 4, 512);
    put_le(&s, at + 56, 8, GD);
    put_le(&s, at + 64, 8, 21);
    put_text(&s, at + 73, "\n \r\n");
}

/* An image of that many grain tables of 2 MiB each, one behind the other, nothing allocated. */
static void make_sparse(uint64_t tables)
{
    sample_begin(&s);
    header(0, tables * 512 * GRAIN_SECTORS);
    put_text(&s, SECTOR, base);
    for (uint64_t i = 0; i < tables; i++)
        put_le(&s, GD * SECTOR + 4 * i, 4, GT + 4 * i);
    put_le(&s, (GT + 4 * tables) * SECTOR - 1, 1, 0);
}

/* The first answer at offset, from the driver itself. */
static struct extent at(uint64_t offset, unsigned want)
{
    struct extent e = {.offset = offset};

    assert_int_equal(vmdk_driver.extent_at(&s.disk, offset, want, &e), 0);
    assert_true(e.length > 0);
    return e;
}

static void assert_extent(struct extent e, enum extent_kind kind, uint64_t length, uint64_t host)
{
    assert_int_equal(e.kind, kind);
    assert_int_equal(e.length, length);
    assert_int_equal(e.host, host);
}

static void test_open(void **state)
{
    (void)state;
    make_sparse(2);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 4 << 20);
    assert_string_equal(s.disk.subformat, "monolithicSparse");
    assert_null(s.disk.below);
    assert_null(s.disk.beside);
    assert_string_equal(image_problems(s.img), "");
    assert_true(image_bytes_read(s.img) < 16 << 10);
}

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
    /* Over two tables, in whatever order the grains are. */
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
    gte(0, 4, 7); /* what a sum of 32 bits would lead to */
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
    put_le(&s, GD * SECTOR + 4 * 4, 4, GT + 4);     /* the one of another */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 0), EXTENT_HOLE, 512 * GRAIN, EXTENT_NO_HOST);
    assert_extent(at(512 * GRAIN, 0), EXTENT_DATA, 512 * GRAIN, 5 * SECTOR);
    assert_extent(at(1024 * GRAIN, 0), EXTENT_HOLE, 512 * GRAIN, EXTENT_NO_HOST);
    assert_extent(at(2048 * GRAIN, 0), EXTENT_DATA, 512 * GRAIN, 5 * SECTOR);
    put_le(&s, 56, 8, 1 << 20); /* the directory itself past the end */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_extent(at(0, 0), EXTENT_HOLE, 5 * 512 * GRAIN, EXTENT_NO_HOST);
}

/* Tables with gaps between them, as their entries fill no sector. */
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

/* A directory of the same table over and over ends in words, not in hours. */
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
    assert_stream_fails(&s, 0, EFBIG, "over and over");
}

static void footer(uint64_t at_sector)
{
    put_le(&s, at_sector * SECTOR, 8, 1);
    put_le(&s, at_sector * SECTOR + 12, 4, 3);
    header((at_sector + 1) * SECTOR, 512 * GRAIN_SECTORS);
    put_le(&s, (at_sector + 1) * SECTOR + 77, 2, 1);
    put_le(&s, (at_sector + 3) * SECTOR - 1, 1, 0);
    put_le(&s, 56, 8, UINT64_MAX);
}

static void test_footer(void **state)
{
    (void)state;
    make_sparse(1);
    gte(0, 3, 50);
    footer(60);
    put_le(&s, 20, 8, 0); /* of the front header nothing else counts */
    put_le(&s, 4, 4, 9);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 2 << 20);
    assert_int_equal(at(3 * GRAIN, 0).kind, EXTENT_DATA);
    set_size(&s, 63 * SECTOR - 100);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    set_size(&s, 63 * SECTOR + 1);
    assert_refused(&s, &vmdk_driver, EUCLEAN, "footer marker");
    set_size(&s, SECTOR);
    assert_refused(&s, &vmdk_driver, EUCLEAN, "too short for the footer");
}

static void test_bad_footers(void **state)
{
    static const struct defect defects[] = {
        {12, 4, 2, EUCLEAN, "footer marker"},
        {8, 4, 1, EUCLEAN, "footer marker"},
        {SECTOR, 1, 'X', EUCLEAN, "KDMV"},
        {SECTOR + 56, 8, UINT64_MAX, EUCLEAN, "again"},
        {2 * SECTOR, 4, 1, EUCLEAN, "end-of-stream"},
        {2 * SECTOR + 12, 4, 3, EUCLEAN, "end-of-stream"},
        {SECTOR + 4, 4, 4, ENOTSUP, "version 4"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_sparse(1);
        footer(60);
        put_le(&s, 60 * SECTOR + defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &vmdk_driver, defects[i].error, defects[i].words);
    }
}

static void test_bad_headers(void **state)
{
    static const struct defect defects[] = {
        {4, 4, 0, ENOTSUP, "version 0"},
        {4, 4, 4, ENOTSUP, "version 4"},
        {20, 8, 0, EUCLEAN, "grainSize 0"},
        {20, 8, 3, EUCLEAN, "grainSize 3"},
        {20, 8, 1 << 22, EFBIG, "grainSize"},
        {20, 8, UINT64_MAX, EUCLEAN, "grainSize"},
        {44, 4, 0, EUCLEAN, "numGTEsPerGT 0"},
        {44, 4, 513, EUCLEAN, "numGTEsPerGT 513"},
        {44, 4, UINT32_MAX, EUCLEAN, "numGTEsPerGT"},
        {12, 8, UINT64_C(1) << 63, EFBIG, "capacity"},
        {12, 8, UINT64_MAX, EFBIG, "capacity"},
        {12, 8, (UINT64_C(32) << 20) * 512 * 8 + 1, EFBIG, "grain tables"},
        {56, 8, UINT64_C(1) << 55, EUCLEAN, "gdOffset"},
        {56, 8, UINT64_C(1) << 54, EUCLEAN, "gdOffset"},
        {64, 8, 1000, EUCLEAN, "cut off"},
        {77, 2, 2, ENOTSUP, "compressAlgorithm"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_sparse(1);
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &vmdk_driver, defects[i].error, defects[i].words);
    }
}

static void test_redundant_directory(void **state)
{
    (void)state;
    make_sparse(1);
    put_le(&s, 48, 8, UINT64_MAX);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    put_le(&s, 8, 4, 3);
    assert_refused(&s, &vmdk_driver, EUCLEAN, "rgdOffset");
}

static void test_parent(void **state)
{
    static const char key[] = "parentFileNameHint=\"base.vmdk\"\n";

    (void)state;
    make_sparse(1);
    gte(0, 0, 99);
    put_text(&s, SECTOR + sizeof base - 1, key);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.below->kind, "parent");
    assert_string_equal(s.disk.below->path, "base.vmdk");
    put_text(&s, SECTOR + sizeof base - 2, "#"); /* a comment is no comment to qemu */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.below->path, "base.vmdk");
    put_text(&s, SECTOR + sizeof base - 1 + sizeof key - 3, " ");
    assert_refused(&s, &vmdk_driver, EUCLEAN, "parentFileNameHint");
    put(&s, SECTOR + sizeof base - 1, "", 1);
    put_text(&s, SECTOR + 55, "1");
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.below->path, "CID 1fffffff");
}

static void test_embedded_descriptor(void **state)
{
    static const char type[] = "createType=\"a\x1b"
                               "b\"\r\nparentCID=FFFFFFFF\r\n";

    (void)state;
    make_sparse(1);
    put(&s, 100 * SECTOR, type, sizeof type);
    put_le(&s, 28, 8, 100);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.subformat, "a\\x1bb");
    put_le(&s, 28, 8, 1 << 20); /* past the end: what stands behind the header */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.subformat, "monolithicSparse");
    put(&s, SECTOR, "", 1);
    assert_refused(&s, &vmdk_driver, ENOTSUP, "part of a disk");
}

static void test_capacity_zero(void **state)
{
    static const char line[] = "RW 8 FLAT \"x\" 0\n";

    (void)state;
    make_sparse(1);
    put_le(&s, 12, 8, 0);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    put_text(&s, SECTOR, flat);
    put(&s, SECTOR + sizeof flat - 1, line, sizeof line);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 8 * SECTOR);
    assert_string_equal(s.disk.subformat, "monolithicFlat");
    assert_string_equal(s.disk.beside->path, "x");
}

static void test_cowd(void **state)
{
    (void)state;
    sample_begin(&s);
    put_text(&s, 0, "COWD");
    assert_refused(&s, &vmdk_driver, ENOTSUP, "COWD");
    assert_string_equal(s.disk.subformat, "vmfsSparse");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),           cmocka_unit_test(test_runs_without_host),
        cmocka_unit_test(test_runs_with_host), cmocka_unit_test(test_zeroed_grains),
        cmocka_unit_test(test_compressed),     cmocka_unit_test(test_directory),
        cmocka_unit_test(test_small_tables),   cmocka_unit_test(test_tables_used_again),
        cmocka_unit_test(test_footer),         cmocka_unit_test(test_bad_footers),
        cmocka_unit_test(test_bad_headers),    cmocka_unit_test(test_redundant_directory),
        cmocka_unit_test(test_parent),         cmocka_unit_test(test_embedded_descriptor),
        cmocka_unit_test(test_capacity_zero),  cmocka_unit_test(test_cowd),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
