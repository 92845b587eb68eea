// SPDX-License-Identifier: Apache-2.0
/* vpc: the sector bitmaps of differencing disks. dynamic.c tests the block allocation table. */
#include "tests/support/vhd-image.h"

#include <errno.h>

#define BLOCK (2 * MIB)

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Puts a block at that sector. Its bitmap begins with these bytes and is filled with rest. */
static void put_block(uint64_t index, uint32_t sector, uint32_t block_size, uint8_t rest,
                      const uint8_t *bits, size_t count)
{
    size_t length = (block_size / 512 + 7) / 8;

    put_be(&s, BAT_AT + 4 * index, 4, sector);
    for (size_t i = 0; i < length; i++)
        put_be(&s, UINT64_C(512) * sector + i, 1, i < count ? bits[i] : rest);
}

#define PUT_BLOCK(index, sector, block_size, rest, ...)                                            \
    put_block(index, sector, block_size, rest, (const uint8_t[]){__VA_ARGS__},                     \
              COUNT(((const uint8_t[]){__VA_ARGS__})))

/* Opens the disk without its parent: holes stay holes. */
static void open_alone(void)
{
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vhd_driver, &(struct open_options){.alone = true}),
                     0);
}

static struct extent extent_at(uint64_t offset, unsigned want)
{
    struct extent e = {.offset = offset, .host = EXTENT_NO_HOST};

    assert_int_equal(vhd_driver.extent_at(&s.disk, offset, want, &e), 0);
    return e;
}

static void assert_extent_at(uint64_t offset, unsigned want, enum extent_kind kind, uint64_t length,
                             uint64_t host)
{
    struct extent e = extent_at(offset, want);

    assert_int_equal(e.kind, kind);
    assert_int_equal(e.length, length);
    assert_int_equal(e.host, host);
    assert_int_equal(e.flags, 0);
}

/* The most significant bit is the first sector. Set: in this file, clear: in the parent. */
static void test_bits(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 8 * MIB);
    PUT_BLOCK(0, 5, BLOCK, 0, 0x81, 0x40, 0, 0xff);
    open_alone();
    ASSERT_EXTENTS(&s, 0, DATA(512, 0), HOLE(6 * 512), DATA(512, 0), HOLE(512), DATA(512, 0),
                   HOLE(14 * 512), DATA(8 * 512, 0), HOLE(BLOCK - 32 * 512));
    for (unsigned want = 0; want < 2; want++) {
        assert_extent_at(0, want, EXTENT_DATA, 512, 6 * 512);
        assert_extent_at(512, want, EXTENT_HOLE, 6 * 512, EXTENT_NO_HOST);
        assert_extent_at(7 * 512, want, EXTENT_DATA, 512, 13 * 512);
        assert_extent_at(9 * 512, want, EXTENT_DATA, 512, 15 * 512);
        assert_extent_at(24 * 512, want, EXTENT_DATA, 8 * 512, 30 * 512);
        /* Extents that begin within a sector. */
        assert_extent_at(7 * 512 + 100, want, EXTENT_DATA, 412, 13 * 512 + 100);
        assert_extent_at(512 + 511, want, EXTENT_HOLE, 5 * 512 + 1, EXTENT_NO_HOST);
    }
}

static void test_whole_blocks(void **state)
{
    (void)state;
    make_dynamic(&s, 4 * BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 16 * MIB);
    PUT_BLOCK(1, 5, BLOCK, 0xff, 0xff);
    PUT_BLOCK(2, 5000, BLOCK, 0, 0);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(BLOCK), DATA(BLOCK, 0), HOLE(2 * BLOCK));
    assert_extent_at(BLOCK, EXTENTS_WANT_HOST, EXTENT_DATA, BLOCK, 6 * 512);
    assert_extent_at(2 * BLOCK, EXTENTS_WANT_HOST, EXTENT_HOLE, BLOCK, EXTENT_NO_HOST);
    /* Only the first and the last sector. */
    PUT_BLOCK(1, 5, BLOCK, 0, 0x80);
    put_be(&s, 5 * 512 + 511, 1, 1);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(BLOCK), DATA(512, 0), HOLE(BLOCK - 1024), DATA(512, 0),
                   HOLE(2 * BLOCK));
    assert_extent_at(2 * BLOCK - 512, EXTENTS_WANT_HOST, EXTENT_DATA, 512, 6 * 512 + BLOCK - 512);
}

