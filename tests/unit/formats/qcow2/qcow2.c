// SPDX-License-Identifier: Apache-2.0
/* qcow2: rules of header fields, with one defect at a time, and the limits of valid values. */
#include "tests/support/header-fields.h"
#include "tests/support/qcow2-image.h"

#include <unistd.h>

#include "detect/detect.h"

enum { CLUSTER = 65536 };

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_open(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    reopen(&s);
    assert_int_equal(s.disk.virtual_size, GIB);
    assert_string_equal(s.disk.subformat, "v3");
    assert_int_equal(s.disk.references_count, 0);
    assert_string_equal(image_problems(s.img), "");
    assert_true(image_bytes_read(s.img) <= 8192);
    put_be(&s, Q_VERSION, 4, 2);
    reopen(&s);
    assert_string_equal(s.disk.subformat, "v2");
    ASSERT_EXTENTS(&s, 0, HOLE(GIB));
}

static void test_probe(void **state)
{
    static const struct {
        uint32_t version;
        const struct format_driver *driver;
    } cases[] = {{0, &raw_driver},   {1, &qcow_driver},  {2, &qcow2_driver},
                 {3, &qcow2_driver}, {4, &qcow2_driver}, {UINT32_MAX, &qcow2_driver}};
    struct detection d;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        sample_begin(&s);
        put_text(&s, 0, "QFI\xfb");
        put_be(&s, Q_VERSION, 4, cases[i].version);
        sample_session(&s);
        assert_int_equal(detect(s.img, NULL, &d), 0);
        assert_ptr_equal(d.driver, cases[i].driver);
    }
    /* Eight bytes contain the version. A missing byte reads as 0, so with seven it is 0. */
    put_be(&s, Q_VERSION, 4, 3);
    set_size(&s, 8);
    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    assert_ptr_equal(d.driver, &qcow2_driver);
    set_size(&s, 7);
    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    assert_ptr_equal(d.driver, &raw_driver);
}

/* Defects of one field each, in an image of 1 GiB with clusters of 64 KiB and two L1 entries. */
static const struct {
    uint64_t at;
    unsigned width;
    uint64_t value;
    int error;
    const char *words;
} defects[] = {
    {Q_VERSION, 4, 4, ENOTSUP, "version 4"},
    {Q_VERSION, 4, 99, ENOTSUP, "version 99"},
    {Q_CLUSTER_BITS, 4, 8, EUCLEAN, "cluster_bits 8 "},
    {Q_CLUSTER_BITS, 4, 22, EUCLEAN, "cluster_bits 22 "},
    {Q_CLUSTER_BITS, 4, 63, EUCLEAN, "cluster_bits 63 "},
    {Q_CLUSTER_BITS, 4, UINT32_MAX, EUCLEAN, "cluster_bits 4294967295 "},
    {Q_CRYPT, 4, 3, ENOTSUP, "crypt_method 3"},
    {Q_CRYPT, 4, UINT32_MAX, ENOTSUP, "crypt_method"},
    {Q_BACKING_OFFSET, 8, CLUSTER + 1, EUCLEAN, "backing_file_offset 65537"},
    {Q_BACKING_OFFSET, 8, UINT64_MAX, EUCLEAN, "backing_file_offset 18446744073709551615"},
    {Q_INCOMPATIBLE, 8, 1 << 5, ENOTSUP, "features 0x20"},
    {Q_INCOMPATIBLE, 8, UINT64_C(1) << 63, ENOTSUP, "features 0x8000000000000000"},
    {Q_INCOMPATIBLE, 8, 1 << 3, EUCLEAN, "compression_type 0"},
    {Q_HEADER_LENGTH, 4, 0, EUCLEAN, "header_length 0"},
    {Q_HEADER_LENGTH, 4, 72, EUCLEAN, "header_length 72"},
    {Q_HEADER_LENGTH, 4, 103, EUCLEAN, "header_length 103"},
    {Q_HEADER_LENGTH, 4, CLUSTER + 1, EUCLEAN, "header_length 65537"},
    {Q_REFCOUNT_ORDER, 4, 7, EUCLEAN, "refcount_order 7"},
    {Q_REFCOUNT_ORDER, 4, UINT32_MAX, EUCLEAN, "refcount_order"},
    {Q_SIZE, 8, GIB + 1, EUCLEAN, "size 1073741825"},
    {Q_SIZE, 8, UINT64_C(1) << 50, EUCLEAN, "l1_size 2"},
    {Q_SIZE, 8, INT64_MAX, EFBIG, "size 9223372036854775807"},
    {Q_SIZE, 8, UINT64_C(1) << 63, EFBIG, "size 9223372036854775808"},
    {Q_SIZE, 8, UINT64_MAX, EFBIG, "size 18446744073709551615"},
    {Q_L1_SIZE, 4, 0, EUCLEAN, "l1_size 0"},
    {Q_L1_SIZE, 4, 1, EUCLEAN, "l1_size 1"},
    {Q_L1_SIZE, 4, (4 << 20) + 1, EFBIG, "L1 table of 33554440 bytes"},
    {Q_L1_SIZE, 4, UINT32_MAX, EFBIG, "L1 table of 34359738360 bytes"},
    {Q_L1_OFFSET, 8, CLUSTER + 512, EUCLEAN, "L1 table offset 66048"},
    {Q_L1_OFFSET, 8, 1, EUCLEAN, "L1 table offset 1 "},
    {Q_L1_OFFSET, 8, UINT64_C(1) << 63, EUCLEAN, "L1 table offset"},
    {Q_REFCOUNT_TABLE_CLUSTERS, 4, 0, EUCLEAN, "refcount_table_clusters 0"},
    {Q_REFCOUNT_TABLE_CLUSTERS, 4, 129, EFBIG, "refcount table of 8454144 bytes"},
    {Q_REFCOUNT_TABLE_CLUSTERS, 4, UINT32_MAX, EFBIG, "refcount table"},
    {Q_REFCOUNT_TABLE_OFFSET, 8, 512, EUCLEAN, "refcount table offset 512"},
    {Q_REFCOUNT_TABLE_OFFSET, 8, UINT64_MAX - 65535, EUCLEAN, "refcount table offset"},
    {Q_SNAPSHOTS, 4, 65537, EFBIG, "nb_snapshots 65537"},
    {Q_SNAPSHOTS_OFFSET, 8, 512, EUCLEAN, "snapshot table offset 512"},
    {Q_SNAPSHOTS_OFFSET, 8, UINT64_C(1) << 63, EUCLEAN, "snapshot table offset"},
    {Q_AUTOCLEAR, 8, 2, EUCLEAN, "raw-external-data"},
};

