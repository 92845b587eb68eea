// SPDX-License-Identifier: Apache-2.0
/* Differencing VHDX: the states of blocks that fall through to the parent, and sector bitmaps. */
#include "tests/support/vhdx-image.h"

#include <errno.h>

/* Makes a differencing disk in a file of so many MiB, with payload from 5 MiB on. */
static void make(uint64_t size, uint64_t block_size, uint64_t sector, uint64_t file_mib)
{
    make_differencing(&s, size, block_size, sector, 1);
    put_locator_text(&s, 0, "relative_path", "p");
    set_size(&s, file_mib << 20);
}

/* Opens the disk without its parent: holes stay holes. */
static void open_alone(void)
{
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vhdx_driver, &(struct open_options){.alone = true}),
                     0);
}

static void assert_extent_at(uint64_t offset, unsigned want, enum extent_kind kind, uint64_t length,
                             uint64_t host)
{
    struct extent e = {.offset = offset, .host = EXTENT_NO_HOST};

    assert_int_equal(vhdx_driver.extent_at(&s.disk, offset, want, &e), 0);
    assert_int_equal(e.kind, kind);
    assert_int_equal(e.length, length);
    assert_int_equal(e.host, host);
}

/* Only a block that is not present falls through to the parent. */
static void test_states(void **state)
{
    (void)state;
    make(8 * MIB, MIB, 512, 9);
    set_block(&s, 1, 1, 99);
    set_block(&s, 2, 2, 99);
    set_block(&s, 3, 3, 99);
    set_block(&s, 5, 6, 6);
    set_block(&s, 6, 6, 7);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(MIB), ZERO(3 * MIB), HOLE(MIB), DATA(2 * MIB, 0), HOLE(MIB));
    assert_string_equal(image_problems(s.img), "");
    assert_extent_at(5 * MIB, EXTENTS_WANT_HOST, EXTENT_DATA, 2 * MIB, 6 * MIB);
    set_block(&s, 4, 5, 99);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(MIB), ZERO(4 * MIB), DATA(2 * MIB, 0), HOLE(MIB));
    assert_reported(s.img, "block 4 has state 5");
    set_block(&s, 7, 4, 0);
    open_alone();
    assert_stream_fails(&s, 0, EUCLEAN, "state 4");
}

/* The least significant bit is the first sector. The bitmap's entry is the last one of the chunk of
 * 4096 blocks. */
static void test_bits(void **state)
{
    (void)state;
    make(4 * MIB, MIB, 512, 9);
    set_block(&s, 0, 7, 5);
    set_block(&s, 1, 7, 6);
    set_block(&s, 2, 6, 7);
    set_block(&s, 4096, 6, 8);
    put_le(&s, 8 * MIB, 8, 0x8000000000000031); /* of block 0: 0, 4, 5, 63 */
    put_le(&s, 8 * MIB + 255, 1, 0xc0);         /* its last two */
    put_le(&s, 8 * MIB + 256, 1, 0x07);         /* the first of block 1 */
    put_le(&s, 8 * MIB + 511, 1, 0x80);
    open_alone();
    ASSERT_EXTENTS(&s, 0, DATA(512, 0), HOLE(3 * 512), DATA(1024, 0), HOLE(57 * 512), DATA(512, 0),
                   HOLE(MIB - 66 * 512), DATA(5 * 512, 0), HOLE(MIB - 4 * 512), DATA(512 + MIB, 0),
                   HOLE(MIB));
    for (unsigned want = 0; want < 2; want++) {
        assert_extent_at(4 * 512 + 10, want, EXTENT_DATA, 1024 - 10, 5 * MIB + 4 * 512 + 10);
        assert_extent_at(512, want, EXTENT_HOLE, 3 * 512, EXTENT_NO_HOST);
    }
    assert_extent_at(MIB - 1024, EXTENTS_WANT_HOST, EXTENT_DATA, 1024, 6 * MIB - 1024);
    assert_extent_at(2 * MIB - 512, EXTENTS_WANT_HOST, EXTENT_DATA, 512, 7 * MIB - 512);
}

static void test_all_and_nothing(void **state)
{
    uint8_t ones[512];

    (void)state;
    memset(ones, 0xff, sizeof ones);
    make(8 * MIB, 2 * MIB, 512, 16);
    for (uint64_t i = 0; i < 4; i++)
        set_block(&s, i, 7, 5 + 2 * i);
    set_block(&s, 2048, 6, 13);
    put(&s, 13 * MIB + 512, ones, sizeof ones);
    put(&s, 13 * MIB + 1024, ones, sizeof ones);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(2 * MIB), DATA(4 * MIB, 0), HOLE(2 * MIB));
    assert_extent_at(2 * MIB, EXTENTS_WANT_HOST, EXTENT_DATA, 2 * MIB, 7 * MIB);
}

/* A bit is a logical sector: with 4096 bytes, a block has an eighth as many. */
static void test_large_sectors(void **state)
{
    (void)state;
    make(3 * MIB + 4096, MIB, 4096, 16);
    for (uint64_t i = 0; i < 4; i++)
        set_block(&s, i, 7, 5 + i);
    set_block(&s, 32768, 6, 9);
    put_le(&s, 9 * MIB, 1, 0x02);
    put_le(&s, 9 * MIB + 31, 1, 0x80);
    put_le(&s, 9 * MIB + 32, 1, 0x01);
    put_le(&s, 9 * MIB + 96, 1, 0x01); /* block 3, which has one sector on the disk */
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(4096), DATA(4096, 0), HOLE(MIB - 3 * 4096), DATA(2 * 4096, 0),
                   HOLE(2 * MIB - 4096), DATA(4096, 0));
    assert_extent_at(4096 + 512, EXTENTS_WANT_HOST, EXTENT_DATA, 4096 - 512, 5 * MIB + 4096 + 512);
}

