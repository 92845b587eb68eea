// SPDX-License-Identifier: Apache-2.0
/* qed: the rules of the header, every kind of table entry, runs, and tables of all sizes. */
#include <errno.h>
#include <string.h>

#include "formats/fields.h"
#include "tests/support/support.h"

enum {
    AT_CLUSTER_SIZE = 4,
    AT_TABLE_SIZE = 8,
    AT_HEADER_SIZE = 12,
    AT_FEATURES = 16,
    AT_COMPAT = 24,
    AT_AUTOCLEAR = 32,
    AT_L1_OFFSET = 40,
    AT_IMAGE_SIZE = 48,
    AT_BACKING_OFFSET = 56,
    AT_BACKING_SIZE = 60,

    CLUSTER = 4096,
    L1_AT = CLUSTER,
    TABLE_BYTES = 2 * CLUSTER,
    TABLE_MAPS = 4 << 20,
    L2_AT = L1_AT + TABLE_BYTES, /* the first L2 table */
};

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Clusters of 4 KiB and tables of two; the file has 256 clusters. */
static void make(uint64_t size)
{
    sample_begin(&s);
    put_text(&s, 0, "QED");
    put_le(&s, AT_CLUSTER_SIZE, 4, CLUSTER);
    put_le(&s, AT_TABLE_SIZE, 4, 2);
    put_le(&s, AT_HEADER_SIZE, 4, 1);
    put_le(&s, AT_L1_OFFSET, 8, L1_AT);
    put_le(&s, AT_IMAGE_SIZE, 8, size);
    set_size(&s, MIB);
}

static void l1(uint64_t index, uint64_t offset)
{
    put_le(&s, L1_AT + 8 * index, 8, offset);
}

/* Sets an entry of the L2 tables, which are adjacent from L2_AT on. */
static void l2(uint64_t cluster, uint64_t entry)
{
    put_le(&s, L2_AT + 8 * cluster, 8, entry);
}

static void reopen(void)
{
    if (sample_open(&s, &qed_driver) != 0)
        fail_msg("refused: %s", image_problems(s.img));
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {0, 1, 'R', EUCLEAN, "magic 0x52454400"},
        {3, 1, 1, EUCLEAN, "magic 0x51454401"},
        {AT_FEATURES, 8, 8, ENOTSUP, "bits 0x8"},
        {AT_FEATURES, 8, UINT64_MAX, ENOTSUP, "bits 0xfffffffffffffff8"},
        {AT_CLUSTER_SIZE, 4, 0, EUCLEAN, "cluster_size 0"},
        {AT_CLUSTER_SIZE, 4, 2048, EUCLEAN, "cluster_size 2048"},
        {AT_CLUSTER_SIZE, 4, 12288, EUCLEAN, "cluster_size 12288"},
        {AT_CLUSTER_SIZE, 4, 128 << 20, EUCLEAN, "cluster_size 134217728"},
        {AT_CLUSTER_SIZE, 4, UINT32_MAX, EUCLEAN, "cluster_size 4294967295"},
        {AT_TABLE_SIZE, 4, 0, EUCLEAN, "table_size 0"},
        {AT_TABLE_SIZE, 4, 3, EUCLEAN, "table_size 3"},
        {AT_TABLE_SIZE, 4, 32, EUCLEAN, "table_size 32"},
        {AT_TABLE_SIZE, 4, UINT32_MAX, EUCLEAN, "table_size 4294967295"},
        {AT_HEADER_SIZE, 4, 1 << 20, EUCLEAN, "header_size 1048576"},
        {AT_HEADER_SIZE, 4, UINT32_MAX, EUCLEAN, "header_size 4294967295"},
        {AT_HEADER_SIZE, 4, 2, EUCLEAN, "L1 table at offset 4096"},
        {AT_L1_OFFSET, 8, 0, EUCLEAN, "L1 table at offset 0"},
        {AT_L1_OFFSET, 8, 4097, EUCLEAN, "L1 table at offset 4097"},
        {AT_L1_OFFSET, 8, MIB - CLUSTER, EUCLEAN, "L1 table at offset 1044480"},
        {AT_L1_OFFSET, 8, MIB, EUCLEAN, "L1 table at offset 1048576"},
        {AT_L1_OFFSET, 8, UINT64_MAX - CLUSTER + 1, EUCLEAN,
         "L1 table at offset 18446744073709547520"},
        {AT_IMAGE_SIZE, 8, 511, EUCLEAN, "image_size 511"},
        {AT_IMAGE_SIZE, 8, 4 * GIB + 512, EFBIG, "image_size 4294967808"},
        {AT_IMAGE_SIZE, 8, UINT64_MAX - 511, EFBIG, "image_size 18446744073709551104"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make(4 * TABLE_MAPS);
        reopen();
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &qed_driver, defects[i].error, defects[i].words);
    }
}

