// SPDX-License-Identifier: Apache-2.0
/* qcow: the rules of the header, every kind of table entry, runs, and compressed clusters. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "formats/fields.h"
#include "tests/support/support.h"

enum {
    AT_VERSION = 4,
    AT_BACKING_OFFSET = 8,
    AT_BACKING_SIZE = 16,
    AT_MTIME = 20,
    AT_SIZE = 24,
    AT_CLUSTER_BITS = 32,
    AT_L2_BITS = 33,
    AT_PADDING = 34,
    AT_CRYPT = 36,
    AT_L1_OFFSET = 40,

    L1_AT = 512,
    L2_AT = 4096, /* the first L2 table */
    CLUSTER = 4096,
    TABLE_BYTES = 4096,
    TABLE_MAPS = 2 << 20,
};

#define COMPRESSED_ENTRY(place, length) (UINT64_C(1) << 63 | (uint64_t)(length) << 51 | (place))
#define COMPRESSED(length_)                                                                        \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_DATA, .host = EXTENT_NO_HOST,                          \
        .flags = EXTENT_COMPRESSED                                                                 \
    }

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Clusters of 4 KiB and tables of 512 entries, as qemu makes them; the file has 1 MiB. */
static void make(uint64_t size)
{
    sample_begin(&s);
    put_text(&s, 0, "QFI\xfb");
    put_be(&s, AT_VERSION, 4, 1);
    put_be(&s, AT_SIZE, 8, size);
    put_be(&s, AT_CLUSTER_BITS, 1, 12);
    put_be(&s, AT_L2_BITS, 1, 9);
    put_be(&s, AT_L1_OFFSET, 8, L1_AT);
    set_size(&s, MIB);
}

static void l1(uint64_t index, uint64_t offset)
{
    put_be(&s, L1_AT + 8 * index, 8, offset);
}

/* Sets an entry of the L2 tables, which are adjacent from L2_AT on. */
static void l2(uint64_t cluster, uint64_t entry)
{
    put_be(&s, L2_AT + 8 * cluster, 8, entry);
}

static void reopen(void)
{
    if (sample_open(&s, &qcow_driver) != 0)
        fail_msg("refused: %s", image_problems(s.img));
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {0, 1, 'R', EUCLEAN, "magic 0x524649fb"},
        {AT_VERSION, 4, 0, ENOTSUP, "version 0"},
        {AT_VERSION, 4, 2, ENOTSUP, "version 2"},
        {AT_SIZE, 8, 0, EUCLEAN, "qcow: size 0"},
        {AT_SIZE, 8, 1, EUCLEAN, "qcow: size 1"},
        {AT_SIZE, 8, (UINT64_C(268435392) << 21) + 1, EFBIG, "size 562949819203585"},
        {AT_SIZE, 8, UINT64_C(0xeeeeeeeeeeeeeeee), EFBIG, "size 17216961135462248174"},
        {AT_SIZE, 8, INT64_MAX, EFBIG, "size 9223372036854775807"},
        {AT_SIZE, 8, UINT64_MAX, EFBIG, "size 18446744073709551615"},
        {AT_CLUSTER_BITS, 1, 8, EUCLEAN, "cluster_bits 8"},
        {AT_CLUSTER_BITS, 1, 17, EUCLEAN, "cluster_bits 17"},
        {AT_CLUSTER_BITS, 1, 31, EUCLEAN, "cluster_bits 31"},
        {AT_CLUSTER_BITS, 1, 255, EUCLEAN, "cluster_bits 255"},
        {AT_L2_BITS, 1, 5, EUCLEAN, "l2_bits 5"},
        {AT_L2_BITS, 1, 14, EUCLEAN, "l2_bits 14"},
        {AT_L2_BITS, 1, 27, EUCLEAN, "l2_bits 27"},
        {AT_L2_BITS, 1, 255, EUCLEAN, "l2_bits 255"},
        {AT_CRYPT, 4, 2, ENOTSUP, "crypt_method 2"},
        {AT_CRYPT, 4, UINT32_MAX, ENOTSUP, "crypt_method 4294967295"},
        {AT_L1_OFFSET, 8, DISK_BYTES_MAX - 31, EUCLEAN, "l1_table_offset 9223372035781033953"},
        {AT_L1_OFFSET, 8, UINT64_MAX, EUCLEAN, "l1_table_offset 18446744073709551615"},
        {AT_BACKING_OFFSET, 8, UINT64_MAX, EUCLEAN, "backing_file_offset 18446744073709551615"},
        {AT_BACKING_OFFSET, 8, DISK_BYTES_MAX + 1, EUCLEAN,
         "backing_file_offset 9223372035781033985"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make(4 * TABLE_MAPS);
        reopen();
        put_be(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &qcow_driver, defects[i].error, defects[i].words);
    }
}

