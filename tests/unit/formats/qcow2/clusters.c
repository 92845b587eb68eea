// SPDX-License-Identifier: Apache-2.0
/* qcow2: from L1 and L2 entries to extents. */
#include "tests/support/qcow2-image.h"
#include "tests/support/unit-map-check.h"

#include <endian.h>

enum {
    BITS = 16,
    CLUSTER = 1 << BITS,
    L1 = CLUSTER,
    L2 = 4 * CLUSTER,
    DATA_AT = 16 * CLUSTER,
    SUB = CLUSTER / 32
};

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* An image of that many clusters, with one L2 table. */
static void make(uint64_t clusters)
{
    make_qcow2(&s, clusters * CLUSTER, BITS);
    put_be(&s, L1, 8, Q_COPIED | L2);
}

static void entry(uint64_t index, uint64_t value)
{
    put_be(&s, L2 + 8 * index, 8, value);
}

static uint64_t at(unsigned n)
{
    return DATA_AT + (uint64_t)n * CLUSTER;
}

/* One cluster of each kind. */
static void test_kinds(void **state)
{
    (void)state;
    make(9);
    entry(0, Q_COPIED | at(0));
    entry(1, 0);
    entry(2, Q_ZERO);
    entry(3, Q_COPIED | at(1) | Q_ZERO);
    entry(4, Q_COPIED); /* no host offset: a hole */
    entry(5, Q_COMPRESSED | 12345);
    entry(6, at(2));                                /* shared with a snapshot */
    entry(7, UINT64_C(0x3f) << 56 | at(4) | 0x1fe); /* reserved bits */
    entry(8, 0x1fe);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(CLUSTER, at(0)), HOLE(CLUSTER), ZERO(CLUSTER),
                   {.length = CLUSTER, .kind = EXTENT_ZERO, .host = at(1)}, HOLE(CLUSTER),
                   {.length = CLUSTER,
                    .kind = EXTENT_DATA,
                    .host = EXTENT_NO_HOST,
                    .flags = EXTENT_COMPRESSED},
                   DATA(CLUSTER, at(2)), DATA(CLUSTER, at(4)), HOLE(CLUSTER));
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), HOLE(CLUSTER), ZERO(2 * CLUSTER), HOLE(CLUSTER),
                   DATA(3 * CLUSTER, 0), HOLE(CLUSTER));
    assert_string_equal(image_problems(s.img), "");
}

/* All bits of a compressed cluster's descriptor are offset and length: bit 0 does not mean zeros,
 * and no offset is invalid. */
static void test_compressed(void **state)
{
    (void)state;
    make(3);
    entry(0, Q_COMPRESSED | Q_ZERO);
    entry(1, Q_COMPRESSED | Q_COPIED | (UINT64_MAX >> 2));
    entry(2, Q_COMPRESSED);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED,
                   {.length = 3 * CLUSTER,
                    .kind = EXTENT_DATA,
                    .host = EXTENT_NO_HOST,
                    .flags = EXTENT_COMPRESSED});
    put_be(&s, Q_VERSION, 4, 2);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(3 * CLUSTER, 0));
}

static void test_contiguous(void **state)
{
    (void)state;
    make(10);
    for (unsigned i = 0; i < 3; i++)
        entry(i, at(i));
    entry(3, at(5));
    entry(4, at(4)); /* backwards */
    entry(5, at(4)); /* a cluster used twice */
    entry(6, at(5));
    entry(7, at(6) | Q_ZERO);
    entry(8, at(7) | Q_ZERO);
    entry(9, Q_ZERO);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(3 * CLUSTER, at(0)), DATA(CLUSTER, at(5)),
                   DATA(CLUSTER, at(4)), DATA(2 * CLUSTER, at(4)),
                   {.length = 2 * CLUSTER, .kind = EXTENT_ZERO, .host = at(6)}, ZERO(CLUSTER));
    ASSERT_EXTENTS(&s, 0, DATA(7 * CLUSTER, 0), ZERO(3 * CLUSTER));
}

