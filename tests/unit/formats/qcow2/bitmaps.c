// SPDX-License-Identifier: Apache-2.0
/* qcow2: the extension and the directory of persistent bitmaps, and the bitmaps' size. */
#include "tests/support/qcow2-image.h"

enum {
    CLUSTER = 65536,
    BITMAPS = 0x23852875,
    DIRECTORY = 5 * CLUSTER,
    FIRST = 104 /* offset of the extension */
};

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* An image with a bitmaps extension of that nb_bitmaps and bitmap_directory_size. */
static void make_bitmaps(uint32_t count, uint64_t directory_size)
{
    uint64_t at;

    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_AUTOCLEAR, 8, 1);
    put_be(&s, FIRST, 4, BITMAPS);
    put_be(&s, FIRST + 4, 4, 24);
    at = FIRST + 8;
    put_be(&s, at, 4, count);
    put_be(&s, at + 8, 8, directory_size);
    put_be(&s, at + 16, 8, DIRECTORY);
}

/* Writes a directory entry at *at, with a table that covers 1 GiB. Advances *at to its end. */
static void bitmap(uint64_t *at, uint8_t granularity_bits, uint16_t name_size, uint32_t extra)
{
    uint64_t covered = (uint64_t)CLUSTER * 8 << granularity_bits;

    put_be(&s, *at, 8, 9 * CLUSTER);
    put_be(&s, *at + 8, 4, (GIB + covered - 1) / covered);
    put_be(&s, *at + 12, 4, 2);
    put_be(&s, *at + 16, 1, 1);
    put_be(&s, *at + 17, 1, granularity_bits);
    put_be(&s, *at + 18, 2, name_size);
    put_be(&s, *at + 20, 4, extra);
    *at = (*at + 24 + name_size + extra + 7) / 8 * 8;
}

static void assert_bitmaps(uint64_t cluster_size, uint64_t expected)
{
    uint64_t bytes = 1;

    assert_int_equal(qcow2_driver.bitmaps_size(&s.disk, cluster_size, &bytes), 1);
    assert_int_equal(bytes, expected);
}

static void assert_bitmaps_fail(const char *words)
{
    uint64_t bytes;

    reopen(&s);
    assert_int_equal(qcow2_driver.bitmaps_size(&s.disk, CLUSTER, &bytes), -EUCLEAN);
    assert_reported(s.img, words);
}

static void test_no_bitmaps(void **state)
{
    uint64_t bytes = 1;

    (void)state;
    make_qcow2(&s, GIB, 16);
    reopen(&s);
    assert_bitmaps(CLUSTER, 0);
    put_be(&s, Q_VERSION, 4, 2);
    reopen(&s);
    assert_int_equal(qcow2_driver.bitmaps_size(&s.disk, CLUSTER, &bytes), 0);
    /* Without the autoclear bit, bitmaps are reported as out of date, not counted and not checked.
     */
    make_bitmaps(0, UINT64_MAX);
    put_be(&s, Q_AUTOCLEAR, 8, 4);
    reopen(&s);
    assert_bitmaps(CLUSTER, 0);
    assert_reported(s.img, "autoclear_features bit 0");
    put_be(&s, FIRST + 4, 4, 16); /* the extension's length is checked */
    assert_refused(&s, &qcow2_driver, EUCLEAN, "length 16");
}

static void test_bitmaps_size(void **state)
{
    uint64_t at = DIRECTORY;

    (void)state;
    make_bitmaps(1, 32);
    bitmap(&at, 16, 2, 0);
    reopen(&s);
    /* A cluster for 16384 bits, one for the table, one for the directory. */
    assert_bitmaps(CLUSTER, 3 * CLUSTER);
    assert_bitmaps(512, (4 + 1 + 1) * 512);
    assert_bitmaps(2 * MIB, 6 * MIB);
    /* For the same cluster size the directory is not read again. */
    set_size(&s, DIRECTORY);
    assert_bitmaps(2 * MIB, 6 * MIB);
}

/* Compares with sizes computed here. Extra data of entries is not counted: a new directory would
 * not have it. */