/* The smallest and largest values that are accepted. */
static void test_header_edges(void **state)
{
    static const struct defect edges[] = {
        {AT_FEATURES, 8, 7, 0, NULL},
        {AT_COMPAT, 8, UINT64_MAX, 0, NULL},
        {AT_AUTOCLEAR, 8, UINT64_MAX, 0, NULL},
        {AT_CLUSTER_SIZE, 4, 8192, 0, NULL}, /* the L1 table moves with it */
        {AT_TABLE_SIZE, 4, 1, 0, NULL},
        {AT_TABLE_SIZE, 4, 16, 0, NULL},
        {AT_HEADER_SIZE, 4, 0, 0, NULL},
        {AT_L1_OFFSET, 8, MIB - TABLE_BYTES, 0, NULL},
        {AT_IMAGE_SIZE, 8, 0, 0, NULL},
        {AT_IMAGE_SIZE, 8, 512, 0, NULL},
        {AT_IMAGE_SIZE, 8, 4 * GIB, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++) {
        make(MIB);
        put_le(&s, edges[i].at, edges[i].width, edges[i].value);
        if (edges[i].at == AT_CLUSTER_SIZE)
            put_le(&s, AT_L1_OFFSET, 8, edges[i].value);
        reopen();
        assert_null(s.disk.backing_reference);
        if (s.disk.virtual_size > 0)
            ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(s.disk.virtual_size));
    }
}

/* The largest clusters and tables map more than 2^64 bytes. */
static void test_largest(void **state)
{
    static const uint32_t table_sizes[] = {1, 2, 16};

    (void)state;
    for (size_t i = 0; i < COUNT(table_sizes); i++) {
        make(DISK_BYTES_MAX);
        put_le(&s, AT_CLUSTER_SIZE, 4, 64 << 20);
        put_le(&s, AT_TABLE_SIZE, 4, table_sizes[i]);
        put_le(&s, AT_L1_OFFSET, 8, 64 << 20);
        set_size(&s, 3 * GIB);
        reopen();
        assert_int_equal(s.disk.virtual_size, DISK_BYTES_MAX);
        put_le(&s, AT_IMAGE_SIZE, 8, DISK_BYTES_MAX + 512);
        assert_refused(&s, &qed_driver, EFBIG, "image_size 9223372035781034496");
    }
    /* An L2 table of 1 GiB, read in pieces. */
    put_le(&s, AT_IMAGE_SIZE, 8, (64 * MIB) * 300000);
    put_le(&s, 64 << 20, 8, GIB + (64 << 20));
    put_le(&s, GIB + (64 << 20) + 8 * 131071, 8, 64 << 20);
    put_le(&s, GIB + (64 << 20) + 8 * 131072, 8, 128 << 20);
    put_le(&s, GIB + (64 << 20) + 8 * 262145, 8, 1);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED | EXTENTS_WANT_HOST, HOLE((64 * MIB) * 131071),
                   DATA(128 << 20, 64 << 20), HOLE((64 * MIB) * 131072), ZERO(64 << 20),
                   HOLE((64 * MIB) * (300000 - 262146)));
    assert_true(image_bytes_read(s.img) < 5 * MIB);
}