/* From the middle of a cluster on. */
static void test_within(void **state)
{
    struct extent e = {.offset = CLUSTER + 1001, .host = EXTENT_NO_HOST};

    (void)state;
    make(4);
    entry(1, at(0));
    entry(2, at(1));
    reopen(&s);
    assert_int_equal(qcow2_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.kind, EXTENT_DATA);
    assert_int_equal(e.host, at(0) + 1001);
    assert_int_equal(e.length, 2 * CLUSTER - 1001);
    e = (struct extent){.offset = 4 * CLUSTER - 1, .host = EXTENT_NO_HOST};
    assert_int_equal(qcow2_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.kind, EXTENT_HOLE);
    assert_true(e.length >= 1);
}

/* Guest cluster 2 has that bad L2 entry. The clusters before it are reported. */
static void assert_bad(uint64_t value, const char *words)
{
    struct extents stream;
    struct extent e;

    make(4);
    entry(0, at(0));
    entry(1, at(1));
    entry(2, value);
    reopen(&s);
    extents_begin(&stream, &s.disk, 0);
    assert_int_equal(extents_next(&stream, &e), 1);
    assert_int_equal(e.length, 2 * CLUSTER);
    assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
    assert_reported(s.img, "guest offset 131072");
    assert_reported(s.img, words);
}

static void test_bad_entries(void **state)
{
    (void)state;
    assert_bad(at(2) + 512, "L2 entry 0x0000000000120200");
    assert_bad(at(2) + CLUSTER / 2, "L2 entry 0x0000000000128000");
    assert_bad((at(2) + 512) | Q_ZERO, "L2 entry 0x0000000000120201");
    /* Version 2 has no zero clusters. */
    make(2);
    entry(1, Q_ZERO);
    put_be(&s, Q_VERSION, 4, 2);
    reopen(&s);
    assert_stream_fails(&s, 0, EUCLEAN, "L2 entry 0x0000000000000001 of guest offset 65536");
}

static void test_past_the_end(void **state)
{
    (void)state;
    /* Data past the end of the file is data. */
    make(3);
    entry(1, UINT64_C(1) << 50);
    entry(2, UINT64_C(0x00ffffffffff0000));
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(CLUSTER), DATA(CLUSTER, UINT64_C(1) << 50),
                   DATA(CLUSTER, UINT64_C(0x00ffffffffff0000)));
    assert_string_equal(image_problems(s.img), "");
    /* The part of a table that is past the end reads as zeros, which is reported. */
    set_size(&s, L2 + 15);
    put_be(&s, L2 + 8, 8, 0);
    set_size(&s, L2 + 8);
    entry(0, at(0));
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), HOLE(2 * CLUSTER));
    assert_reported(s.img, "an L2 table at offset");
    set_size(&s, L2);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, HOLE(3 * CLUSTER));
    assert_reported(s.img, "an L2 table at offset");
    set_size(&s, L1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, HOLE(3 * CLUSTER));
    assert_reported(s.img, "the L1 table at offset");
    put_be(&s, Q_L1_OFFSET, 8, UINT64_C(1) << 62);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, HOLE(3 * CLUSTER));
    assert_reported(s.img, "the L1 table at offset 4611686018427387904");
    assert_string_equal(strchr(image_problems(s.img), '\n'), "\n"); /* reported once */
}

static void test_bad_tables(void **state)
{
    (void)state;
    make(3);
    put_be(&s, L1, 8, L2 + 512);
    reopen(&s);
    assert_stream_fails(&s, 0, EUCLEAN, "L2 table offset 262656 of L1 entry 0");
    /* An L2 table past the end of the file is checked too. */
    put_be(&s, L1, 8, (UINT64_C(1) << 40) + 512);
    reopen(&s);
    assert_stream_fails(&s, 0, EUCLEAN, "L2 table offset 1099511628288 of L1 entry 0");
    /* The L1 table as its own L2 table: its entry maps guest cluster 0 to host cluster 1. */
    put_be(&s, L1, 8, L1);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(CLUSTER, L1), HOLE(2 * CLUSTER));
}

/* The last cluster is clipped. Entries past the end of the disk are ignored, even bad ones. */
static void test_disk_end(void **state)
{
    (void)state;
    make_qcow2(&s, CLUSTER + 512, BITS);
    put_be(&s, L1, 8, L2);
    entry(0, at(0));
    entry(1, at(1));
    entry(2, at(2) + 1024);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(CLUSTER + 512, at(0)));
    put_be(&s, Q_L1_SIZE, 4, 2);
    put_be(&s, L1 + 8, 8, 77);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(CLUSTER + 512, at(0)));
}