static void test_bitmaps_sizes(void **state)
{
    static const struct {
        uint8_t granularity_bits;
        uint16_t name_size;
        uint32_t extra;
    } maps[] = {{9, 1, 0}, {31, 1023, 0}, {16, 9, 13}, {16, 8, 500}, {20, 100, 0}};
    static const uint64_t targets_[] = {512, 4096, CLUSTER, 2 * MIB};
    uint64_t at = DIRECTORY;

    (void)state;
    make_bitmaps(COUNT(maps), 0);
    for (size_t i = 0; i < COUNT(maps); i++)
        bitmap(&at, maps[i].granularity_bits, maps[i].name_size, maps[i].extra);
    put_be(&s, FIRST + 16, 8, at - DIRECTORY);
    reopen(&s);
    for (size_t t = 0; t < COUNT(targets_); t++) {
        uint64_t cluster = targets_[t], sum = 0, directory = 0;

        for (size_t i = 0; i < COUNT(maps); i++) {
            uint64_t bytes =
                ((GIB + (UINT64_C(1) << maps[i].granularity_bits) - 1) >> maps[i].granularity_bits);
            uint64_t clusters = ((bytes + 7) / 8 + cluster - 1) / cluster;

            sum += clusters * cluster + (8 * clusters + cluster - 1) / cluster * cluster;
            directory += (24 + maps[i].name_size + UINT64_C(7)) / 8 * 8;
        }
        assert_bitmaps(cluster, sum + (directory + cluster - 1) / cluster * cluster);
    }
}

static void test_bitmaps_extension(void **state)
{
    static const struct defect defects[] = {
        {FIRST + 4, 4, 23, EUCLEAN, "length 23"},
        {FIRST + 4, 4, 25, EUCLEAN, "length 25"},
        {FIRST + 8, 4, 0, EUCLEAN, "nb_bitmaps 0"},
        {FIRST + 8, 4, 65536, EUCLEAN, "nb_bitmaps 65536"},
        {FIRST + 12, 4, 1, EUCLEAN, "reserved field 0x1 "},
        {FIRST + 12, 4, UINT32_C(1) << 31, EUCLEAN, "reserved field 0x80000000"},
        {FIRST + 16, 8, (64 << 20) + 1, EUCLEAN, "bitmap_directory_size 67108865"},
        {FIRST + 24, 8, DIRECTORY + 512, EUCLEAN, "bitmap_directory_offset 328192"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_bitmaps(1, 32);
        reopen(&s);
        put_be(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &qcow2_driver, defects[i].error, defects[i].words);
    }
    make_bitmaps(65535, 64 << 20);
    reopen(&s);
}

static const struct {
    uint64_t at;
    unsigned width;
    uint64_t value;
    const char *words;
} entry_defects[] = {
    {0, 8, 0, "bitmap_table_offset 0"},
    {0, 8, 9 * CLUSTER + 512, "bitmap_table_offset 590336"},
    {0, 8, UINT64_MAX, "bitmap_table_offset 18446744073709551615"},
    {8, 4, 0, "bitmap_table_size 0"},
    {8, 4, 8193, "bitmap_table_size 8193"},
    {8, 4, UINT32_MAX, "bitmap_table_size 4294967295"},
    {12, 4, 4, "flags 0x4"},
    {12, 4, UINT32_C(1) << 31, "flags 0x80000000"},
    {16, 1, 0, "type 0"},
    {16, 1, 2, "type 2"},
    {17, 1, 8, "granularity_bits 8"},
    {17, 1, 10, "bitmap_table_size 1 "}, /* covers 512 MiB of 1 GiB */
    {17, 1, 32, "granularity_bits 32"},
    {17, 1, 255, "granularity_bits 255"},
    {18, 2, 0, "name_size 0"},
    {18, 2, 1024, "name_size 1024"},
    {20, 4, 8, "entry 0"},
    {20, 4, UINT32_MAX, "entry 0"},
};

static void test_bitmaps_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(entry_defects); i++) {
        uint64_t at = DIRECTORY;

        make_bitmaps(1, 32);
        bitmap(&at, 16, 8, 0);
        reopen(&s);
        assert_bitmaps(CLUSTER, 3 * CLUSTER);
        put_be(&s, DIRECTORY + entry_defects[i].at, entry_defects[i].width, entry_defects[i].value);
        assert_bitmaps_fail(entry_defects[i].words);
    }
}