/* The smallest and largest values that are accepted. */
static void test_header_edges(void **state)
{
    static const struct defect edges[] = {
        {AT_SIZE, 8, 2, 0, NULL},
        {AT_SIZE, 8, UINT64_C(268435392) << 21, 0, NULL},
        {AT_CLUSTER_BITS, 1, 9, 0, NULL},
        {AT_CLUSTER_BITS, 1, 16, 0, NULL},
        {AT_L2_BITS, 1, 6, 0, NULL},
        {AT_L2_BITS, 1, 13, 0, NULL},
        {AT_L1_OFFSET, 8, DISK_BYTES_MAX - 32, 0, NULL},
        {AT_BACKING_OFFSET, 8, DISK_BYTES_MAX, 0, NULL},
        {AT_BACKING_SIZE, 4, UINT32_MAX, 0, NULL},
        {AT_MTIME, 4, UINT32_MAX, 0, NULL},
        {AT_PADDING, 2, UINT16_MAX, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++) {
        make(4 * TABLE_MAPS);
        put_be(&s, edges[i].at, edges[i].width, edges[i].value);
        reopen();
        assert_null(s.disk.backing_reference);
        if (s.disk.virtual_size > 0)
            ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(s.disk.virtual_size));
    }
}

/* Sizes are rounded down to sectors; the rest of the last cluster is not part of the disk. */
static void test_sizes(void **state)
{
    (void)state;
    make(2);
    reopen();
    assert_int_equal(s.disk.virtual_size, 0);
    make(CLUSTER + 1023);
    l1(0, L2_AT);
    l2(1, 8192);
    reopen();
    assert_int_equal(s.disk.virtual_size, CLUSTER + 512);
    ASSERT_EXTENTS(&s, 0, HOLE(CLUSTER), DATA(512, 0));
}

static void test_backing(void **state)
{
    (void)state;
    make(TABLE_MAPS);
    put_be(&s, AT_BACKING_OFFSET, 8, 100);
    put_be(&s, AT_BACKING_SIZE, 4, 6);
    put_text(&s, 100, "ba\nse!rest");
    reopen();
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "backing file", "ba\nse!");
    assert_stream_fails(&s, 0, EACCES, "the backing file \"ba\\x0ase!\"");
    put_be(&s, AT_BACKING_SIZE, 4, 1023);
    reopen();
    ASSERT_REFERENCE(0, REFERENCE_BACKING, "backing file", "ba\nse!rest");
    /* Readers disagree on a name with a NUL inside: it is kept whole, so that it is never opened.
     */
    put_be(&s, 100 + 4, 1, 0);
    reopen();
    assert_reference(&s, 0, REFERENCE_BACKING, "backing file", "ba\ns\0!rest", 10);
    put_be(&s, AT_BACKING_SIZE, 4, 1024);
    assert_refused(&s, &qcow_driver, EUCLEAN, "backing_file_size 1024");
    put_be(&s, AT_BACKING_SIZE, 4, 0);
    reopen();
    assert_null(s.disk.backing_reference);
    put_be(&s, AT_BACKING_SIZE, 4, 10);
    put_be(&s, AT_BACKING_OFFSET, 8, 2 * MIB);
    reopen();
    assert_null(s.disk.backing_reference);
}

static void test_clusters(void **state)
{
    (void)state;
    make(TABLE_MAPS);
    l1(0, L2_AT);
    l2(0, 0x10000);
    l2(1, 0x11000);
    l2(2, 0x13000);
    l2(4, COMPRESSED_ENTRY(0x20000, 40));
    l2(5, COMPRESSED_ENTRY(0x20200, 40));
    l2(6, 512);                         /* aligned to sectors only */
    l2(511, (UINT64_C(1) << 63) - 512); /* the largest offset, far beyond the file */
    reopen();
    ASSERT_EXTENTS(&s, 0, DATA(3 * CLUSTER, 0), HOLE(CLUSTER), DATA(3 * CLUSTER, 0),
                   HOLE(504 * CLUSTER), DATA(CLUSTER, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(2 * CLUSTER, 0x10000), DATA(CLUSTER, 0x13000),
                   HOLE(CLUSTER), COMPRESSED(CLUSTER), COMPRESSED(CLUSTER), DATA(CLUSTER, 512),
                   HOLE(504 * CLUSTER), DATA(CLUSTER, (UINT64_C(1) << 63) - 512));
    /* The offset of a cluster is checked only for those who read data. */
    l2(0, 0x10001);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(3 * CLUSTER, 0), HOLE(CLUSTER),
                   DATA(3 * CLUSTER, 0), HOLE(504 * CLUSTER), DATA(CLUSTER, 0));
    assert_stream_fails(&s, EXTENTS_WANT_HOST, EUCLEAN, "guest offset 0: offset 65537");
}

