// SPDX-License-Identifier: Apache-2.0
/*
 * qcow2: detection of preallocated metadata by refcounts. Holes of the host file read as zeros if
 * at least a threshold number of clusters have a refcount.
 */
#include "tests/support/qcow2-image.h"

#include <unistd.h>

enum {
    BITS = 12,
    CLUSTER = 1 << BITS,
    L1 = CLUSTER,
    BLOCK = 3 * CLUSTER,
    L2 = 4 * CLUSTER,
    DATA_AT = 100 * CLUSTER
};

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Sets the refcount of a cluster, in a block whose fields are 1 << order bits wide. */
static void set_refcount(uint64_t block, unsigned order, uint64_t index, uint64_t value)
{
    if (order >= 3) {
        put_be(&s, block + (index << (order - 3)), 1U << (order - 3), value);
    } else {
        uint64_t at = block + (index << order) / 8;
        unsigned shift = (unsigned)((index << order) % 8);
        uint8_t byte, mask = (uint8_t)(((1U << (1U << order)) - 1) << shift);

        assert_int_equal(pread(s.fd, &byte, 1, (off_t)at), 1);
        byte = (uint8_t)((byte & ~mask) | (value << shift & mask));
        put(&s, at, &byte, 1);
    }
}

/* An image of one guest cluster, which is in a hole of the host file. The refcount block is written
 * as zeros and synced, so that later writes to it do not change the file's allocated size. */
static void make(unsigned order)
{
    make_qcow2(&s, CLUSTER, BITS);
    put_be(&s, Q_REFCOUNT_ORDER, 4, order);
    put_be(&s, L1, 8, L2);
    put_be(&s, L2, 8, DATA_AT);
    put(&s, BLOCK, (uint8_t[CLUSTER]){0}, CLUSTER);
    assert_int_equal(fsync(s.fd), 0);
}

/* The number of clusters that must have a refcount. */
static uint64_t threshold(uint64_t cluster)
{
    uint64_t occupied;

    sample_session(&s);
    occupied = image_disk_size(s.img) / cluster;
    return occupied * 10 / 9 > occupied + 2 ? occupied * 10 / 9 : occupied + 2;
}

static void assert_counts(bool counts)
{
    reopen(&s);
    if (counts)
        ASSERT_EXTENTS(
            &s, EXTENTS_WANT_HOST,
            {.length = CLUSTER, .kind = EXTENT_ZERO, .host = DATA_AT, .flags = EXTENT_HOST_HOLES});
    else
        ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(CLUSTER, DATA_AT));
}

/* For each width, refcounts with the lowest or highest bit set, of the first clusters, of the last
 * ones, and of scattered ones. */
static void test_widths(void **state)
{
    (void)state;
    for (unsigned order = 0; order <= 6; order++)
        for (unsigned shape = 0; shape < 4; shape++) {
            uint64_t value = shape & 1 ? UINT64_C(1) << ((1U << order) - 1) : 1, needed;

            make(order);
            needed = threshold(CLUSTER);
            assert_true(needed > 2 && needed < 40);
            for (uint64_t i = 0; i < needed; i++) {
                uint64_t index = shape == 0   ? i
                                 : shape == 1 ? 127 - i
                                 : shape == 2 ? 3 * i + 1
                                              : 3 * i + 2;

                assert_counts(false);
                set_refcount(BLOCK, order, index, value);
            }
            assert_counts(true);
        }
}

/* A ninth more, where that is more than two. */
static void test_threshold(void **state)
{
    uint64_t needed;

    (void)state;
    make(4);
    put(&s, 60 * CLUSTER, memset((uint8_t[40 *CLUSTER]){0}, 1, 40 * CLUSTER), 40 * CLUSTER);
    assert_int_equal(fsync(s.fd), 0);
    needed = threshold(CLUSTER);
    assert_true(needed > image_disk_size(s.img) / CLUSTER + 2);
    for (uint64_t i = 0; i < needed - 1; i++)
        set_refcount(BLOCK, 4, i, 1);
    assert_counts(false);
    set_refcount(BLOCK, 4, 127, 1);
    assert_counts(true);
}

/* Refcounts of clusters past the end of the file do not count. That of a partial last cluster does.
 */
static void test_file_end(void **state)
{
    (void)state;
    for (unsigned order = 0; order <= 6; order++) {
        uint64_t needed;

        make(order);
        set_size(&s, 125 * CLUSTER);
        needed = threshold(CLUSTER);
        for (uint64_t i = 0; i < needed - 1; i++)
            set_refcount(BLOCK, order, i, 1);
        for (uint64_t i = 125; i < 200; i++)
            set_refcount(BLOCK, order, i, 1);
        assert_counts(false);
        set_size(&s, 125 * CLUSTER + 1);
        assert_int_equal(threshold(CLUSTER), needed);
        assert_counts(true);
    }
}

/* With preallocated metadata, data past the end of the host file reads as zeros, too. */
static void test_data_past_the_end(void **state)
{
    (void)state;
    make(4);
    put_be(&s, L2, 8, UINT64_C(1) << 40);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0));
    for (uint64_t i = 0; i < 64; i++)
        set_refcount(BLOCK, 4, i, 1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, ZERO(CLUSTER));
}

/* Invalid or missing refcount tables and blocks count as no refcounts. */
static void test_bad_table(void **state)
{
    (void)state;
    make(4);
    for (uint64_t i = 0; i < 64; i++)
        set_refcount(BLOCK, 4, i, 1);
    assert_counts(true);
    put_be(&s, 2 * CLUSTER, 8, BLOCK + 512);
    assert_counts(false);
    assert_string_equal(image_problems(s.img), "");
    put_be(&s, 2 * CLUSTER, 8, BLOCK + 511); /* reserved bits */
    assert_counts(true);
    put_be(&s, 2 * CLUSTER, 8, 0);
    assert_counts(false);
    put_be(&s, 2 * CLUSTER, 8, UINT64_C(1) << 50);
    assert_counts(false);
    put_be(&s, 2 * CLUSTER, 8, BLOCK);
    put_be(&s, Q_REFCOUNT_TABLE_OFFSET, 8, UINT64_C(1) << 50);
    assert_counts(false);
}

