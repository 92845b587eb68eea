// SPDX-License-Identifier: Apache-2.0
/* The BAT of VHDX: the extents that it describes, across chunks and pieces, and invalid entries. */
#include "tests/support/vhdx-image.h"

#include <errno.h>

/* Opens the image and compares its joined extents with those expected. */
static void assert_blocks(unsigned want, const struct extent *expected, size_t count)
{
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_extents(&s, want | EXTENTS_WANT_JOINED, expected, count);
}

static void test_states(void **state)
{
    static const struct extent expected[] = {
        HOLE(MIB),          ZERO(MIB),       HOLE(2 * MIB), DATA(2 * MIB, 6 * MIB),
        DATA(MIB, 5 * MIB), HOLE(MIB - 512),
    };

    (void)state;
    make_vhdx(&s, 8 * MIB - 512, MIB, 512);
    set_size(&s, 8 << 20);
    set_block(&s, 1, 2, 99);
    set_block(&s, 2, 1, 99);
    set_block(&s, 3, 3, 99);
    put_le(&s, BAT + 32, 8, 6 * MIB | 0xffff8 | 6); /* reserved bits are ignored */
    set_block(&s, 5, 6, 7);
    set_block(&s, 6, 6, 5);
    assert_blocks(EXTENTS_WANT_HOST, expected, COUNT(expected));
    assert_string_equal(image_problems(s.img), "");
    set_block(&s, 7, 5, 0);
    assert_blocks(EXTENTS_WANT_HOST, expected, COUNT(expected));
    assert_reported(s.img, "block 7 has state 5");
}