static void test_extent_within(void **state)
{
    struct extent e = {.offset = CLUSTER + 1000, .host = EXTENT_NO_HOST};

    (void)state;
    make(TABLE_MAPS);
    l1(0, L2_AT);
    l2(1, 0x10000);
    l2(2, 0x20000);
    reopen();
    assert_int_equal(qcow_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.host, 0x10000 + 1000);
    assert_int_equal(e.length, CLUSTER - 1000);
    assert_int_equal(qcow_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.length, 2 * CLUSTER - 1000);
    e.offset = 3 * CLUSTER + 1;
    assert_int_equal(qcow_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.kind, EXTENT_HOLE);
    assert_int_equal(e.length, 509 * CLUSTER - 1);
}

/* L2 tables are read together if they are adjacent in both the L1 table and the file. */
static void test_tables(void **state)
{
    (void)state;
    make(8 * TABLE_MAPS);
    l1(0, L2_AT);
    l1(1, L2_AT + TABLE_BYTES);
    l1(2, 0x80000);
    l1(3, L2_AT + TABLE_BYTES);
    l1(6, L2_AT + 100); /* not aligned, which is allowed */
    for (uint64_t i = 0; i < 1024; i++)
        l2(i, i < 500 || i > 520 ? 0x10000 : 0);
    put_be(&s, 0x80000, 8, 0x10000);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(500 * CLUSTER, 0), HOLE(21 * CLUSTER),
                   DATA(504 * CLUSTER, 0), HOLE(520 * CLUSTER), DATA(503 * CLUSTER, 0),
                   HOLE(2 * TABLE_MAPS), DATA(488 * CLUSTER, 0), HOLE(21 * CLUSTER),
                   DATA(3 * CLUSTER, 0), HOLE(TABLE_MAPS));
}

/* Tables wholly or partly past the end of the file. */
static void test_past_end(void **state)
{
    (void)state;
    make(4 * TABLE_MAPS);
    l1(0, MIB);
    l1(1, DISK_BYTES_MAX);
    l1(2, MIB - 20);
    put_be(&s, MIB - 20 + 8, 8, 512);
    put_be(&s, MIB - 4, 4, 0x1234); /* the first half of an entry */
    reopen();
    ASSERT_EXTENTS(&s, 0, HOLE(2 * TABLE_MAPS), HOLE(CLUSTER), DATA(2 * CLUSTER, 0),
                   HOLE(509 * CLUSTER), HOLE(TABLE_MAPS));
    l1(1, DISK_BYTES_MAX + 1);
    reopen();
    assert_stream_fails(&s, 0, EUCLEAN, "L1 entry 1: L2 table offset 9223372035781033985");
    /* An L1 table of which the file has two entries. */
    make(UINT64_C(1) << 40);
    l1(0, L2_AT);
    put_be(&s, AT_L1_OFFSET, 8, MIB - 12);
    put_be(&s, MIB - 4, 4, 1);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(UINT64_C(1) << 40));
    put_be(&s, AT_L1_OFFSET, 8, MIB);
    reopen();
    ASSERT_EXTENTS(&s, 0, HOLE(UINT64_C(1) << 40));
}

/* All L1 entries of a small file share an L2 table: the budget ends the walk. */
static void test_shared_table(void **state)
{
    (void)state;
    make((UINT64_C(1) << 29) * 130000);
    put_be(&s, AT_CLUSTER_BITS, 1, 16);
    put_be(&s, AT_L2_BITS, 1, 13);
    for (uint64_t i = 0; i < 130000; i++)
        put_be(&s, L1_AT + 8 * i, 8, L1_AT);
    reopen();
    assert_stream_fails(&s, EXTENTS_WANT_JOINED, EFBIG, "tables refer to each other");
    /* Tables that are mostly past the end of the file cost little. */
    for (uint64_t i = 0; i < 130000; i++)
        put_be(&s, L1_AT + 8 * i, 8, MIB + L1_AT - 1);
    set_size(&s, MIB + L1_AT);
    reopen();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE((UINT64_C(1) << 29) * 130000));
}

