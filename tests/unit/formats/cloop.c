// SPDX-License-Identifier: Apache-2.0
/* cloop: its script, the rules of its header, the table of offsets, and the blocks. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "detect/detect.h"
#include "tests/support/header-value.h"

enum { BLOCK_SIZE_AT = 128, BLOCKS_AT = 132, OFFSETS_AT = 136, BLOCK = 64 << 10 };

#define SCRIPT                                                                                     \
    "#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void offset_is(uint64_t index, uint64_t offset)
{
    put_be(&s, OFFSETS_AT + 8 * index, 8, offset);
}

/* Makes blocks of which block i is full of the byte i + 1. Returns the end of the last one. */
static uint64_t make(uint32_t blocks)
{
    uint64_t at = OFFSETS_AT + 8 * (blocks + UINT64_C(1));

    sample_begin(&s);
    put_text(&s, 0, SCRIPT);
    put_be(&s, BLOCK_SIZE_AT, 4, BLOCK);
    put_be(&s, BLOCKS_AT, 4, blocks);
    for (uint32_t i = 0; i < blocks; i++) {
        uint8_t plain[BLOCK], stream[1024];
        uLong length = sizeof stream;

        memset(plain, (int)i + 1, sizeof plain);
        assert_int_equal(compress(stream, &length, plain, sizeof plain), Z_OK);
        offset_is(i, at);
        put(&s, at, stream, length);
        at += length;
    }
    offset_is(blocks, at);
    return at;
}

static const struct format_driver *found(void)
{
    struct detection d;

    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    return d.driver;
}

/* The whole script is the signature; what follows it does not matter. */
static void test_detection(void **state)
{
    (void)state;
    make(1);
    assert_ptr_equal(found(), &cloop_driver);
    put_text(&s, strlen(SCRIPT), "exit $?\n");
    assert_ptr_equal(found(), &cloop_driver);
    put_text(&s, strlen(SCRIPT) - 1, " ");
    assert_ptr_equal(found(), &raw_driver);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    make(1);
    put_text(&s, 0, "$");
    assert_ptr_equal(found(), &raw_driver);
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {BLOCK_SIZE_AT, 4, 0, EUCLEAN, "block_size 0"},
        {BLOCK_SIZE_AT, 4, 513, EUCLEAN, "block_size 513"},
        {BLOCK_SIZE_AT, 4, (64 << 20) + 512, EFBIG, "block_size 67109376"},
        {BLOCK_SIZE_AT, 4, UINT32_C(0xfffffe00), EFBIG, "block_size 4294966784"},
        {BLOCKS_AT, 4, 64 << 20, EFBIG, "num_blocks 67108864"},
        {BLOCKS_AT, 4, UINT32_MAX, EFBIG, "num_blocks 4294967295"},
        {BLOCKS_AT, 4, (64 << 20) - 1, EUCLEAN, "offset table (536870912 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make(3);
        assert_int_equal(sample_open(&s, &cloop_driver), 0);
        put_be(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &cloop_driver, defects[i].error, defects[i].words);
    }
    make(3);
    set_size(&s, OFFSETS_AT + 31);
    assert_refused(&s, &cloop_driver, EUCLEAN, "offset table (32 bytes");
    set_size(&s, OFFSETS_AT + 32);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
}

/* The largest table and the largest blocks: 4 PiB; 32 bits of sectors would end at 2 TiB. */
static void test_largest(void **state)
{
    (void)state;
    make(0);
    put_be(&s, BLOCK_SIZE_AT, 4, 64 << 20);
    put_be(&s, BLOCKS_AT, 4, (64 << 20) - 1);
    set_size(&s, OFFSETS_AT + 512 * MIB);
    offset_is(0, 0);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_int_equal(s.disk.virtual_size, ((64 << 20) - UINT64_C(1)) * (64 * MIB));
}

static void test_blocks(void **state)
{
    struct extent e = {.offset = BLOCK + 100, .host = EXTENT_NO_HOST};

    (void)state;
    make(3);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_null(s.disk.subformat);
    assert_int_equal(s.disk.virtual_size, 3 * BLOCK);
    ASSERT_EXTENTS(&s, 0, DATA(3 * BLOCK, 0));
    assert_int_equal(cloop_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.length, BLOCK - 100);
    assert_int_equal(e.flags, EXTENT_COMPRESSED);
    assert_true(e.host == EXTENT_NO_HOST);
    assert_int_equal(cloop_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.length, 2 * BLOCK - 100);
    make(0);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
}

static void test_content(void **state)
{
    uint8_t bytes[BLOCK + 4];

    (void)state;
    make(3);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_int_equal(disk_read(&s.disk, BLOCK - 2, bytes, BLOCK + 4), 0);
    assert_memory_equal(bytes, "\1\1\2\2", 4);
    assert_memory_equal(bytes + BLOCK, "\2\2\3\3", 4);
    assert_int_equal(disk_read(&s.disk, 3 * BLOCK - 2, bytes, 4), 0);
    assert_memory_equal(bytes, "\3\3\0\0", 4);
}

