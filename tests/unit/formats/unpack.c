// SPDX-License-Identifier: Apache-2.0
/* Compressed streams in a file: complete, damaged, cut off, in steps, and with huge output. */
#include "formats/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/support/support.h"

enum { AT = 1000, DATA_BYTES = 200000 };

static struct sample s = {.fd = -1};
static uint8_t data[DATA_BYTES], got[DATA_BYTES];
static uint64_t packed;                   /* bytes of the stream */
static uint64_t output_size = UINT64_MAX; /* the size given for its output */

static int end(void **state)
{
    (void)state;
    output_size = UINT64_MAX;
    sample_end(&s);
    return 0;
}

/* A file with length bytes of from, compressed, at AT, followed by other bytes. */
static void make(int window_bits, const uint8_t *from, size_t length)
{
    uLong room = compressBound(length) + 64;
    uint8_t *bytes = malloc(room);
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)from, .avail_in = (unsigned)length};

    assert_non_null(bytes);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = bytes;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed = z.total_out;
    deflateEnd(&z);
    sample_begin(&s);
    put(&s, AT, bytes, packed);
    set_size(&s, AT + packed + 4096);
    sample_session(&s);
    free(bytes);
}

/* Text that can be compressed a little. */
static void make_data(void)
{
    uint32_t random = 1;

    for (size_t i = 0; i < DATA_BYTES; i++) {
        random = random * 1103515245 + 12345;
        data[i] = (uint8_t)("etaoin shrdlu\n"[(random >> 16) % 14]);
    }
}

static int unpack_it(uint64_t length, enum packing packing, uint64_t skip, size_t wanted)
{
    const struct packed stream = {"fake", "cluster", packing, AT, length, output_size};

    memset(got, '#', sizeof got);
    return unpack_at(s.img, &stream, skip, got, wanted);
}

static void assert_broken(int result)
{
    assert_int_equal(result, -EUCLEAN);
    assert_string_equal(image_problems(s.img),
                        "fake: cluster at offset 1000 is not a whole deflate stream\n");
}

static void test_whole(void **state)
{
    static const struct {
        int bits;
        enum packing packing;
    } windows[] = {{15, PACKED_ZLIB}, {-12, PACKED_DEFLATE}, {-15, PACKED_DEFLATE}};

    (void)state;
    make_data();
    for (size_t i = 0; i < COUNT(windows); i++) {
        make(windows[i].bits, data, DATA_BYTES);
        assert_int_equal(unpack_it(packed, windows[i].packing, 0, DATA_BYTES), 0);
        assert_memory_equal(got, data, DATA_BYTES);
        /* The given length may be more than that of the stream, and of the file. */
        assert_int_equal(unpack_it(UINT64_MAX, windows[i].packing, 0, DATA_BYTES), 0);
        assert_memory_equal(got, data, DATA_BYTES);
        assert_string_equal(image_problems(s.img), "");
    }
    assert_int_equal(unpack_it(packed, PACKED_DEFLATE, 0, 0), 0);
}

static void test_skip(void **state)
{
    static const uint64_t skips[] = {0, 1, 511, 16383, 16384, 16385, 32768, 100000, DATA_BYTES - 1};

    (void)state;
    make_data();
    output_size = DATA_BYTES;
    make(15, data, DATA_BYTES);
    for (size_t i = 0; i < COUNT(skips); i++) {
        size_t wanted = DATA_BYTES - skips[i] < 5000 ? DATA_BYTES - skips[i] : 5000;

        assert_int_equal(unpack_it(packed, PACKED_ZLIB, skips[i], wanted), 0);
        assert_memory_equal(got, data + skips[i], wanted);
        assert_int_equal(got[wanted], '#');
    }
    assert_string_equal(image_problems(s.img), "");
}

/* The output is shorter than the given size. */
static void test_short(void **state)
{
    (void)state;
    make_data();
    make(15, data, 1000);
    output_size = 1000;
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 0, 1000), 0);
    output_size = UINT64_MAX;
    assert_broken(unpack_it(packed, PACKED_ZLIB, 0, 1001));
    assert_broken(unpack_it(packed, PACKED_ZLIB, 1000, 1));
    assert_broken(unpack_it(packed, PACKED_ZLIB, 1, 1000));
    assert_broken(unpack_it(packed, PACKED_ZLIB, UINT64_MAX - 1, 1));
}

/* The stream or the file ends early: output up to there can be read. */
static void test_cut_off(void **state)
{
    (void)state;
    make_data();
    make(15, data, DATA_BYTES);
    assert_int_equal(unpack_it(packed / 2, PACKED_ZLIB, 0, 1000), 0);
    assert_memory_equal(got, data, 1000);
    assert_string_equal(image_problems(s.img), "");
    assert_broken(unpack_it(packed / 2, PACKED_ZLIB, 0, DATA_BYTES));
    assert_broken(unpack_it(0, PACKED_ZLIB, 0, 1));
    set_size(&s, AT + packed / 2);
    sample_session(&s);
    assert_broken(unpack_it(packed, PACKED_ZLIB, 0, DATA_BYTES));
}

