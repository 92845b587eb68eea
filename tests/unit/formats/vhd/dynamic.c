// SPDX-License-Identifier: Apache-2.0
/* vpc: the rules of the dynamic header and of the block allocation table. */
#include "tests/support/unit-map-check.h"
#include "tests/support/vhd-image.h"

#include <errno.h>
#include <stdlib.h>

#define BLOCK (2 * MIB)

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {DYNAMIC_AT, 1, 'C', EUCLEAN, "dynamic disk header"},
        {DYNAMIC_BLOCK_SIZE, 4, 0, EUCLEAN, "block size 0"},
        {DYNAMIC_BLOCK_SIZE, 4, 256, EUCLEAN, "block size 256"},
        {DYNAMIC_BLOCK_SIZE, 4, 3 << 20, EUCLEAN, "block size 3145728"},
        {DYNAMIC_BLOCK_SIZE, 4, UINT32_MAX, EUCLEAN, "block size 4294967295"},
        {DYNAMIC_BLOCK_SIZE, 4, 1 << 20, EUCLEAN, "blocks of 1048576 bytes"},
        {DYNAMIC_ENTRIES, 4, 3, EUCLEAN, "max_table_entries 3"},
        {DYNAMIC_ENTRIES, 4, 0, EUCLEAN, "max_table_entries 0"},
        {DYNAMIC_ENTRIES, 4, 129, EUCLEAN, "129 entries"},
        {DYNAMIC_ENTRIES, 4, UINT32_MAX, EUCLEAN, "4294967295 entries"},
        {DYNAMIC_TABLE_OFFSET, 8, 2545, EUCLEAN, "offset 2545"},
        {DYNAMIC_TABLE_OFFSET, 8, UINT64_MAX, EUCLEAN, "offset 18446744073709551615"},
        {DYNAMIC_TABLE_OFFSET, 8, UINT64_MAX - 15, EUCLEAN, "offset 18446744073709551600"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_dynamic(&s, 4 * BLOCK, BLOCK, DYNAMIC);
        assert_int_equal(sample_open(&s, &vhd_driver), 0);
        put_be(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &vhd_driver, defects[i].error, defects[i].words);
    }
}

/* Values at the edge of the rules. */
static void test_header_edges(void **state)
{
    (void)state;
    make_dynamic(&s, 4 * BLOCK, BLOCK, DYNAMIC);
    put_be(&s, DYNAMIC_TABLE_OFFSET, 8, 2544);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    /* The table may end in the last sector of the file, which may be incomplete. */
    set_size(&s, 2545);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    set_size(&s, DYNAMIC_AT + 1024);
    assert_refused(&s, &vhd_driver, EUCLEAN, "block allocation table");
    set_size(&s, DYNAMIC_AT + 1023);
    assert_refused(&s, &vhd_driver, EUCLEAN, "dynamic disk header");
    make_dynamic(&s, 4 * BLOCK, BLOCK, DYNAMIC);
    put_be(&s, DYNAMIC_ENTRIES, 4, 128);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    put_be(&s, DYNAMIC_BLOCK_SIZE, 4, UINT64_C(1) << 31);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    ASSERT_EXTENTS(&s, 0, ZERO(4 * BLOCK));
    /* The checksum of the dynamic header is ignored, as in qemu. */
    put_be(&s, DYNAMIC_AT + 36, 4, 1);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
}

static void entry(uint64_t index, uint32_t sector)
{
    put_be(&s, BAT_AT + 4 * index, 4, sector);
}

static void test_blocks(void **state)
{
    (void)state;
    /* The last block is partial. The bitmap of a block takes one sector. */
    make_dynamic(&s, 6 * BLOCK + 512, BLOCK, DYNAMIC);
    set_size(&s, 16 * MIB);
    entry(0, 8);
    entry(1, 8 + 4097);
    entry(3, 8);
    entry(4, 0);
    entry(6, 100);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(BLOCK, 9 * 512), DATA(BLOCK, 9 * 512 + 4097 * 512),
                   ZERO(BLOCK), DATA(BLOCK, 9 * 512), DATA(BLOCK, 512), ZERO(BLOCK),
                   DATA(512, 101 * 512));
    ASSERT_EXTENTS(&s, 0, DATA(2 * BLOCK, 0), ZERO(BLOCK), DATA(2 * BLOCK, 0), ZERO(BLOCK),
                   DATA(512, 0));
}

/* Extents that begin within a block. */
static void test_extent_within(void **state)
{
    struct extent e = {.offset = BLOCK + 1000, .host = EXTENT_NO_HOST};

    (void)state;
    make_dynamic(&s, 3 * BLOCK, BLOCK, DYNAMIC);
    set_size(&s, 16 * MIB);
    entry(1, 8);
    entry(2, 5000);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(vhd_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.host, 9 * 512 + 1000);
    assert_int_equal(e.length, BLOCK - 1000);
    assert_int_equal(vhd_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.length, 2 * BLOCK - 1000);
}