static void test_defects(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_qcow2(&s, GIB, 16);
        put_be(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &qcow2_driver, defects[i].error, defects[i].words);
    }
}

/* Limits of valid values, and values that do not matter for reading. */
static void test_allowed(void **state)
{
    static const struct {
        uint64_t at;
        unsigned width;
        uint64_t value;
    } values[] = {
        {Q_CRYPT, 4, 1},
        {Q_CRYPT, 4, 2},
        {Q_BACKING_OFFSET, 8, CLUSTER},
        {Q_INCOMPATIBLE, 8, 3},
        {Q_HEADER_LENGTH, 4, 112},
        {Q_HEADER_LENGTH, 4, CLUSTER},
        {Q_REFCOUNT_ORDER, 4, 0},
        {Q_REFCOUNT_ORDER, 4, 6},
        {Q_L1_SIZE, 4, 4 << 20},
        {Q_L1_OFFSET, 8, 0},
        {Q_L1_OFFSET, 8, UINT64_C(1) << 60},
        {Q_REFCOUNT_TABLE_CLUSTERS, 4, 128},
        {Q_REFCOUNT_TABLE_OFFSET, 8, 0},
        {Q_REFCOUNT_TABLE_OFFSET, 8, UINT64_C(1) << 60},
        {Q_SNAPSHOTS, 4, 65536},
        {76, 4, 1},              /* the dirty bit */
        {80, 8, UINT64_MAX},     /* compatible features */
        {88, 8, UINT64_MAX - 2}, /* autoclear features except the raw data file */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        make_qcow2(&s, GIB, 16);
        put_be(&s, values[i].at, values[i].width, values[i].value);
        reopen(&s);
        assert_int_equal(s.disk.virtual_size, GIB);
    }
}

/* Version 2 ignores the fields of version 3. */
static void test_version_2(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_VERSION, 4, 2);
    put_be(&s, Q_INCOMPATIBLE, 8, 0);
    put_be(&s, Q_REFCOUNT_ORDER, 4, 99);
    put_be(&s, Q_HEADER_LENGTH, 4, 1);
    reopen(&s);
}

