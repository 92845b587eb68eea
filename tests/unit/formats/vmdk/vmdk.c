// SPDX-License-Identifier: Apache-2.0
/* vmdk: which headers and descriptors open accepts. */
#include "tests/support/vmdk-image.h"

static void test_open(void **state)
{
    (void)state;
    make_sparse(2);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 4 << 20);
    assert_string_equal(s.disk.subformat, "monolithicSparse");
    assert_int_equal(s.disk.references_count, 0);
    assert_string_equal(image_problems(s.img), "");
    assert_true(image_bytes_read(s.img) < 16 << 10);
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
    put_le(&s, 20, 8, 0); /* the rest of the header in front is ignored */
    put_le(&s, 4, 4, 9);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.virtual_size, 2 << 20);
    assert_int_equal(at(3 * GRAIN, 0).kind, EXTENT_DATA);
    set_size(&s, 63 * SECTOR - 100);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    set_size(&s, 63 * SECTOR + 1);
    assert_refused(&s, &vmdk_driver, EUCLEAN, "footer marker");
    set_size(&s, SECTOR);
    assert_refused(
        &s, &vmdk_driver, EUCLEAN,
        "vmdk: gdOffset is 2^64 - 1, which requires a footer, but the file has only 512 bytes");
}

static void test_bad_footers(void **state)
{
    static const struct defect defects[] = {
        {12, 4, 2, EUCLEAN, "footer marker"},
        {8, 4, 1, EUCLEAN, "footer marker"},
        {SECTOR, 1, 'X', EUCLEAN, "KDMV"},
        {SECTOR + 56, 8, UINT64_MAX, EUCLEAN, "gdOffset of the footer"},
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
        {20, 8, 1 << 22, EFBIG, "grainSize 4194304"},
        {20, 8, UINT64_MAX, EUCLEAN, "grainSize 18446744073709551615"},
        {44, 4, 0, EUCLEAN, "numGTEsPerGT 0"},
        {44, 4, 513, EUCLEAN, "numGTEsPerGT 513"},
        {44, 4, UINT32_MAX, EUCLEAN, "numGTEsPerGT 4294967295"},
        {12, 8, UINT64_C(1) << 63, EFBIG, "capacity 9223372036854775808"},
        {12, 8, UINT64_MAX, EFBIG, "capacity 18446744073709551615"},
        {12, 8, (UINT64_C(32) << 20) * 512 * 8 + 1, EFBIG, "capacity 137438953473"},
        {56, 8, UINT64_C(1) << 55, EUCLEAN, "gdOffset 36028797018963968"},
        {56, 8, UINT64_C(1) << 54, EUCLEAN, "gdOffset 18014398509481984"},
        {64, 8, 1000, EUCLEAN, "overHead 1000"},
        {77, 2, 2, ENOTSUP, "compressAlgorithm 2"},
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
    assert_refused(&s, &vmdk_driver, EUCLEAN, "rgdOffset 18446744073709551615");
}

static void test_parent(void **state)
{
    static const char key[] = "parentFileNameHint=\"base.vmdk\"\n";

    (void)state;
    make_sparse(1);
    gte(0, 0, 99);
    put_text(&s, SECTOR + sizeof base - 1, key);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "base.vmdk");
    put_text(&s, SECTOR + sizeof base - 2, "#"); /* qemu searches comments, too */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "base.vmdk");
    put_text(&s, SECTOR + sizeof base - 1 + sizeof key - 3, " ");
    assert_refused(&s, &vmdk_driver, EUCLEAN, "parentFileNameHint");
    put(&s, SECTOR + sizeof base - 1, "", 1);
    put_text(&s, SECTOR + 55, "1");
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "");
    assert_string_equal(s.disk.backing_reference->source, "parentCID");
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
    put_le(&s, 28, 8, 1 << 20); /* past the end: the text behind the header is used */
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.subformat, "monolithicSparse");
    put(&s, SECTOR, "", 1);
    assert_refused(&s, &vmdk_driver, ENOTSUP, "embedded descriptor");
}

static void test_capacity_zero(void **state)
{
    static const char line[] = "RW 8 FLAT \"x\" 0\n";
    static char more[1 << 20];

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
    ASSERT_REFERENCE(0, REFERENCE_DATA, "extent", "x");
    assert_string_equal(image_problems(s.img), "");
    memset(more, '#', sizeof more);
    put(&s, SECTOR + sizeof flat - 1 + sizeof line - 1, more, sizeof more);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_reported(s.img, "1048575 bytes");
}

/* A COWD extent by itself needs an embedded descriptor, a seSparse extent none. */
static void test_lone_extents(void **state)
{
    static const char text[] = DESCRIPTOR("vmfsSparse");

    (void)state;
    make_cowd(1);
    assert_refused(&s, &vmdk_driver, ENOTSUP, "embedded descriptor");
    assert_string_equal(s.disk.subformat, "vmfsSparse");
    put(&s, SECTOR, text, sizeof text);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_null(s.disk.backing_reference);
    put_text(&s, SECTOR + 55, "1");
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "");
    assert_string_equal(s.disk.backing_reference->source, "parentCID");
    assert_stream_fails(&s, 0, EACCES, "parentCID");
    make_sesparse(1);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.subformat, "seSparse");
    assert_null(s.disk.backing_reference);
    assert_reported(s.img, "descriptor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_footer),
        cmocka_unit_test(test_bad_footers),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_redundant_directory),
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_embedded_descriptor),
        cmocka_unit_test(test_capacity_zero),
        cmocka_unit_test(test_lone_extents),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