/* Each chunk has its own bitmap: 4096 blocks of 1 MiB, with sectors of 512 bytes. */
static void test_chunks(void **state)
{
    (void)state;
    make(4098 * MIB, MIB, 512, 12);
    set_block(&s, 4095, 7, 5);
    set_block(&s, 4097, 7, 6); /* block 4096 */
    set_block(&s, 4098, 7, 7);
    set_block(&s, 4096, 6, 8);
    set_block(&s, 2 * 4097 - 1, 6, 9);
    put_le(&s, 8 * MIB, 1, 0xff); /* block 0, which is not present: ignored */
    put_le(&s, 9 * MIB - 1, 1, 0x80);
    put_le(&s, 9 * MIB, 1, 0x01);
    put_le(&s, 9 * MIB + 256, 1, 0x02);
    open_alone();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(4096 * MIB - 512), DATA(1024, 0), HOLE(MIB),
                   DATA(512, 0), HOLE(MIB - 1024));
    assert_extent_at(4096 * MIB - 512, EXTENTS_WANT_HOST, EXTENT_DATA, 512, 6 * MIB - 512);
    assert_extent_at(4096 * MIB, EXTENTS_WANT_HOST, EXTENT_DATA, 512, 6 * MIB);
    assert_extent_at(4096 * MIB - 512, EXTENTS_WANT_HOST, EXTENT_DATA, 512, 6 * MIB - 512);
}

/* The longest bitmap of a block, 256 MiB, fills the window. */
static void test_large_blocks(void **state)
{
    (void)state;
    make(17 * 256 * MIB, 256 * MIB, 512, 1024);
    set_block(&s, 15, 7, 5);
    set_block(&s, 17, 7, 261);
    set_block(&s, 16, 6, 600);
    set_block(&s, 33, 6, 601);
    put_le(&s, 600 * MIB + 15 * 65536 + 65535, 1, 0x80);
    put_le(&s, 601 * MIB, 1, 0x01);
    open_alone();
    ASSERT_EXTENTS(&s, 0, HOLE(16 * 256 * MIB - 512), DATA(1024, 0), HOLE(256 * MIB - 512));
}

/* The bitmap of a partially present block must be present, in a valid place. */
static void test_bad_bitmaps(void **state)
{
    static const struct {
        uint64_t state, mib;
        const char *key;
    } cases[] = {
        {0, 6, "state 0"},
        {1, 6, "state 1"},
        {7, 6, "state 7"},
        {6, 7, "sector bitmap block of chunk 0 (1048576 bytes at offset 7340032)"},
        {6, 0xfffffffffff, "at offset 18446744073708503040"},
        {6, 0, "at offset 0"},
        {6, 2, "at offset 2097152"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make(4 * MIB, MIB, 512, 7);
        set_block(&s, 4096, cases[i].state, cases[i].mib);
        open_alone();
        ASSERT_EXTENTS(&s, 0, HOLE(4 * MIB));
        set_block(&s, 1, 7, 5);
        open_alone();
        assert_stream_fails(&s, 0, EUCLEAN, cases[i].key);
        open_alone();
        assert_extent_at(0, EXTENTS_WANT_HOST, EXTENT_HOLE, MIB, EXTENT_NO_HOST);
    }
    /* The block must be in the file, too. */
    make(4 * MIB, MIB, 512, 7);
    set_block(&s, 4096, 6, 6);
    set_block(&s, 1, 7, 7);
    open_alone();
    assert_stream_fails(&s, 0, EUCLEAN, "block 1 (1048576 bytes at offset 7340032)");
}

/* Bitmaps are read ahead: 64 KiB of bitmap serve 256 blocks. */
static void test_economy(void **state)
{
    (void)state;
    make(1024 * MIB, MIB, 512, 1030);
    for (uint64_t i = 0; i < 1024; i++) {
        set_block(&s, i, 7, 5 + i);
        put_le(&s, 1029 * MIB + 256 * i, 1, 0x80);
    }
    set_block(&s, 4096, 6, 1029);
    open_alone();
    for (uint64_t i = 0; i < 1024; i++)
        assert_extent_at(i * MIB + 7 * 512, EXTENTS_WANT_HOST, EXTENT_DATA, 512,
                         (5 + i) * MIB + 7 * 512);
    assert_true(image_bytes_read(s.img) < MIB);
}

static void test_not_granted(void **state)
{
    uint8_t bytes[1024];

    (void)state;
    make(4 * MIB, MIB, 512, 8);
    set_block(&s, 0, 7, 5);
    set_block(&s, 4096, 6, 6);
    put_le(&s, 6 * MIB, 1, 1);
    put_text(&s, 5 * MIB, "data");
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(disk_read(&s.disk, 0, bytes, 512), 0);
    assert_memory_equal(bytes, "data", 5);
    assert_int_equal(disk_read(&s.disk, 0, bytes, 513), -EACCES);
    assert_reported(s.img, "parent \"p\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),          cmocka_unit_test(test_bits),
        cmocka_unit_test(test_all_and_nothing), cmocka_unit_test(test_large_sectors),
        cmocka_unit_test(test_chunks),          cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_bad_bitmaps),     cmocka_unit_test(test_economy),
        cmocka_unit_test(test_not_granted),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
