// SPDX-License-Identifier: Apache-2.0
/* VHDX: which headers, region tables and metadata open accepts. */
#include "tests/support/vhdx-image.h"

#include <errno.h>
#include <string.h>

static void test_open(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(s.disk.virtual_size, 64 * MIB);
    assert_string_equal(s.disk.subformat, "dynamic");
    assert_int_equal(s.disk.references_count, 0);
    assert_string_equal(image_problems(s.img), "");
    assert_true(image_bytes_read(s.img) < 80 << 10);
    put_le(&s, PARAMETERS + 4, 4, 1);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_string_equal(s.disk.subformat, "fixed");
}

static void test_sizes(void **state)
{
    (void)state;
    make_vhdx(&s, 1000, MIB, 512);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(s.disk.virtual_size, 512);
    assert_reported(s.img, "virtual disk size 1000");
    make_vhdx(&s, UINT64_C(64) << 40, 256 * MIB, 4096);
    put_le(&s, REGIONS + 32, 8, 8 * MIB);
    put_le(&s, REGIONS + 40, 4, 3 * MIB);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "the BAT (");
    set_size(&s, 11 << 20);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(s.disk.virtual_size, UINT64_C(64) << 40);
    put_le(&s, DISK_SIZE, 8, (UINT64_C(64) << 40) + 4096);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "virtual disk size 70368744181760");
}

/* Images with one defect each, and right checksums. */
static const struct defect defects[] = {
    {0, 1, 'V', EUCLEAN, "vhdx: the file does not begin with \"vhdxfile\""},
    {HEADER2 + 64, 2, 1, ENOTSUP, "log version 1"},
    {HEADER2 + 72, 8, 0, EUCLEAN, "log offset 0"},
    {HEADER2 + 72, 8, LOG + 512, EUCLEAN, "log offset 1049088"},
    {HEADER2 + 72, 8, UINT64_C(0xfffffffffff00000), EUCLEAN, "log offset 18446744073708503040"},
    {HEADER2 + 68, 4, 2 << 20, EUCLEAN, "region 0 (2097152 bytes at offset 2097152)"},
    {REGIONS, 1, 'R', EUCLEAN, "region table has no signature"},
    {REGIONS + 8, 4, 2048, EUCLEAN, "2048 entries"},
    {REGIONS + 8, 4, 0, EUCLEAN, "no BAT region"},
    {REGIONS + 8, 4, 1, EUCLEAN, "no metadata region"},
    {REGIONS + 16, 1, 0, ENOTSUP, "region 0 is required"},
    {REGIONS + 31, 1, 0, ENOTSUP, "region 0 is required"},
    {REGIONS + 32, 8, BAT + 4096, EUCLEAN, "BAT region offset 2101248"},
    {REGIONS + 32, 8, 0, EUCLEAN, "region 0 (2097152 bytes at offset 0)"},
    {REGIONS + 32, 8, METADATA, EUCLEAN, "region 1 (1048576 bytes at offset 4194304)"},
    {REGIONS + 32, 8, UINT64_C(0xfffffffffff00000), EUCLEAN, "2^64"},
    {REGIONS + 32, 8, 1 << 30, EUCLEAN, "offset 1073741824"},
    {REGIONS + 40, 4, 56, EUCLEAN, "BAT region of 56 bytes"},
    {REGIONS + 64, 8, 1 << 30, EUCLEAN, "metadata table (32 bytes at offset 1073741824)"},
    {METADATA, 1, 'M', EUCLEAN, "metadata table has no signature"},
    {METADATA + 10, 2, 2048, EUCLEAN, "2048 entries"},
    {METADATA + 10, 2, 4, EUCLEAN, "no item \"physical sector size\""},
    {METADATA + 32, 1, 0, ENOTSUP, "item 0 is required"},
    {METADATA + 48, 4, 0xffff, EUCLEAN, "\"file parameters\""},
    {METADATA + 48, 4, 0xffff9, EUCLEAN, "\"file parameters\""},
    {METADATA + 48, 4, UINT32_MAX, EUCLEAN, "\"file parameters\""},
    {METADATA + 52, 4, 7, EUCLEAN, "length 7,"},
    {METADATA + 52, 4, UINT32_MAX, EUCLEAN, "length 4294967295"},
    {PARAMETERS, 4, 0, EUCLEAN, "block size 0"},
    {PARAMETERS, 4, 513, EUCLEAN, "block size 513"},
    {PARAMETERS, 4, 3 << 20, EUCLEAN, "block size 3145728"},
    {PARAMETERS, 4, 1 << 19, EUCLEAN, "block size 524288"},
    {PARAMETERS, 4, 1 << 29, EUCLEAN, "block size 536870912"},
    {PARAMETERS + 4, 4, 2, EUCLEAN, "no parent locator"},
    {LOGICAL_SECTOR, 4, 513, EUCLEAN, "logical sector size 513"},
    {LOGICAL_SECTOR, 4, 0, EUCLEAN, "logical sector size 0"},
    {DISK_SIZE, 8, 0, EUCLEAN, "virtual disk size 0"},
    {DISK_SIZE, 8, UINT64_MAX, EUCLEAN, "virtual disk size 18446744073709551615"},
    {DISK_SIZE, 8, 3 * 1024 * GIB, EUCLEAN, "393983 entries"},
};