static void test_backing(void **state)
{
    (void)state;
    make(TABLE_MAPS);
    put_le(&s, AT_BACKING_OFFSET, 4, 64);
    put_le(&s, AT_BACKING_SIZE, 4, 6);
    put_text(&s, 64, "ba\nse!rest");
    reopen();
    assert_null(s.disk.backing_reference);
    put_le(&s, AT_FEATURES, 8, 1);
    l1(0, L2_AT);
    l2(0, 1);
    reopen();
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "backing file", "ba\nse!");
    assert_null(s.disk.backing_reference->format);
    assert_stream_fails(&s, 0, EACCES, "backing file \"ba\\x0ase!\"");
    put_le(&s, AT_BACKING_SIZE, 4, 4032);
    reopen();
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "backing file", "ba\nse!rest");
    put_le(&s, AT_FEATURES, 8, 1 | 4);
    reopen();
    assert_string_equal(s.disk.backing_reference->format, "raw");
    put_le(&s, AT_BACKING_SIZE, 4, 4033);
    assert_refused(&s, &qed_driver, EUCLEAN, "4033 bytes at offset 64");
    put_le(&s, AT_BACKING_SIZE, 4, UINT32_MAX);
    put_le(&s, AT_BACKING_OFFSET, 4, UINT32_MAX);
    assert_refused(&s, &qed_driver, EUCLEAN, "4294967295 bytes at offset 4294967295");
    put_le(&s, AT_BACKING_SIZE, 4, 0);
    put_le(&s, AT_BACKING_OFFSET, 4, 4096);
    reopen();
    assert_null(s.disk.backing_reference);
    put_le(&s, AT_HEADER_SIZE, 4, 3);
    put_le(&s, AT_L1_OFFSET, 8, 3 * CLUSTER);
    put_le(&s, AT_BACKING_SIZE, 4, 4096);
    assert_refused(&s, &qed_driver, EUCLEAN, "backing_filename_size 4096");
    put_le(&s, AT_BACKING_SIZE, 4, 4095);
    reopen();
}

static void test_clusters(void **state)
{
    (void)state;
    make(TABLE_MAPS);
    l1(0, L2_AT);
    l2(0, 0x10000);
    l2(1, 0x11000);
    l2(2, 0x13000);
    l2(4, 1);
    l2(5, 1);
    l2(6, CLUSTER);
    l2(1023, MIB - CLUSTER);
    reopen();
    ASSERT_EXTENTS(&s, 0, DATA(3 * CLUSTER, 0), HOLE(CLUSTER), ZERO(2 * CLUSTER), DATA(CLUSTER, 0),
                   HOLE(1016 * CLUSTER), DATA(CLUSTER, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(2 * CLUSTER, 0x10000), DATA(CLUSTER, 0x13000),
                   HOLE(CLUSTER), ZERO(2 * CLUSTER), DATA(CLUSTER, CLUSTER), HOLE(1016 * CLUSTER),
                   DATA(CLUSTER, MIB - CLUSTER));
}

static void test_bad_clusters(void **state)
{
    static const struct {
        uint64_t entry;
        const char *words;
    } bad[] = {
        {2, "guest offset 12288 at offset 2 "},
        {0x10200, "guest offset 12288 at offset 66048"},
        {MIB, "guest offset 12288 at offset 1048576"},
        {UINT64_MAX - CLUSTER + 1, "guest offset 12288 at offset 18446744073709547520"},
        {UINT64_MAX, "guest offset 12288 at offset 18446744073709551615"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct extents stream;
        struct extent e;

        make(TABLE_MAPS);
        l1(0, L2_AT);
        for (uint64_t n = 0; n < 3; n++)
            l2(n, 0x10000);
        l2(3, bad[i].entry);
        reopen();
        assert_stream_fails(&s, EXTENTS_WANT_HOST, EUCLEAN, bad[i].words);
        /* The clusters before it are returned. */
        extents_begin(&stream, &s.disk, 0);
        assert_int_equal(extents_next(&stream, &e), 1);
        assert_int_equal(e.length, 3 * CLUSTER);
        assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
    }
    /* In the header. */
    make(TABLE_MAPS);
    put_le(&s, AT_HEADER_SIZE, 4, 2);
    put_le(&s, AT_L1_OFFSET, 8, 0x20000);
    put_le(&s, 0x20000, 8, L2_AT);
    l2(0, CLUSTER);
    reopen();
    assert_stream_fails(&s, 0, EUCLEAN, "guest offset 0 at offset 4096");
    l2(0, 2 * CLUSTER);
    reopen();
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), HOLE(1023 * CLUSTER));
}