/* A block may end in the last sector of the file, but not one sector later. */
static void test_block_at_the_end(void **state)
{
    (void)state;
    make_dynamic(&s, 2 * BLOCK, BLOCK, DYNAMIC);
    set_size(&s, 10 * 512 + 512 + BLOCK - 511);
    entry(1, 10);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, ZERO(BLOCK), DATA(BLOCK, 11 * 512));
    entry(1, 11);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "block 1 at sector 11");
    entry(1, UINT32_MAX - 1);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_stream_fails(&s, EXTENTS_WANT_HOST, EUCLEAN, "block 1 at sector 4294967294");
    /* The file is too short for any block. */
    set_size(&s, BLOCK);
    entry(0, 0);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "block 0 at sector 0");
}

/* A bad entry ends the run before it, which is returned. */
static void test_bad_entry_in_a_run(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    make_dynamic(&s, 4 * BLOCK, BLOCK, DYNAMIC);
    set_size(&s, 8 * MIB);
    for (uint64_t i = 0; i < 3; i++)
        entry(i, i == 2 ? 1 << 20 : 8);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    extents_begin(&stream, &s.disk, 0);
    assert_int_equal(extents_next(&stream, &e), 1);
    assert_int_equal(e.length, 2 * BLOCK);
    assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
    assert_reported(s.img, "block 2 at sector 1048576");
}

/* Bitmaps are whole sectors. 2 MiB is the largest block with a bitmap of one sector. */
static void test_bitmap_sizes(void **state)
{
    static const struct {
        uint32_t block;
        uint64_t bitmap;
    } sizes[] = {{512, 512}, {2 << 20, 512}, {4 << 20, 1024}, {UINT32_C(1) << 31, 512 << 10}};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        make_dynamic(&s, sizes[i].block, sizes[i].block, DYNAMIC);
        set_size(&s, 3 * GIB);
        entry(0, 5);
        assert_int_equal(sample_open(&s, &vhd_driver), 0);
        ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(sizes[i].block, 5 * 512 + sizes[i].bitmap));
    }
}

/* A table that is longer than what is read at once, 256 Ki entries. */
static void test_long_table(void **state)
{
    enum { PIECE = 256 << 10, ENTRIES = 2 * PIECE + 7 };

    (void)state;
    make_dynamic(&s, 512, 512, DYNAMIC);
    put_footer(&s, 0, &(struct footer){"win ", UINT64_C(512) * ENTRIES, 0, DYNAMIC, 0});
    put_be(&s, DYNAMIC_ENTRIES, 4, ENTRIES);
    set_size(&s, 4 * MIB); /* the entries from the second on are 0 */
    entry(PIECE, UINT32_MAX);
    entry(2 * PIECE, UINT32_MAX);
    entry(2 * PIECE + 6, UINT32_MAX);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(512), DATA((PIECE - 1) * UINT64_C(512), 0),
                   ZERO(512), DATA((PIECE - 1) * UINT64_C(512), 0), ZERO(512), DATA(5 * 512, 0),
                   ZERO(512));
    assert_true(image_bytes_read(s.img) < 3 * MIB);
}

/* The file is truncated while it is open. */
static void test_shortened(void **state)
{
    struct extent e = {.offset = 5 * BLOCK};

    (void)state;
    make_dynamic(&s, 8 * BLOCK, BLOCK, DYNAMIC);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    set_size(&s, 2048);
    assert_int_equal(vhd_driver.extent_at(&s.disk, e.offset, 0, &e), -EIO);
    assert_reported(s.img, "shorter");
}

/* In bulk: valid blocks, holes, and entries past the end of the file, across words. */
static void test_bulk(void **state)
{
    (void)state;
    srand(3);
    for (uint32_t block_size = 512; block_size <= 2 * MIB; block_size *= 8) {
        make_dynamic(&s, UINT64_C(3000) * block_size + 512, block_size, DYNAMIC);
        set_size(&s, 16 * MIB);
        for (uint32_t i = 0; i < 3000; i++)
            put_be(&s, BAT_AT + 4 * i, 4,
                   rand() % 200 == 0 ? 0x7fffffff
                   : random_bit(i)   ? 100
                                     : UINT32_MAX);
        assert_int_equal(sample_open(&s, &vhd_driver), 0);
        assert_bulk(&s, 512);
    }
    make_fixed(&s, MIB);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_bulk(&s, MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_header_edges),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_extent_within),
        cmocka_unit_test(test_block_at_the_end),
        cmocka_unit_test(test_bad_entry_in_a_run),
        cmocka_unit_test(test_bitmap_sizes),
        cmocka_unit_test(test_long_table),
        cmocka_unit_test(test_shortened),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