/* Clusters of 512 bytes, whose tables map 32 KiB each: tables adjacent in the file, in reverse
 * order, missing, and used twice. */
static void test_many_tables(void **state)
{
    enum { SMALL = 512, MAPS = 32 << 10, TABLES = 8 };
    static const int places[TABLES] = {0, 1, 3, 2, -1, -1, 4, 4};
    const uint64_t tables = 8 * SMALL, data = 64 * SMALL;

    (void)state;
    make_qcow2(&s, TABLES * MAPS, 9);
    for (unsigned i = 0; i < TABLES; i++)
        if (places[i] >= 0)
            put_be(&s, SMALL + 8 * i, 8, tables + (uint64_t)places[i] * SMALL);
    for (unsigned table = 0; table < 5; table++) {
        /* First and last entry. The second table's first cluster is adjacent to the first's last.
         */
        put_be(&s, tables + table * SMALL, 8, data + (2 * table) * SMALL);
        put_be(&s, tables + table * SMALL + 63 * 8, 8, data + (2 * table + 1) * SMALL);
    }
    reopen(&s);
    ASSERT_EXTENTS(
        &s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED, DATA(SMALL, data), HOLE(MAPS - 2 * SMALL),
        DATA(2 * SMALL, data + SMALL), HOLE(MAPS - 2 * SMALL), DATA(SMALL, data + 3 * SMALL),
        DATA(SMALL, data + 6 * SMALL), HOLE(MAPS - 2 * SMALL), DATA(SMALL, data + 7 * SMALL),
        DATA(SMALL, data + 4 * SMALL), HOLE(MAPS - 2 * SMALL), DATA(SMALL, data + 5 * SMALL),
        HOLE(2 * MAPS), DATA(SMALL, data + 8 * SMALL), HOLE(MAPS - 2 * SMALL),
        DATA(SMALL, data + 9 * SMALL), DATA(SMALL, data + 8 * SMALL), HOLE(MAPS - 2 * SMALL),
        DATA(SMALL, data + 9 * SMALL));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(SMALL, 0), HOLE(MAPS - 2 * SMALL),
                   DATA(2 * SMALL, 0), HOLE(MAPS - 2 * SMALL), DATA(2 * SMALL, 0),
                   HOLE(MAPS - 2 * SMALL), DATA(2 * SMALL, 0), HOLE(MAPS - 2 * SMALL),
                   DATA(SMALL, 0), HOLE(2 * MAPS), DATA(SMALL, 0), HOLE(MAPS - 2 * SMALL),
                   DATA(2 * SMALL, 0), HOLE(MAPS - 2 * SMALL), DATA(SMALL, 0));
}

/* More L1 entries than the 32 Ki that are read at once. Used are the last of a piece, the first of
 * the next, and the last of all. */
static void test_long_l1(void **state)
{
    enum { SMALL = 512, MAPS = 32 << 10, PIECE = 32 << 10, TABLES = 2 * PIECE + 5 };
    const uint64_t l1 = 2 * MIB, table = 4 * SMALL;

    (void)state;
    make_qcow2(&s, UINT64_C(0) + TABLES * (uint64_t)MAPS, 9);
    put_be(&s, Q_L1_OFFSET, 8, l1);
    put_be(&s, table, 8, 100 * SMALL);
    put_be(&s, l1 + 8 * (PIECE - 1), 8, table);
    put_be(&s, l1 + UINT64_C(8) * PIECE, 8, table);
    put_be(&s, l1 + UINT64_C(8) * (TABLES - 1), 8, table);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE((PIECE - 1) * (uint64_t)MAPS), DATA(SMALL, 0),
                   HOLE(MAPS - SMALL), DATA(SMALL, 0),
                   HOLE((TABLES - 1 - PIECE) * (uint64_t)MAPS - SMALL), DATA(SMALL, 0),
                   HOLE(MAPS - SMALL));
    assert_true(image_bytes_read(s.img) < MIB);
}

/* 256 Ki L1 entries that alternate between two L2 tables: reading ends when the budget is used up.
 */