/* A block that is decompressed in several pieces; the piece that was read last is kept. */
static void test_pieces(void **state)
{
    enum { LARGE = 1 << 20, REST = 512 };
    static uint8_t plain[LARGE + REST], stream[2 * LARGE], bytes[LARGE];
    uLong length = sizeof stream;
    uint64_t before;

    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i >> 8 ^ i * 7);
    assert_int_equal(compress(stream, &length, plain, sizeof plain), Z_OK);
    make(1);
    put_be(&s, BLOCK_SIZE_AT, 4, sizeof plain);
    offset_is(1, OFFSETS_AT + 16 + length);
    put(&s, OFFSETS_AT + 16, stream, length);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_int_equal(disk_read(&s.disk, LARGE - 100, bytes, 100 + REST), 0);
    assert_memory_equal(bytes, plain + LARGE - 100, 100 + REST);
    assert_int_equal(disk_read(&s.disk, 1000, bytes, 3 * BLOCK / 4), 0);
    assert_memory_equal(bytes, plain + 1000, 3 * BLOCK / 4);
    assert_int_equal(disk_read(&s.disk, 12345, bytes, LARGE - 12345), 0);
    assert_memory_equal(bytes, plain + 12345, LARGE - 12345);
    assert_int_equal(disk_read(&s.disk, LARGE, bytes, REST), 0);
    before = image_bytes_read(s.img);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(disk_read(&s.disk, LARGE + 5, bytes, 7), 0);
        assert_memory_equal(bytes, plain + LARGE + 5, 7);
        assert_int_equal(disk_read(&s.disk, LARGE + 2, bytes, 7), 0);
        assert_memory_equal(bytes, plain + LARGE + 2, 7);
    }
    assert_int_equal(image_bytes_read(s.img), before);
}

/* Blocks that cannot be decompressed are data: their table entries are valid. */
static void test_bad_streams(void **state)
{
    uint8_t bytes[512];
    uint64_t last = make(3), before;

    (void)state;
    put_be(&s, OFFSETS_AT + 32, 4, UINT32_MAX);
    set_size(&s, last - 1);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_reported(s.img, "last block ends at offset");
    ASSERT_EXTENTS(&s, 0, DATA(3 * BLOCK, 0));
    assert_int_equal(disk_read(&s.disk, 0, bytes, 512), -EUCLEAN);
    assert_reported(s.img, "block at offset 168");
    before = image_bytes_read(s.img);
    assert_int_equal(disk_read(&s.disk, 512, bytes, 512), -EUCLEAN);
    assert_int_equal(image_bytes_read(s.img), before); /* the failure is remembered */
    assert_int_equal(disk_read(&s.disk, BLOCK, bytes, 512), 0);
    /* An empty block, and one past the end of the file. */
    offset_is(1, 168);
    offset_is(2, last);
    offset_is(3, last + 1);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    ASSERT_EXTENTS(&s, 0, DATA(3 * BLOCK, 0));
    assert_int_equal(disk_read(&s.disk, 0, bytes, 1), -EUCLEAN);
    assert_int_equal(disk_read(&s.disk, 2 * BLOCK, bytes, 1), -EIO);
}

static void test_offset_rules(void **state)
{
    static const struct {
        uint64_t index, offset;
        const char *words; /* NULL: accepted */
    } cases[] = {
        {0, 0, NULL},
        {0, UINT64_MAX, "block 0 from offset 18446744073709551615"},
        {1, 167, "block 0 from offset 168 to 167"},
        {1, 168, NULL},
        {3, 0, "block 2 from offset"},
        {3, 168 + (128 << 20), NULL},
        {3, UINT64_MAX, "to 18446744073709551615"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (unsigned want = 0; want <= EXTENTS_WANT_HOST; want++) {
            make(3);
            offset_is(cases[i].index, cases[i].offset);
            assert_int_equal(sample_open(&s, &cloop_driver), 0);
            if (cases[i].words)
                assert_stream_fails(&s, want, EUCLEAN, cases[i].words);
            else
                ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(3 * BLOCK, 0));
        }
    }
    /* 128 MiB and a byte. */
    make(1);
    offset_is(1, 152 + (128 << 20));
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    ASSERT_EXTENTS(&s, 0, DATA(BLOCK, 0));
    offset_is(1, 153 + (128 << 20));
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "block 0 from offset 152");
}

/* A table of three pieces; the wrong offset is the first of the last piece. */
static void test_long_table(void **state)
{
    enum { PIECE = 128 << 10, BLOCKS = 2 * PIECE + 5 };

    (void)state;
    make(0);
    put_be(&s, BLOCKS_AT, 4, BLOCKS);
    set_size(&s, OFFSETS_AT + 8 * (BLOCKS + 1));
    offset_is(0, 0);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(UINT64_C(1) * BLOCKS * BLOCK, 0));
    assert_true(image_bytes_read(s.img) < 5 * MIB);
    offset_is(2 * PIECE, 5);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "block 262144 from offset 5 to 0");
}

static void test_fields(void **state)
{
    (void)state;
    make(3);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_header(&s, "", "block_size", "65536");
    assert_header(&s, "", "num_blocks", "3");
    put(&s, 11, "V0.68\0", 6);
    assert_int_equal(sample_open(&s, &cloop_driver), 0);
    assert_header(&s, "", "preamble", "#!/bin/sh\\x0a#V0.68");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection),   cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_largest),     cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_content),     cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_bad_streams), cmocka_unit_test(test_offset_rules),
        cmocka_unit_test(test_long_table),  cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