/* Runs cross blocks only if host offsets are not requested. */
static void test_joined(void **state)
{
    (void)state;
    make_dynamic(&s, 6 * BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 16 * MIB);
    PUT_BLOCK(0, 5, BLOCK, 0xff, 0x7f);
    PUT_BLOCK(1, 9000, BLOCK, 0xff, 0xff);
    PUT_BLOCK(2, 5000, BLOCK, 0, 0xff, 0x80);
    PUT_BLOCK(4, 14000, BLOCK, 0, 0);
    PUT_BLOCK(5, 14000, BLOCK, 0, 0);
    open_alone();
    assert_extent_at(512, 0, EXTENT_DATA, 2 * BLOCK - 512 + 9 * 512, 7 * 512);
    assert_extent_at(512, EXTENTS_WANT_HOST, EXTENT_DATA, BLOCK - 512, 7 * 512);
    assert_extent_at(BLOCK, EXTENTS_WANT_HOST, EXTENT_DATA, BLOCK, 9001 * 512);
    assert_extent_at(2 * BLOCK + 9 * 512, EXTENTS_WANT_HOST, EXTENT_HOLE, BLOCK - 9 * 512,
                     EXTENT_NO_HOST);
    ASSERT_EXTENTS(&s, 0, HOLE(512), DATA(2 * BLOCK + 8 * 512, 0), HOLE(4 * BLOCK - 9 * 512));
    /* A walk reads each bitmap once. */
    open_alone();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(512), DATA(2 * BLOCK + 8 * 512, 0),
                   HOLE(4 * BLOCK - 9 * 512));
    assert_true(image_bytes_read(s.img) < 5000 + 4 * 512);
}

/* A bad block ends the run before it, which is returned. */
static void test_joined_to_a_bad_block(void **state)
{
    (void)state;
    make_dynamic(&s, 3 * BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 8 * MIB);
    PUT_BLOCK(0, 5, BLOCK, 0xff, 0xff);
    put_be(&s, BAT_AT + 4, 4, 1 << 20);
    open_alone();
    assert_extent_at(0, 0, EXTENT_DATA, BLOCK, 6 * 512);
    assert_stream_fails(&s, 0, EUCLEAN, "block 1 at sector 1048576");
}

/* The disk ends within a block: bits of the bitmap behind the end are ignored. */
static void test_partial_last_block(void **state)
{
    (void)state;
    make_dynamic(&s, BLOCK + 3 * 512, BLOCK, DIFFERENCING);
    set_size(&s, 8 * MIB);
    PUT_BLOCK(1, 5, BLOCK, 0, 0x5f, 0xff);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(BLOCK + 512), DATA(512, 0), HOLE(512));
    PUT_BLOCK(1, 5, BLOCK, 0xff, 0x7f);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(BLOCK + 512), DATA(2 * 512, 0));
}

/* Blocks of up to 4 KiB have a bitmap of one sector, too, of which one byte is used. */
static void test_small_blocks(void **state)
{
    static const uint32_t sizes[] = {512, 1024, 2048, 4096, 8192};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint64_t size = sizes[i];

        make_dynamic(&s, 4 * size, (uint32_t)size, DIFFERENCING);
        set_size(&s, MIB);
        PUT_BLOCK(1, 5, (uint32_t)size, 0, 0x80);
        PUT_BLOCK(2, 100, (uint32_t)size, 0xff, 0xff);
        open_alone();
        if (size == 512)
            ASSERT_EXTENTS(&s, 0, HOLE(512), DATA(1024, 0), HOLE(512));
        else
            ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(size), DATA(512, 0), HOLE(size - 512),
                           DATA(size, 0), HOLE(size));
        assert_extent_at(size, EXTENTS_WANT_HOST, EXTENT_DATA, 512, 6 * 512);
        assert_extent_at(2 * size, EXTENTS_WANT_HOST, EXTENT_DATA, size, 101 * 512);
    }
}