static void test_encrypted(void **state)
{
    uint8_t bytes[16];

    (void)state;
    make(TABLE_MAPS);
    l1(0, L2_AT);
    l2(0, 0x10000);
    l2(1, 0x11000);
    put_be(&s, AT_CRYPT, 4, 1);
    reopen();
    assert_true(s.disk.is_encrypted);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED, DATA(2 * CLUSTER, EXTENT_NO_HOST),
                   HOLE(510 * CLUSTER));
    assert_int_equal(disk_read(&s.disk, 0, bytes, sizeof bytes), -ENOTSUP);
    assert_int_equal(disk_read(&s.disk, 2 * CLUSTER, bytes, sizeof bytes), 0);
}

/* Writes the bytes to the file, deflated with a window of 4 KiB as by qemu. Returns the stream's
 * length. */
static size_t put_deflated(uint64_t at, uint8_t *bytes, size_t length)
{
    uint8_t out[2 * CLUSTER];
    z_stream z = {
        .next_in = bytes, .avail_in = (unsigned)length, .next_out = out, .avail_out = sizeof out};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    put(&s, at, out, z.total_out);
    return z.total_out;
}

static void test_decode(void **state)
{
    uint8_t guest[3 * CLUSTER], bytes[sizeof guest];
    size_t length;

    (void)state;
    for (size_t i = 0; i < sizeof guest; i++)
        guest[i] = (uint8_t)(i * i >> 7);
    make(TABLE_MAPS);
    l1(0, L2_AT);
    length = put_deflated(0x20200, guest, CLUSTER);
    l2(0, COMPRESSED_ENTRY(0x20200, length));
    l2(1, COMPRESSED_ENTRY(0x30000, put_deflated(0x30000, guest + CLUSTER, CLUSTER)));
    put(&s, 0x40000, guest + 2 * CLUSTER, CLUSTER);
    l2(2, 0x40000);
    /* Compressed clusters are not encrypted. */
    for (unsigned crypt = 0; crypt < 2; crypt++) {
        put_be(&s, AT_CRYPT, 4, crypt);
        reopen();
        memset(bytes, 0, sizeof bytes);
        assert_int_equal(disk_read(&s.disk, 0, bytes, 2 * CLUSTER), 0);
        assert_memory_equal(bytes, guest, 2 * CLUSTER);
        assert_int_equal(disk_read(&s.disk, CLUSTER - 5, bytes, 10), 0);
        assert_memory_equal(bytes, guest + CLUSTER - 5, 10);
    }
    put_be(&s, AT_CRYPT, 4, 0);
    reopen();
    assert_int_equal(disk_read(&s.disk, 100, bytes, sizeof bytes - 100), 0);
    assert_memory_equal(bytes, guest + 100, sizeof bytes - 100);
    /* Streams that are cut off, empty, and past the end of the file. */
    l2(0, COMPRESSED_ENTRY(0x20200, length / 2));
    reopen();
    assert_int_equal(disk_read(&s.disk, 0, bytes, CLUSTER), -EUCLEAN);
    assert_reported(s.img, "compressed cluster at offset 131584");
    l2(0, COMPRESSED_ENTRY(0x20200, 0));
    reopen();
    assert_int_equal(disk_read(&s.disk, 0, bytes, CLUSTER), -EUCLEAN);
    l2(0, COMPRESSED_ENTRY(MIB, 100));
    reopen();
    assert_int_equal(disk_read(&s.disk, 0, bytes, CLUSTER), -EIO);
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
    make(12345);
    put_be(&s, AT_BACKING_OFFSET, 8, 100);
    put_be(&s, AT_BACKING_SIZE, 4, 7);
    put_be(&s, AT_MTIME, 4, UINT32_MAX);
    put_be(&s, AT_PADDING, 2, 513);
    put_be(&s, AT_CRYPT, 4, 1);
    reopen();
    assert_field("magic", "514649fb");
    assert_field("version", "1");
    assert_field("backing_file_offset", "100");
    assert_field("backing_file_size", "7");
    assert_field("mtime", "4294967295");
    assert_field("size", "12345");
    assert_field("cluster_bits", "12");
    assert_field("l2_bits", "9");
    assert_field("padding", "513");
    assert_field("crypt_method", "1");
    assert_field("l1_table_offset", "512");
    set_size(&s, 47);
    sample_open(&s, &qcow_driver);
    assert_field("crypt_method", "1");
    assert_int_equal(header_value(&s.disk, "", "l1_table_offset", text), -EUCLEAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_rules), cmocka_unit_test(test_header_edges),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_backing),
        cmocka_unit_test(test_clusters),     cmocka_unit_test(test_extent_within),
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_past_end),
        cmocka_unit_test(test_shared_table), cmocka_unit_test(test_encrypted),
        cmocka_unit_test(test_decode),       cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