static void test_tables_in_circles(void **state)
{
    const uint64_t l1 = 4 * MIB, count = 256 << 10;
    static uint64_t entries[256 << 10];

    (void)state;
    make_qcow2(&s, count * 32 * KIB, 9);
    put_be(&s, Q_L1_OFFSET, 8, l1);
    for (uint64_t i = 0; i < count; i++)
        entries[i] = htobe64(i % 2 ? 2048 : 2560);
    put(&s, l1, entries, sizeof entries);
    put_be(&s, 2048, 8, 4096);
    reopen(&s);
    assert_stream_fails(&s, 0, EFBIG, "its tables refer to each other");
}

static void test_backing(void **state)
{
    (void)state;
    make(3);
    put_text(&s, 512, "base");
    put_be(&s, Q_BACKING_OFFSET, 8, 512);
    put_be(&s, Q_BACKING_SIZE, 4, 4);
    entry(0, at(0));
    entry(1, Q_ZERO);
    entry(2, Q_COMPRESSED | 5);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), ZERO(CLUSTER), DATA(CLUSTER, 0));
    entry(2, 0);
    reopen(&s);
    assert_stream_fails(&s, 0, EACCES, "backing file \"base\"");
    put_be(&s, L1, 8, 0);
    reopen(&s);
    assert_stream_fails(&s, 0, EACCES, "base");
}

/* Encrypted clusters have no host offsets: a caller could not use the bytes there. */
static void test_encrypted(void **state)
{
    (void)state;
    make(2);
    put_be(&s, Q_CRYPT, 4, 1);
    entry(0, at(0));
    entry(1, at(1) | Q_ZERO);
    reopen(&s);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(CLUSTER, EXTENT_NO_HOST), ZERO(CLUSTER));
}

/* Writes an extended entry. Bit n of data and of zeros stands for subcluster n. */
static void extended(uint64_t index, uint64_t value, uint32_t zeros, uint32_t data)
{
    put_be(&s, L2 + 16 * index, 8, value);
    put_be(&s, L2 + 16 * index + 8, 8, (uint64_t)zeros << 32 | data);
}

static void make_extended(uint64_t clusters)
{
    make(clusters);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 4);
}

static void test_subclusters(void **state)
{
    (void)state;
    make_extended(4);
    extended(0, at(0), 0x00000006, 0x80000001);
    extended(1, at(1), 0, 1);
    extended(2, 0, 0x80000000, 0);
    extended(3, 0, UINT32_MAX, 0);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(SUB, 0), ZERO(2 * SUB), HOLE(28 * SUB), DATA(2 * SUB, 0),
                   HOLE(31 * SUB + 31 * SUB), ZERO(33 * SUB));
    /* Subclusters of an allocated cluster have a host offset even if they are zeros or holes. */
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(SUB, at(0)),
                   {.length = 2 * SUB, .kind = EXTENT_ZERO, .host = at(0) + SUB},
                   {.length = 28 * SUB, .kind = EXTENT_HOLE, .host = at(0) + 3 * SUB},
                   DATA(2 * SUB, at(0) + 31 * SUB),
                   {.length = 31 * SUB, .kind = EXTENT_HOLE, .host = at(1) + SUB}, HOLE(31 * SUB),
                   ZERO(33 * SUB));
}

static void test_subcluster_runs(void **state)
{
    (void)state;
    make_extended(5);
    extended(0, at(0), 0, UINT32_MAX);
    extended(1, at(1), 0, UINT32_MAX);
    extended(2, at(3), 0, 0x0000ffff);
    extended(3, at(4), 0xffff0000, 0x0000ffff);
    extended(4, Q_COMPRESSED | 9, 0, 0);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(80 * SUB, 0), HOLE(16 * SUB), DATA(16 * SUB, 0), ZERO(16 * SUB),
                   DATA(32 * SUB, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(64 * SUB, at(0)), DATA(16 * SUB, at(3)),
                   {.length = 16 * SUB, .kind = EXTENT_HOLE, .host = at(3) + 16 * SUB},
                   DATA(16 * SUB, at(4)),
                   {.length = 16 * SUB, .kind = EXTENT_ZERO, .host = at(4) + 16 * SUB},
                   {.length = 32 * SUB,
                    .kind = EXTENT_DATA,
                    .host = EXTENT_NO_HOST,
                    .flags = EXTENT_COMPRESSED});
}