/* A bitmap of 512 KiB is read in pieces. The stream joins runs across pieces. */
static void test_long_bitmap(void **state)
{
    const uint64_t block = UINT64_C(1) << 31;

    (void)state;
    make_dynamic(&s, block, (uint32_t)block, DIFFERENCING);
    set_size(&s, 3 * GIB);
    put_be(&s, BAT_AT, 4, 5);
    for (uint64_t i = 0; i < 3; i++) /* sectors 65536 * 8 - 4 ... + 20 */
        put_be(&s, 5 * 512 + 65536 - 1 + i, 1, i == 0 ? 0x0f : 0xff);
    open_alone();
    image_share_windows(s.img, LAYERS_MAX);
    ASSERT_EXTENTS(&s, 0, HOLE(UINT64_C(524284) * 512), DATA(20 * 512, 0),
                   HOLE(block - UINT64_C(524304) * 512));
    assert_extent_at(UINT64_C(524284) * 512, EXTENTS_WANT_HOST, EXTENT_DATA, 4 * 512,
                     5 * 512 + 524288 + UINT64_C(524284) * 512);
    assert_extent_at(UINT64_C(524288) * 512, EXTENTS_WANT_HOST, EXTENT_DATA, 16 * 512,
                     5 * 512 + 524288 + UINT64_C(524288) * 512);
}

/* A block must end in the file, with its bitmap. */
static void test_past_end(void **state)
{
    (void)state;
    make_dynamic(&s, 2 * BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 10 * 512 + 512 + BLOCK);
    PUT_BLOCK(0, 10, BLOCK, 0xff, 0xff);
    open_alone();
    ASSERT_EXTENTS(&s, 0, DATA(BLOCK, 0), HOLE(BLOCK));
    for (unsigned want = 0; want < 2; want++) {
        put_be(&s, BAT_AT + 4, 4, 11);
        open_alone();
        assert_stream_fails(&s, want, EUCLEAN, "block 1 at sector 11");
        put_be(&s, BAT_AT + 4, 4, UINT32_MAX - 1);
        open_alone();
        assert_stream_fails(&s, want, EUCLEAN, "block 1 at sector 4294967294");
    }
}

/* The file is truncated while it is open. */
static void test_shortened(void **state)
{
    struct extent e = {.offset = BLOCK};

    (void)state;
    make_dynamic(&s, 2 * BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 8 * MIB);
    PUT_BLOCK(1, 5000, BLOCK, 0xff, 0xff);
    open_alone();
    extent_at(0, EXTENTS_WANT_HOST);
    set_size(&s, 5000 * 512);
    assert_int_equal(vhd_driver.extent_at(&s.disk, BLOCK, EXTENTS_WANT_HOST, &e), -EIO);
    assert_reported(s.img, "shorter");
}

/* Sectors in this file can be read without the parent, the others cannot. */
static void test_not_granted(void **state)
{
    uint8_t bytes[1024];

    (void)state;
    make_dynamic(&s, BLOCK, BLOCK, DIFFERENCING);
    set_size(&s, 8 * MIB);
    PUT_BLOCK(0, 5, BLOCK, 0, 0x80);
    put_text(&s, 6 * 512, "data");
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    assert_int_equal(disk_read(&s.disk, 0, bytes, 512), 0);
    assert_memory_equal(bytes, "data", 5);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(disk_read(&s.disk, 0, bytes, 513), -EACCES);
    assert_reported(s.img, "parent_unicode_name");
}

/* The bitmaps of a dynamic disk are ignored. */
static void test_dynamic(void **state)
{
    (void)state;
    make_dynamic(&s, 2 * BLOCK, BLOCK, DYNAMIC);
    set_size(&s, 8 * MIB);
    PUT_BLOCK(0, 5, BLOCK, 0, 0);
    assert_int_equal(sample_open(&s, &vhd_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(BLOCK, 6 * 512), ZERO(BLOCK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_whole_blocks),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_joined_to_a_bad_block),
        cmocka_unit_test(test_partial_last_block),
        cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_long_bitmap),
        cmocka_unit_test(test_past_end),
        cmocka_unit_test(test_shortened),
        cmocka_unit_test(test_not_granted),
        cmocka_unit_test(test_dynamic),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