static void test_unknown_bytes(void **state)
{
    static const struct {
        uint64_t state, mib;
        const char *key;
    } blocks[] = {
        {4, 0, "state 4"},
        {7, 5, "partially present"},
        {6, 0, "at offset 0"},
        {6, 1, "at offset 1048576"},
        {6, 2, "at offset 2097152"},
        {6, 3, "at offset 3145728"},
        {6, 4, "at offset 4194304"},
        {6, 7, "at offset 7340032"},
        {6, 0xfffffffffff, "at offset 18446744073708503040"},
        {6, 0x7ffffffffff, "at offset 9223372036853727232"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++)
        for (unsigned first = 0; first < 2; first++) {
            make_vhdx(&s, 8 * MIB, MIB, 512);
            set_size(&s, 7 << 20);
            set_block(&s, 2, first ? 6 : 0,
                      first ? 5 : 0); /* the first block of a run, or behind data */
            set_block(&s, 3, blocks[i].state, blocks[i].mib);
            assert_extents_fail(&s, EUCLEAN, blocks[i].key);
        }
}

/* The file must hold the part of the last block that is on the disk, and all of the others. */
static void test_end_of_file(void **state)
{
    static const struct extent expected[] = {DATA(MIB + 1024, 5 * MIB)};

    (void)state;
    make_vhdx(&s, MIB + 1024, MIB, 512);
    set_size(&s, (6 << 20) + 1024);
    set_block(&s, 0, 6, 5);
    set_block(&s, 1, 6, 6);
    assert_blocks(EXTENTS_WANT_HOST, expected, COUNT(expected));
    assert_blocks(0, expected, COUNT(expected));
    set_size(&s, (6 << 20) + 1023);
    assert_extents_fail(&s, EUCLEAN, "block 1 (1024 bytes");
    set_block(&s, 0, 6, 6);
    set_block(&s, 1, 0, 0);
    assert_extents_fail(&s, EUCLEAN, "block 0 (1048576 bytes");
}

/* Blocks on both sides of the regions: a run does not cross them. */
static void test_regions_between(void **state)
{
    static const struct extent data[] = {DATA(4 * MIB, 0)};

    (void)state;
    make_vhdx(&s, 4 * MIB, MIB, 512);
    set_size(&s, 20 << 20);
    put_le(&s, HEADER1 + 72, 8, 8 * MIB);
    put_le(&s, HEADER2 + 72, 8, 8 * MIB);
    seal_all(&s);
    set_block(&s, 0, 6, 7);
    set_block(&s, 1, 6, 9);
    set_block(&s, 2, 6, 1);
    set_block(&s, 3, 6, 19);
    assert_blocks(0, data, COUNT(data));
    set_block(&s, 1, 6, 8);
    assert_extents_fail(&s, EUCLEAN, "block 1");
}

/* Blocks of 256 MiB and sectors of 512 bytes: every 16 payload entries are followed by a sector
 * bitmap entry. */
static void test_chunks(void **state)
{
    static const struct extent contiguous[] = {DATA(40 * 256 * MIB, 5 * MIB)};
    static const struct extent holes[] = {
        DATA(15 * 256 * MIB, 5 * MIB),
        HOLE(2 * 256 * MIB),
        DATA(23 * 256 * MIB, 5 * MIB + 17 * 256 * MIB),
    };

    (void)state;
    make_vhdx(&s, 40 * 256 * MIB, 256 * MIB, 512);
    set_size(&s, 11 * GIB);
    for (uint64_t i = 0; i < 40; i++)
        set_block(&s, i + i / 16, 6, 5 + 256 * i);
    set_block(&s, 16, 7, 3); /* bitmap entries are ignored */
    set_block(&s, 33, 4, 0x7ffffffff);
    assert_blocks(EXTENTS_WANT_HOST, contiguous, COUNT(contiguous));
    assert_blocks(0, contiguous, COUNT(contiguous));
    set_block(&s, 15, 0, 0);
    set_block(&s, 17, 2 + 1, 0);
    assert_blocks(EXTENTS_WANT_HOST, holes, COUNT(holes));
    assert_blocks(0, holes, COUNT(holes));
}

/* With sectors of 4096 bytes, a chunk has eight times as many blocks. */
static void test_chunks_of_large_sectors(void **state)
{
    static const struct extent expected[] = {
        HOLE(128 * 256 * MIB),
        DATA(256 * MIB, 5 * MIB),
        ZERO(256 * MIB),
    };

    (void)state;
    make_vhdx(&s, 130 * 256 * MIB, 256 * MIB, 4096);
    set_size(&s, GIB);
    set_block(&s, 128, 7, 0);
    set_block(&s, 129, 6, 5);
    set_block(&s, 130, 2, 0);
    assert_blocks(EXTENTS_WANT_HOST, expected, COUNT(expected));
}

/* A BAT of more than one piece: 131072 entries are read at once. Bitmap entries follow every 4096
 * entries. */
static void test_pieces_of_the_bat(void **state)
{
    static const struct extent expected[] = {
        HOLE(131039 * MIB),
        DATA(3 * MIB, 5 * MIB),
        HOLE((200000 - 131042) * MIB),
    };

    (void)state;
    make_vhdx(&s, 200000 * MIB, MIB, 512);
    set_size(&s, 9 << 20);
    /* 31 bitmap entries precede these: the last entry of the first piece, and the first two of the
     * second. */
    set_block(&s, 131039 + 31 + 0, 6, 5);
    set_block(&s, 131039 + 31 + 1, 6, 6);
    set_block(&s, 131039 + 31 + 2, 6, 7);
    assert_blocks(EXTENTS_WANT_HOST, expected, COUNT(expected));
    assert_blocks(0, expected, COUNT(expected));
    assert_true(image_bytes_read(s.img) < 2 << 20);
}

/* Two blocks at the same offset are allowed: their bytes may be right. */
static void test_duplicates(void **state)
{
    static const struct extent expected[] = {DATA(MIB, 5 * MIB), DATA(MIB, 5 * MIB)};
    static const struct extent joined[] = {DATA(2 * MIB, 0)};

    (void)state;
    make_vhdx(&s, 2 * MIB, MIB, 512);
    set_size(&s, 6 << 20);
    set_block(&s, 0, 6, 5);
    set_block(&s, 1, 6, 5);
    assert_blocks(EXTENTS_WANT_HOST, expected, COUNT(expected));
    assert_blocks(0, joined, COUNT(joined));
}

/* An extent that begins within a block. */
static void test_offset_inside(void **state)
{
    struct extent e = {.offset = 3 * MIB + 512};

    (void)state;
    make_vhdx(&s, 64 * MIB, 2 * MIB, 512);
    set_size(&s, 7 << 20);
    set_block(&s, 1, 6, 5);
    assert_int_equal(sample_open(&s, &vhdx_driver), 0);
    assert_int_equal(vhdx_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.kind, EXTENT_DATA);
    assert_int_equal(e.host, 6 * MIB + 512);
    assert_int_equal(e.length, MIB - 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_unknown_bytes),
        cmocka_unit_test(test_end_of_file),
        cmocka_unit_test(test_regions_between),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_chunks_of_large_sectors),
        cmocka_unit_test(test_pieces_of_the_bat),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_offset_inside),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