static void test_past_end(void **state)
{
    (void)state;
    make(15, data, 10);
    set_size(&s, AT);
    sample_session(&s);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 0, 10), -EIO);
    assert_string_equal(image_problems(s.img),
                        "fake: cluster at offset 1000 is past the end of the file\n");
    /* The file has become shorter since. */
    make(15, data, 10);
    set_size(&s, AT + 1);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 0, 10), -EIO);
    assert_reported(s.img, "has become shorter");
}

static void test_garbage(void **state)
{
    (void)state;
    make_data();
    make(15, data, 1000);
    /* The wrong kind. */
    assert_broken(unpack_it(packed, PACKED_DEFLATE, 0, 1000));
    put(&s, AT, "not a stream at all", 19);
    sample_session(&s);
    assert_broken(unpack_it(100, PACKED_ZLIB, 0, 1));
    /* A preset dictionary (RFC 1950, FDICT). */
    put(&s, AT, "\x78\xbb\0\0\0\1", 6);
    sample_session(&s);
    assert_broken(unpack_it(100, PACKED_ZLIB, 0, 1));
    /* Nothing but zeros: stored blocks whose length does not match. */
    put(&s, AT, (uint8_t[64]){0}, 64);
    sample_session(&s);
    assert_broken(unpack_it(64, PACKED_DEFLATE, 0, 1));
}

/* Reading in order, or the last bytes again, decompresses nothing twice; nor does a damaged
 * stream. */
static void test_steps(void **state)
{
    uint64_t once;

    (void)state;
    make_data();
    make(15, data, DATA_BYTES);
    output_size = DATA_BYTES;
    for (size_t at = 0; at < DATA_BYTES; at += 1000) {
        assert_int_equal(unpack_it(packed, PACKED_ZLIB, at, 1000), 0);
        assert_memory_equal(got, data + at, 1000);
    }
    once = image_bytes_read(s.img);
    assert_true(once <= packed);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, DATA_BYTES - 10, 10), 0);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, DATA_BYTES - 1000, 1000), 0);
    assert_memory_equal(got, data + DATA_BYTES - 1000, 1000);
    assert_int_equal(image_bytes_read(s.img), once);
    /* Backwards, by steps longer and shorter than the piece that is kept. */
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 500, 70000), 0);
    assert_memory_equal(got, data + 500, 70000);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 70500, 100), 0);
    assert_memory_equal(got, data + 70500, 100);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 70400, 200), 0);
    assert_memory_equal(got, data + 70400, 200);
    put(&s, AT + packed / 2, (uint8_t[3000]){0}, 3000);
    sample_session(&s);
    assert_broken(unpack_it(packed, PACKED_ZLIB, DATA_BYTES - 1, 1));
    once = image_bytes_read(s.img);
    assert_broken(unpack_it(packed, PACKED_ZLIB, DATA_BYTES - 1, 1));
    assert_int_equal(image_bytes_read(s.img), once);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 0, 10), 0);
    assert_memory_equal(got, data, 10);
}

/* A file with frames at AT, followed by other bytes. */
static void make_zstd(size_t first, size_t second, int level)
{
    static uint8_t bytes[2 * DATA_BYTES];
    size_t length = ZSTD_compress(bytes, sizeof bytes, data, first, level);

    if (second)
        length += ZSTD_compress(bytes + length, sizeof bytes - length, data + first, second, level);
    sample_begin(&s);
    packed = length;
    put(&s, AT, bytes, length);
    put(&s, AT + length, data, 4096);
    sample_session(&s);
}

static void test_zstd(void **state)
{
    (void)state;
    make_data();
    output_size = DATA_BYTES;
    for (int level = 1; level <= 19; level += 6)
        for (size_t second = 0; second <= 100000; second += 50000) {
            make_zstd(DATA_BYTES - second, second, level);
            /* At once, then in steps; the bytes that follow are not part of it. */
            assert_int_equal(unpack_it(packed + 4096, PACKED_ZSTD, 0, DATA_BYTES), 0);
            assert_memory_equal(got, data, DATA_BYTES);
            for (size_t at = 0; at < DATA_BYTES; at += 10000) {
                assert_int_equal(unpack_it(packed, PACKED_ZSTD, at, 10000), 0);
                assert_memory_equal(got, data + at, 10000);
            }
            assert_string_equal(image_problems(s.img), "");
        }
}

static void assert_broken_zstd(uint64_t length)
{
    assert_int_equal(unpack_it(length, PACKED_ZSTD, 0, DATA_BYTES), -EUCLEAN);
    assert_string_equal(image_problems(s.img),
                        "fake: cluster at offset 1000 is not a whole zstd stream\n");
    sample_session(&s);
}