static void test_cluster_bits(void **state)
{
    (void)state;
    for (unsigned bits = 9; bits <= 21; bits++) {
        make_qcow2(&s, 3 * MIB, bits);
        reopen(&s);
        ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(3 * MIB));
    }
}

static void test_file_size(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    set_size(&s, 104);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, HOLE(GIB));
    set_size(&s, 103);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header (104");
    set_size(&s, 72);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header (104");
    put_be(&s, Q_VERSION, 4, 2);
    reopen(&s);
    set_size(&s, 71);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header (72");
    set_size(&s, 0);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header");
}

static void test_virtual_size(void **state)
{
    (void)state;
    make_qcow2(&s, 1000001, 16);
    reopen(&s);
    assert_int_equal(s.disk.virtual_size, 999936);
    put_be(&s, Q_SIZE, 8, 511);
    reopen(&s);
    assert_int_equal(s.disk.virtual_size, 0);
    assert_extents(&s, 0, NULL, 0);
    put_be(&s, Q_SIZE, 8, 0);
    put_be(&s, Q_L1_SIZE, 4, 0);
    reopen(&s);
    assert_int_equal(s.disk.virtual_size, 0);
    /* The largest size that an L1 table of 32 MiB maps: 2 EiB with the largest clusters. */
    make_qcow2(&s, 0, 21);
    put_be(&s, Q_SIZE, 8, UINT64_C(1) << 61);
    put_be(&s, Q_L1_SIZE, 4, 4 << 20);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(UINT64_C(1) << 61));
    put_be(&s, Q_SIZE, 8, (UINT64_C(1) << 61) + 1);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "l1_size 4194304");
}

static void test_snapshots(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_SNAPSHOTS, 4, 1);
    put_be(&s, Q_SNAPSHOTS_OFFSET, 8, CLUSTER);
    reopen(&s);
    put_be(&s, Q_SNAPSHOTS_OFFSET, 8, CLUSTER + 1);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "snapshot table offset 65537");
}

static void test_compression_type(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    /* The field exists only if the header is longer than its offset. */
    put_be(&s, Q_COMPRESSION_TYPE, 1, 9);
    put_be(&s, Q_HEADER_LENGTH, 4, 105);
    assert_refused(&s, &qcow2_driver, ENOTSUP, "compression_type 9");
    put_be(&s, Q_COMPRESSION_TYPE, 1, 1);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "compression_type 1");
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 3);
    reopen(&s);
    put_be(&s, Q_COMPRESSION_TYPE, 1, 0);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "compression_type 0");
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_COMPRESSION_TYPE, 8, UINT64_C(1) << 56); /* the first extension: an unknown one */
    reopen(&s);
}

static void test_extended_l2(void **state)
{
    (void)state;
    make_qcow2(&s, MIB, 13);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 4);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "cluster_bits 13");
    make_qcow2(&s, 16 * MIB, 14);
    reopen(&s);
    /* Entries are twice as long, so a table maps half as many bytes. */
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 4);
    reopen(&s);
    put_be(&s, Q_SIZE, 8, 16 * MIB + 1);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "l1_size 1 ");
}

static void backing(uint64_t offset, uint32_t size)
{
    put_be(&s, Q_BACKING_OFFSET, 8, offset);
    put_be(&s, Q_BACKING_SIZE, 4, size);
}

static void test_backing(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_text(&s, 512, "/var/ba\nse\xff.img");
    backing(512, 15);
    reopen(&s);
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "backing file", "/var/ba\nse\xff.img");
    assert_int_equal(s.disk.references_count, 1);
    backing(512, 0);
    reopen(&s);
    assert_null(s.disk.backing_reference);
    backing(0, 15);
    reopen(&s);
    assert_null(s.disk.backing_reference);
}

static void test_backing_limits(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put(&s, CLUSTER - 1023, memset((char[1023]){0}, '\n', 1023), 1023);
    backing(CLUSTER - 1023, 1023);
    reopen(&s);
    assert_int_equal(s.disk.backing_reference->length, 1023);
    backing(CLUSTER - 1022, 1023);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "backing file name (1023");
    backing(512, 1024);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "backing file name (1024");
    backing(512, UINT32_MAX);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "backing file name (4294967295");
    backing(CLUSTER, 1);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "backing file name (1 ");
}