static void test_defects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
        assert_int_equal(sample_open(&s, &vhdx_driver), 0);
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        seal_all(&s);
        assert_refused(&s, &vhdx_driver, defects[i].error, defects[i].words);
    }
}

static void test_headers(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, HEADER1 + 4, 1, 0);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_reported(s.img, "header 1");
    put_le(&s, HEADER2 + 66, 2, 2);
    seal(&s, HEADER2, 4096);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "version 1");
    put_text(&s, HEADER2, "dead");
    assert_refused(&s, &vhdx_driver, EUCLEAN, "the second has no signature");

    /* The first header has an unknown log version, but is used only if its number is higher. */
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, HEADER1 + 64, 2, 1);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, HEADER1 + 8, 8, 3);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, ENOTSUP, "log version 1");
    put_le(&s, HEADER1 + 8, 8, 2);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "sequence number 2");
    put_le(&s, HEADER1 + 64, 2, 0);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
}

static void test_region_checksum(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, REGIONS + 65535, 1, 1);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "region table");
}

static void test_unknown_regions(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, REGIONS + 8, 4, 2047);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, REGIONS + 80, 1, 1);
    put_le(&s, REGIONS + 80 + 16, 8, METADATA + MIB);
    put_le(&s, REGIONS + 80 + 24, 4, MIB);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, REGIONS + 80 + 16, 8, LOG);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "region 2");
    put_le(&s, REGIONS + 8, 4, 3);
    put_guid(&s, REGIONS + 80, 0x4200f6232dc27766, 0x084afd9b5e11649d);
    put_le(&s, REGIONS + 80 + 16, 8, 16 * MIB);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "two BAT regions");
}

static void test_items(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, METADATA + 10, 2, 6);
    put_item(&s, 5, 1, 1, 0, 8);
    assert_refused(&s, &vhdx_driver, ENOTSUP, "item 5 is required");
    put_le(&s, METADATA + 32 + 32 * 5 + 24, 4, 3);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_item(&s, 5, 0x4d43fa36caa16737, 0x6be744aaf033b6b3, 0, 8);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "two items \"file parameters\"");
    put_item(&s, 5, 0x454db30ba8d35f2d, 0x0cab3448d8d3f7ab, 64, 20);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "parent locator but no parent");
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    set_size(&s, DISK_SIZE + 7);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "metadata item (8 bytes");
}

/* All bytes of a GUID are compared. */
static void test_guid_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
        put_le(&s, REGIONS + 48 + i, 1, 0);
        if (sample_open(&s, &vhdx_driver) == 0)
            fail_msg("byte %u of the metadata GUID is ignored", i);
        put_le(&s, METADATA + 32 + i, 1, 0);
        put_guid(&s, REGIONS + 48, 0x4b9a47908b7ca206, 0x6e880f055f57feb8);
        seal_all(&s);
        assert_refused(&s, &vhdx_driver, ENOTSUP, "item 0 is required");
    }
}

static void test_log(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, HEADER2 + 63, 1, 1);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_text(&s, LOG + 40960, "loge");
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, LOG + 40960 + 32 + 15, 1, 1);
    assert_refused(&s, &vhdx_driver, ENOTSUP, "replayed");
    put_text(&s, LOG + 40960, "data");
    put_text(&s, LOG + 512, "loge");
    put_le(&s, LOG + 512 + 32 + 15, 1, 1);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_text(&s, LOG + 0xff000, "loge");
    put_le(&s, LOG + 0xff000 + 32 + 15, 1, 1);
    assert_refused(&s, &vhdx_driver, ENOTSUP, "replayed");
    put_le(&s, HEADER2 + 63, 1, 0);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
}

static void test_log_place(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, HEADER2 + 72, 8, GIB);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, HEADER2 + 48, 1, 1);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "the log (");
    put_le(&s, HEADER2 + 68, 4, 4097);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EUCLEAN, "log length 4097");
    put_le(&s, HEADER2 + 68, 4, 0);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
}

/* The limit applies only to a log in use. */
static void test_log_length(void **state)
{
    (void)state;
    make_vhdx(&s, 64 * MIB, 8 * MIB, 512);
    put_le(&s, HEADER2 + 72, 8, 5 * MIB);
    put_le(&s, HEADER2 + 68, 4, 65 * MIB);
    seal_all(&s);
    set_size(&s, 70 * MIB);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_le(&s, HEADER2 + 48, 1, 1);
    seal_all(&s);
    assert_refused(&s, &vhdx_driver, EFBIG, "vhdx: log length 68157440 is more than 64 MiB");
    put_le(&s, HEADER2 + 68, 4, 64 * MIB);
    seal_all(&s);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    put_text(&s, 69 * MIB - 4096, "loge");
    put_le(&s, 69 * MIB - 4096 + 32, 1, 1);
    assert_refused(&s, &vhdx_driver, ENOTSUP, "replayed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_defects),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_region_checksum),
        cmocka_unit_test(test_unknown_regions),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_guid_bytes),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_place),
        cmocka_unit_test(test_log_length),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