static void test_bad_zstd(void **state)
{
    (void)state;
    make_data();
    output_size = DATA_BYTES;
    make_zstd(DATA_BYTES - 1, 0, 3); /* one too few */
    assert_broken_zstd(packed);
    assert_broken_zstd(packed + 4096);
    make_zstd(DATA_BYTES, 0, 3); /* cut off */
    assert_broken_zstd(packed - 1);
    assert_broken_zstd(0);
    put(&s, AT, "no frame", 8);
    assert_broken_zstd(packed);
    /* More output than the given size. */
    make_zstd(DATA_BYTES, 0, 3);
    output_size = DATA_BYTES - 1;
    assert_int_equal(unpack_it(packed, PACKED_ZSTD, 0, DATA_BYTES - 1), -EUCLEAN);
    sample_session(&s);
    assert_int_equal(unpack_it(packed, PACKED_ZSTD, DATA_BYTES - 2, 1), -EUCLEAN);
}

/* A frame of one block, a repeated byte, whose header has that window. */
static int unpack_window(uint8_t descriptor)
{
    /* Magic, no flags, the window; the last block, of 1000 times a byte. */
    const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0, descriptor, 0x43, 0x1f, 0, 'x'};

    sample_begin(&s);
    put(&s, AT, frame, sizeof frame);
    sample_session(&s);
    output_size = 1000;
    return unpack_it(sizeof frame, PACKED_ZSTD, 0, 1000);
}

static void test_zstd_window(void **state)
{
    (void)state;
    assert_int_equal(unpack_window(0), 0); /* 1 KiB */
    assert_int_equal(got[999], 'x');
    assert_int_equal(unpack_window(11 << 3), 0); /* 2 MiB */
    assert_int_equal(got[999], 'x');
    assert_int_equal(unpack_window(11 << 3 | 1), -EFBIG);
    assert_reported(s.img, "fake: cluster at offset 1000 has a zstd window of more than 2097152");
    assert_int_equal(unpack_window(0xff), -EFBIG);
}

/* Two files with streams at the same offset. */
static void test_two_files(void **state)
{
    const struct packed stream = {"fake", "cluster", PACKED_ZLIB, AT, 1000, 10};
    struct image *owned;
    uint8_t bytes[10];
    int fd;

    (void)state;
    make_data();
    make(15, data + 500, 10);
    fd = s.fd;
    s.fd = -1;
    make(15, data, 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(image_open_owned(&owned, s.img, fd, false, true, "owned"), 0);
        assert_int_equal(unpack_at(owned, &stream, 0, bytes, 10), 0);
        assert_memory_equal(bytes, data + 500, 10);
        assert_int_equal(unpack_at(s.img, &stream, 0, bytes, 10), 0);
        assert_memory_equal(bytes, data, 10);
        image_close(owned);
    }
    close(fd);
}

/* A flipped bit in the middle. */
static void test_damaged(void **state)
{
    uint8_t byte;

    (void)state;
    make_data();
    make(15, data, DATA_BYTES);
    assert_int_equal(pread(s.fd, &byte, 1, AT + (off_t)packed / 2), 1);
    byte ^= 0x55;
    put(&s, AT + packed / 2, &byte, 1);
    assert_int_equal(unpack_it(packed, PACKED_ZLIB, 0, 1000), 0);
    assert_memory_equal(got, data, 1000);
    if (unpack_it(packed, PACKED_ZLIB, 0, DATA_BYTES) == 0)
        assert_memory_not_equal(got, data, DATA_BYTES);
}

/* 64 MiB of zeros in 64 KiB: only the wanted bytes are decompressed, and little is kept. */
static void test_bomb(void **state)
{
    static uint8_t zeros[64 << 20];

    (void)state;
    make(-15, zeros, sizeof zeros);
    assert_true(packed < 70000);
    assert_int_equal(unpack_it(packed, PACKED_DEFLATE, 0, 1000), 0);
    assert_memory_equal(got, zeros, 1000);
    assert_true(image_bytes_read(s.img) <= 16 * KIB);
    assert_int_equal(unpack_it(packed, PACKED_DEFLATE, sizeof zeros - 1000, 1000), 0);
    assert_memory_equal(got, zeros, 1000);
    assert_broken(unpack_it(packed, PACKED_DEFLATE, sizeof zeros - 999, 1000));
    /* The work is limited. */
    for (int i = 0; i < 6; i++) {
        unpack_it(packed, PACKED_DEFLATE, 0, 1000);
        unpack_it(packed, PACKED_DEFLATE, sizeof zeros - 1000, 1000);
    }
    assert_int_equal(unpack_it(packed, PACKED_DEFLATE, 0, 1000), -EFBIG);
    assert_reported(s.img, "fake: decompressing cluster takes too long");
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole),     TEST(test_skip),     TEST(test_short),    TEST(test_cut_off),
        TEST(test_garbage),   TEST(test_past_end), TEST(test_damaged),  TEST(test_bomb),
        TEST(test_steps),     TEST(test_zstd),     TEST(test_bad_zstd), TEST(test_zstd_window),
        TEST(test_two_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