static void test_fields_v3(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_BACKING_OFFSET, 8, 1000);
    put_be(&s, Q_BACKING_SIZE, 4, 1001);
    put_be(&s, Q_CRYPT, 4, 1002);
    put_be(&s, Q_REFCOUNT_TABLE_CLUSTERS, 4, 1003);
    put_be(&s, Q_SNAPSHOTS, 4, 1004);
    put_be(&s, Q_SNAPSHOTS_OFFSET, 8, 1005);
    put_be(&s, Q_INCOMPATIBLE, 8, UINT64_C(0x800000000000001f));
    put_be(&s, Q_INCOMPATIBLE + 8, 8, 3);
    put_be(&s, Q_AUTOCLEAR, 8, 7);
    put_be(&s, Q_REFCOUNT_ORDER, 4, 5);
    put_be(&s, Q_COMPRESSION_TYPE, 1, 200);
    assert_refused(&s, &qcow2_driver, ENOTSUP, "crypt_method");
    ASSERT_FIELDS(&s, "", "magic", "514649fb", "version", "3", "backing_file_offset", "1000",
                  "backing_file_size", "1001", "cluster_bits", "16", "size", "1073741824",
                  "crypt_method", "1002", "l1_size", "2", "l1_table_offset", "65536",
                  "refcount_table_offset", "131072", "refcount_table_clusters", "1003",
                  "nb_snapshots", "1004", "snapshots_offset", "1005", "incompatible_features",
                  "dirty corrupt external-data-file compression-type extended-l2 bit-63",
                  "compatible_features", "lazy-refcounts bit-1", "autoclear_features",
                  "bitmaps raw-external-data bit-2", "refcount_order", "5", "header_length", "104");
    /* The field is past the header's end until header_length includes it. */
    assert_field_fails(&s, "", "compression_type", ENOENT);
    put_be(&s, Q_HEADER_LENGTH, 4, 105);
    open_whatever(&s, &qcow2_driver);
    assert_field(&s, "", "compression_type", "200");
    put_be(&s, Q_HEADER_LENGTH, 4, UINT32_MAX);
    put_be(&s, Q_INCOMPATIBLE, 8, 0);
    open_whatever(&s, &qcow2_driver);
    assert_field(&s, "", "compression_type", "200");
    assert_field(&s, "", "header_length", "4294967295");
    assert_field(&s, "", "incompatible_features", "none");
    /* A header_length that is too short does not hide fields of version 3. */
    put_be(&s, Q_HEADER_LENGTH, 4, 72);
    open_whatever(&s, &qcow2_driver);
    assert_field(&s, "", "refcount_order", "5");
    assert_field_fails(&s, "", "compression_type", ENOENT);
}

static void test_fields_v2(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_VERSION, 4, 2);
    open_whatever(&s, &qcow2_driver);
    ASSERT_FIELDS(&s, "", "version", "2", "snapshots_offset", "0");
    assert_field_fails(&s, "", "incompatible_features", ENOENT);
    assert_field_fails(&s, "", "header_length", ENOENT);
    assert_field_fails(&s, "", "compression_type", ENOENT);
    assert_string_equal(image_problems(s.img), "");
}

/* A file that ends inside the header. */
static void test_fields_of_short_file(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    set_size(&s, 8);
    open_whatever(&s, &qcow2_driver);
    assert_field(&s, "", "version", "3");
    assert_field_fails(&s, "", "backing_file_offset", EUCLEAN);
    assert_reported(s.img, "header (72 bytes at offset 0)");
    assert_string_equal(strchr(image_problems(s.img), '\n'), "\n"); /* reported once */
    set_size(&s, 32);
    open_whatever(&s, &qcow2_driver);
    assert_field(&s, "", "size", "0");
    assert_field_fails(&s, "", "crypt_method", EUCLEAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),           cmocka_unit_test(test_probe),
        cmocka_unit_test(test_defects),        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_version_2),      cmocka_unit_test(test_cluster_bits),
        cmocka_unit_test(test_file_size),      cmocka_unit_test(test_virtual_size),
        cmocka_unit_test(test_snapshots),      cmocka_unit_test(test_compression_type),
        cmocka_unit_test(test_extended_l2),    cmocka_unit_test(test_backing),
        cmocka_unit_test(test_backing_limits), cmocka_unit_test(test_fields_v3),
        cmocka_unit_test(test_fields_v2),      cmocka_unit_test(test_fields_of_short_file),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