/* The last cluster may lack less than a sector. */
static void test_file_end(void **state)
{
    (void)state;
    make(TABLE_MAPS);
    l1(0, L2_AT);
    l2(0, MIB - CLUSTER);
    set_size(&s, MIB - 511);
    reopen();
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), HOLE(1023 * CLUSTER));
    set_size(&s, MIB - 512);
    reopen();
    assert_stream_fails(&s, 0, EUCLEAN, "guest offset 0 at offset 1044480");
    l2(0, 0x10000);
    reopen();
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), HOLE(1023 * CLUSTER));
    set_size(&s, L1_AT + TABLE_BYTES - 512);
    assert_refused(&s, &qed_driver, EUCLEAN, "L1 table at offset 4096");
}

static void test_bad_tables(void **state)
{
    static const struct {
        uint64_t entry;
        const char *words;
    } bad[] = {
        {1, "L1 entry 1 at offset 1 "},
        {L2_AT + 512, "L1 entry 1 at offset 12800"},
        {MIB - CLUSTER, "L1 entry 1 at offset 1044480"},
        {MIB, "L1 entry 1 at offset 1048576"},
        {UINT64_MAX - CLUSTER + 1, "L1 entry 1 at offset 18446744073709547520"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        make(2 * TABLE_MAPS);
        l1(0, L2_AT);
        l1(1, bad[i].entry);
        reopen();
        assert_stream_fails(&s, 0, EUCLEAN, bad[i].words);
    }
    l1(1, MIB - TABLE_BYTES);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(2 * TABLE_MAPS));
    /* Of two adjacent tables, the second is past the end of the file. */
    l1(0, MIB - TABLE_BYTES);
    l1(1, MIB);
    reopen();
    assert_stream_fails(&s, 0, EUCLEAN, "L1 entry 1 at offset 1048576");
}