/* Several blocks. With 64 bits and clusters of 512 bytes each has refcounts of 64 clusters. */
static void test_blocks(void **state)
{
    enum { SMALL = 512, TABLE = 2 * SMALL, BLOCKS = 8 * SMALL };
    uint64_t needed;

    (void)state;
    make_qcow2(&s, SMALL, 9);
    put_be(&s, Q_REFCOUNT_ORDER, 4, 6);
    put_be(&s, SMALL, 8, 4 * SMALL);
    put_be(&s, 4 * SMALL, 8, 512 * KIB);
    set_size(&s, MIB);
    put(&s, BLOCKS, (uint8_t[8 * SMALL]){0}, 8 * SMALL);
    /* Block n for entry 2n: those between are missing. */
    for (uint64_t n = 0; n < 8; n++)
        put_be(&s, TABLE + 16 * n, 8, BLOCKS + n * SMALL);
    assert_int_equal(fsync(s.fd), 0);
    /* The last cluster but one of block 14 ends the file. */
    set_size(&s, (14 * 64 + 63) * SMALL);
    needed = threshold(SMALL);
    for (uint64_t i = 0; i < needed - 1; i++)
        set_refcount(BLOCKS, 6, 7 * i % 448, 1);
    set_refcount(BLOCKS + 7 * SMALL, 6, 63, 1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(SMALL, 0));
    set_refcount(BLOCKS + 7 * SMALL, 6, 62, 1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, ZERO(SMALL));
    put_be(&s, TABLE + 16 * 7, 8, 0);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(SMALL, 0));
}

/* A table longer than the 32 Ki entries that are read at once. */
static void test_long_table(void **state)
{
    enum { SMALL = 512, PIECE = 32 << 10, AT = 64 * SMALL };
    const uint64_t table = MIB;

    (void)state;
    make_qcow2(&s, SMALL, 9);
    put_be(&s, Q_REFCOUNT_ORDER, 4, 6);
    put_be(&s, Q_REFCOUNT_TABLE_OFFSET, 8, table);
    put_be(&s, Q_REFCOUNT_TABLE_CLUSTERS, 4, 513);
    put_be(&s, SMALL, 8, 4 * SMALL);
    put_be(&s, 4 * SMALL, 8, 512 * KIB);
    set_size(&s, 2 * GIB);
    put_be(&s, table + UINT64_C(8) * (PIECE + 63), 8, AT);
    for (uint64_t i = 0; i < 64; i++)
        set_refcount(AT, 6, i, 1);
    assert_int_equal(fsync(s.fd), 0);
    assert_true(threshold(SMALL) <= 64);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, ZERO(SMALL));
    /* With one cluster less, that entry is past the end of the table. */
    put_be(&s, Q_REFCOUNT_TABLE_CLUSTERS, 4, 512);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(SMALL, 0));
}

/* A block longer than the 2 Mi refcounts of one bit that are read at once. With clusters of 2 MiB
 * that needs a sparse file of 4 TiB. */
static void test_long_block(void **state)
{
    const uint64_t cluster = 2 * MIB, piece = 2 << 20;
    uint64_t needed;

    (void)state;
    make_qcow2(&s, cluster, 21);
    put_be(&s, Q_REFCOUNT_ORDER, 4, 0);
    put_be(&s, cluster, 8, 4 * cluster);
    put_be(&s, 4 * cluster, 8, 64 * cluster);
    set_size(&s, (piece + 100) * cluster);
    needed = threshold(cluster) + 1;
    assert_true(needed < 10);
    for (uint64_t i = 0; i < needed - 1; i++)
        set_refcount(3 * cluster, 0, i ? piece + 99 - i : piece - 1, 1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, ZERO(cluster));
    assert_true(image_bytes_read(s.img) < 8 * MIB);
    set_refcount(3 * cluster, 0, piece - 1, 0);
    set_refcount(3 * cluster, 0, piece + 98, 0);
    set_refcount(3 * cluster, 0, piece + 100, 1); /* past the end of the file */
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(cluster, 0));
}

/* Refcounts are only read for images with data that is not compressed. */
static void test_asked_late(void **state)
{
    uint64_t before;

    (void)state;
    make(4);
    put_be(&s, L2, 8, Q_COMPRESSED | 1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0));
    before = image_bytes_read(s.img);
    put_be(&s, L2, 8, DATA_AT);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0));
    assert_true(image_bytes_read(s.img) > before);
}

/* Data after compressed data may be in a hole of the host file. */
static void test_behind_compressed(void **state)
{
    (void)state;
    make(4);
    put_be(&s, Q_SIZE, 8, 2 * CLUSTER);
    put_be(&s, L2, 8, Q_COMPRESSED | 1);
    put_be(&s, L2 + 8, 8, DATA_AT);
    for (uint64_t i = 0; i < threshold(CLUSTER); i++)
        set_refcount(BLOCK, 4, i, 1);
    reopen(&s);
    ASSERT_EXTENTS(&s, 0, DATA(CLUSTER, 0), ZERO(CLUSTER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths),     cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_file_end),   cmocka_unit_test(test_data_past_the_end),
        cmocka_unit_test(test_bad_table),  cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_long_table), cmocka_unit_test(test_long_block),
        cmocka_unit_test(test_asked_late), cmocka_unit_test(test_behind_compressed),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