static void test_bad_subclusters(void **state)
{
    (void)state;
    make_extended(2);
    extended(1, at(0), 0x00010000, 0x00010000);
    reopen(&s);
    assert_stream_fails(&s, 0, EUCLEAN, "L2 entry 0x0000000000100000 of guest offset 65536");
    extended(1, 0, 0, 1); /* data without a host cluster */
    reopen(&s);
    assert_stream_fails(&s, 0, EUCLEAN, "L2 entry 0x0000000000000000 of guest offset 65536");
    extended(1, at(0) + 512, 0, 0);
    reopen(&s);
    assert_stream_fails(&s, 0, EUCLEAN, "L2 entry 0x0000000000100200 of guest offset 65536");
    /* Bit 0, "reads as zeros" in a standard entry, is reserved in an extended one. */
    extended(1, at(0) | Q_ZERO, 0, UINT32_MAX);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, HOLE(CLUSTER), DATA(CLUSTER, 0));
}

/* With many layers the window only has room for a piece of a large table. */
static void test_pieces(void **state)
{
    enum { LARGE = 256 << 10, ENTRIES = LARGE / 8, PIECE = 8192 };
    uint64_t host = 16 * LARGE;

    (void)state;
    make_qcow2(&s, (uint64_t)2 * ENTRIES * LARGE, 18);
    put_be(&s, LARGE, 8, 4 * LARGE);
    put_be(&s, LARGE + 8, 8, 5 * LARGE);
    for (unsigned i = 0; i < 4; i++)
        put_be(&s, 4 * LARGE + 8 * (PIECE - 2 + i), 8, host + i * LARGE);
    put_be(&s, 4 * LARGE + 8 * (ENTRIES - 1), 8, host);
    put_be(&s, 5 * LARGE, 8, Q_ZERO);
    reopen(&s);
    image_share_windows(s.img, LAYERS_MAX);
    assert_true(image_window_share(s.img, 2 * MIB) == 8 * PIECE);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED, HOLE((uint64_t)(PIECE - 2) * LARGE),
                   DATA(4 * LARGE, host), HOLE((uint64_t)(ENTRIES - PIECE - 3) * LARGE),
                   DATA(LARGE, host), ZERO(LARGE), HOLE((uint64_t)(ENTRIES - 1) * LARGE));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE((uint64_t)(PIECE - 2) * LARGE), DATA(4 * LARGE, 0),
                   HOLE((uint64_t)(ENTRIES - PIECE - 3) * LARGE), DATA(LARGE, 0), ZERO(LARGE),
                   HOLE((uint64_t)(ENTRIES - 1) * LARGE));
}

/* In bulk: every kind of entry, in tables that follow one another and past a gap; ranges without a
 * table are left to the stream. */
static void test_bulk(void **state)
{
    static const uint64_t others[] = {0, Q_ZERO, Q_ZERO | 64 * 4096, Q_COMPRESSED | 1,
                                      64 * 4096 + 512};

    (void)state;
    srand(4);
    make_qcow2(&s, UINT64_C(40) * 512 * 4096 - 512, 12);
    for (uint32_t i = 0; i < 40; i++) {
        uint64_t table = 4 + i + (i > 10);

        if (i % 7 == 3)
            continue;
        put_be(&s, 4096 + 8 * i, 8, table * 4096);
        for (uint32_t k = 0; k < 512; k++)
            put_be(&s, table * 4096 + 8 * k, 8,
                   rand() % 40 == 0 ? others[rand() % 5]
                   : random_bit(k)  ? (uint64_t)(64 + k) * 4096
                                    : others[rand() % 2]);
    }
    assert_int_equal(open_qcow2(&s), 0);
    assert_bulk(&s, UINT64_C(6) * 512 * 4096 + 4096 - 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_contiguous),
        cmocka_unit_test(test_within),
        cmocka_unit_test(test_bad_entries),
        cmocka_unit_test(test_past_the_end),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_disk_end),
        cmocka_unit_test(test_many_tables),
        cmocka_unit_test(test_long_l1),
        cmocka_unit_test(test_tables_in_circles),
        cmocka_unit_test(test_backing),
        cmocka_unit_test(test_encrypted),
        cmocka_unit_test(test_subclusters),
        cmocka_unit_test(test_subcluster_runs),
        cmocka_unit_test(test_bad_subclusters),
        cmocka_unit_test(test_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