/* L2 tables are read together if they are adjacent in both the L1 table and the file. */
static void test_tables(void **state)
{
    (void)state;
    make(6 * TABLE_MAPS);
    l1(0, L2_AT);
    l1(1, L2_AT + TABLE_BYTES);
    l1(2, 0x80000);
    l1(3, L2_AT + TABLE_BYTES);
    for (uint64_t i = 0; i < 2048; i++)
        l2(i, i < 1000 || i > 1040 ? 0x10000 : 0);
    put_le(&s, 0x80000, 8, 0x10000);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(1000 * CLUSTER, 0), HOLE(41 * CLUSTER),
                   DATA(1008 * CLUSTER, 0), HOLE(1040 * CLUSTER), DATA(1007 * CLUSTER, 0),
                   HOLE(2 * TABLE_MAPS));
    /* An extent that begins inside a cluster. */
    {
        struct extent e = {.offset = TABLE_MAPS + 17 * CLUSTER + 100, .host = EXTENT_NO_HOST};

        assert_int_equal(qed_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
        assert_int_equal(e.host, 0x10000 + 100);
        assert_int_equal(e.length, CLUSTER - 100);
        assert_int_equal(qed_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
        assert_int_equal(e.length, 1007 * CLUSTER - 100);
    }
}

/* All L1 entries of a small file share an L2 table: the budget ends the walk. */
static void test_shared_table(void **state)
{
    (void)state;
    make(UINT64_C(65536) * 131072 * 131072);
    put_le(&s, AT_CLUSTER_SIZE, 4, 64 << 10);
    put_le(&s, AT_TABLE_SIZE, 4, 16);
    put_le(&s, AT_L1_OFFSET, 8, 64 << 10);
    for (uint64_t i = 0; i < 131072; i++)
        put_le(&s, (64 << 10) + 8 * i, 8, 64 << 10);
    set_size(&s, 2 * MIB);
    reopen();
    assert_stream_fails(&s, EXTENTS_WANT_JOINED, EFBIG, "tables refer to each other");
}

static void test_read(void **state)
{
    uint8_t bytes[2 * CLUSTER];

    (void)state;
    make(TABLE_MAPS);
    l1(0, L2_AT);
    l2(0, 0x10000);
    l2(1, 1);
    put_text(&s, 0x10000 + 4090, "abcdef");
    reopen();
    memset(bytes, 1, sizeof bytes);
    assert_int_equal(disk_read(&s.disk, 4088, bytes, sizeof bytes), 0);
    assert_memory_equal(bytes, "\0\0abcdef\0\0\0\0", 12);
}

static void assert_field(const char *name, const char *value)
{
    char text[FIELD_TEXT_MAX];

    assert_int_equal(header_value(&s.disk, "", name, text), 0);
    assert_string_equal(text, value);
}

static void test_fields(void **state)
{
    char text[FIELD_TEXT_MAX];

    (void)state;
    make(12800);
    reopen();
    assert_field("magic", "51454400");
    assert_field("cluster_size", "4096");
    assert_field("table_size", "2");
    assert_field("header_size", "1");
    assert_field("features", "none");
    assert_field("compat_features", "none");
    assert_field("autoclear_features", "none");
    assert_field("l1_table_offset", "4096");
    assert_field("image_size", "12800");
    assert_int_equal(header_value(&s.disk, "", "backing_filename_offset", text), -ENOENT);
    assert_int_equal(header_value(&s.disk, "", "backing_filename_size", text), -ENOENT);
    assert_int_equal(header_value(&s.disk, "", "backing_filename", text), -ENOENT);
    put_le(&s, AT_FEATURES, 8, 0x8000000000000007);
    put_le(&s, AT_COMPAT, 8, 1);
    put_le(&s, AT_AUTOCLEAR, 8, 2);
    put_le(&s, AT_BACKING_OFFSET, 4, 100);
    put_le(&s, AT_BACKING_SIZE, 4, 5);
    put_text(&s, 100, "ba\nse.raw");
    assert_refused(&s, &qed_driver, ENOTSUP, "bits 0x8000000000000000");
    assert_field("features", "backing-file need-check backing-format-no-probe bit-63");
    assert_field("compat_features", "bit-0");
    assert_field("autoclear_features", "bit-1");
    assert_field("backing_filename_offset", "100");
    assert_field("backing_filename_size", "5");
    assert_field("backing_filename", "ba\\x0ase");
    put_le(&s, AT_BACKING_SIZE, 4, 0);
    assert_refused(&s, &qed_driver, ENOTSUP, "bits 0x8000000000000000");
    assert_int_equal(header_value(&s.disk, "", "backing_filename", text), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_rules), cmocka_unit_test(test_header_edges),
        cmocka_unit_test(test_largest),      cmocka_unit_test(test_backing),
        cmocka_unit_test(test_clusters),     cmocka_unit_test(test_bad_clusters),
        cmocka_unit_test(test_file_end),     cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_shared_table),
        cmocka_unit_test(test_read),         cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