/* The longest table that is allowed, and one that just covers the disk. */
static void test_bitmaps_tables(void **state)
{
    uint64_t at = DIRECTORY;

    (void)state;
    make_bitmaps(1, 32);
    bitmap(&at, 11, 8, 0);
    put_be(&s, DIRECTORY + 8, 4, 1);
    reopen(&s);
    assert_bitmaps(CLUSTER, 3 * CLUSTER);
    put_be(&s, Q_L1_SIZE, 4, 3);
    put_be(&s, Q_SIZE, 8, GIB + 512);
    assert_bitmaps_fail("bitmap_table_size 1 ");
    put_be(&s, DIRECTORY + 8, 4, 2);
    reopen(&s);
    assert_bitmaps(CLUSTER, 4 * CLUSTER);
    put_be(&s, DIRECTORY + 8, 4, 8192);
    put_be(&s, DIRECTORY, 8, UINT64_C(1) << 40); /* past the end of the file, but not read */
    reopen(&s);
    assert_bitmaps(CLUSTER, 4 * CLUSTER);
}

/* The table of a bitmap in use need not cover the disk. Its other fields are checked. */
static void test_bitmaps_in_use(void **state)
{
    uint64_t at = DIRECTORY;

    (void)state;
    make_bitmaps(1, 32);
    bitmap(&at, 9, 8, 0);
    put_be(&s, DIRECTORY + 8, 4, 1);
    assert_bitmaps_fail("bitmap_table_size 1 ");
    put_be(&s, DIRECTORY + 12, 4, 1);
    reopen(&s);
    assert_bitmaps(CLUSTER, 6 * CLUSTER);
    put_be(&s, DIRECTORY + 12, 4, 3);
    reopen(&s);
    assert_bitmaps(CLUSTER, 6 * CLUSTER);
    put_be(&s, DIRECTORY + 8, 4, 0);
    assert_bitmaps_fail("bitmap_table_size 0");
    put_be(&s, DIRECTORY + 8, 4, 8193);
    assert_bitmaps_fail("bitmap_table_size 8193");
}

static void test_bitmaps_directory_ends(void **state)
{
    uint64_t at = DIRECTORY;

    (void)state;
    make_bitmaps(2, 63);
    bitmap(&at, 16, 8, 0);
    bitmap(&at, 16, 8, 0);
    assert_bitmaps_fail("bitmap directory entry 1");
    put_be(&s, FIRST + 16, 8, 32 + 23);
    assert_bitmaps_fail("bitmap directory entry 1");
    put_be(&s, FIRST + 16, 8, 0);
    assert_bitmaps_fail("bitmap directory entry 0");
    put_be(&s, FIRST + 16, 8, 64);
    reopen(&s);
    assert_bitmaps(CLUSTER, 5 * CLUSTER);
    put_be(&s, FIRST + 16, 8, 65);
    assert_bitmaps_fail("bitmap_directory_size 65 ");
    put_be(&s, FIRST + 16, 8, 64 << 20);
    assert_bitmaps_fail("bitmap_directory_size 67108864");
    /* A directory past the end of the file. */
    put_be(&s, FIRST + 24, 8, UINT64_C(1) << 40);
    assert_bitmaps_fail("entry 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_bitmaps),        cmocka_unit_test(test_bitmaps_size),
        cmocka_unit_test(test_bitmaps_sizes),     cmocka_unit_test(test_bitmaps_extension),
        cmocka_unit_test(test_bitmaps_directory), cmocka_unit_test(test_bitmaps_tables),
        cmocka_unit_test(test_bitmaps_in_use),    cmocka_unit_test(test_bitmaps_directory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
