// SPDX-License-Identifier: Apache-2.0
/* Deflate streams inside a file: whole, broken, cut off, and such as make far more than they are.
 */
#include "formats/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "support.h"

enum { AT = 1000, DATA_BYTES = 200000 };

static struct sample s = {.fd = -1};
static uint8_t data[DATA_BYTES], got[DATA_BYTES];
static uint64_t packed; /* bytes of the stream */

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* A file that has length bytes of from, packed, at AT, and more bytes behind it. */
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

/* Text that packs a little. */
static void make_data(void)
{
    uint32_t random = 1;

    for (size_t i = 0; i < DATA_BYTES; i++) {
        random = random * 1103515245 + 12345;
        data[i] = (uint8_t)("etaoin shrdlu\n"[(random >> 16) % 14]);
    }
}

static int inflate_it(uint64_t length, int window_bits, uint64_t skip, size_t wanted)
{
    memset(got, '#', sizeof got);
    return inflate_at(s.img, "fake", "cluster", AT, length, window_bits, skip, got, wanted);
}

static void assert_broken(int result)
{
    assert_int_equal(result, -EUCLEAN);
    assert_string_equal(image_problems(s.img),
                        "fake: cluster at offset 1000 is not a whole deflate stream\n");
}

static void test_whole(void **state)
{
    static const int windows[] = {INFLATE_ZLIB, INFLATE_RAW_4K, INFLATE_RAW_32K};

    (void)state;
    make_data();
    for (size_t i = 0; i < COUNT(windows); i++) {
        make(windows[i], data, DATA_BYTES);
        assert_int_equal(inflate_it(packed, windows[i], 0, DATA_BYTES), 0);
        assert_memory_equal(got, data, DATA_BYTES);
        /* It may claim to be longer than it is, even than the file. */
        assert_int_equal(inflate_it(UINT64_MAX, windows[i], 0, DATA_BYTES), 0);
        assert_memory_equal(got, data, DATA_BYTES);
        assert_string_equal(image_problems(s.img), "");
    }
    assert_int_equal(inflate_it(packed, INFLATE_RAW_32K, 0, 0), 0);
}

static void test_skip(void **state)
{
    static const uint64_t skips[] = {0, 1, 511, 16383, 16384, 16385, 32768, 100000, DATA_BYTES - 1};

    (void)state;
    make_data();
    make(INFLATE_ZLIB, data, DATA_BYTES);
    for (size_t i = 0; i < COUNT(skips); i++) {
        size_t wanted = DATA_BYTES - skips[i] < 5000 ? DATA_BYTES - skips[i] : 5000;

        assert_int_equal(inflate_it(packed, INFLATE_ZLIB, skips[i], wanted), 0);
        assert_memory_equal(got, data + skips[i], wanted);
        assert_int_equal(got[wanted], '#');
    }
    assert_string_equal(image_problems(s.img), "");
}

/* It makes less than is wanted. */
static void test_short(void **state)
{
    (void)state;
    make_data();
    make(INFLATE_ZLIB, data, 1000);
    assert_int_equal(inflate_it(packed, INFLATE_ZLIB, 0, 1000), 0);
    assert_broken(inflate_it(packed, INFLATE_ZLIB, 0, 1001));
    assert_broken(inflate_it(packed, INFLATE_ZLIB, 1000, 1));
    assert_broken(inflate_it(packed, INFLATE_ZLIB, 1, 1000));
    assert_broken(inflate_it(packed, INFLATE_ZLIB, UINT64_MAX, 1));
}

/* Its bytes end, or the file does, before it has made them all: what comes before that is given. */
static void test_cut_off(void **state)
{
    (void)state;
    make_data();
    make(INFLATE_ZLIB, data, DATA_BYTES);
    assert_int_equal(inflate_it(packed / 2, INFLATE_ZLIB, 0, 1000), 0);
    assert_memory_equal(got, data, 1000);
    assert_string_equal(image_problems(s.img), "");
    assert_broken(inflate_it(packed / 2, INFLATE_ZLIB, 0, DATA_BYTES));
    assert_broken(inflate_it(0, INFLATE_ZLIB, 0, 1));
    set_size(&s, AT + packed / 2);
    sample_session(&s);
    assert_broken(inflate_it(packed, INFLATE_ZLIB, 0, DATA_BYTES));
}

static void test_past_end(void **state)
{
    (void)state;
    make(INFLATE_ZLIB, data, 10);
    set_size(&s, AT);
    sample_session(&s);
    assert_int_equal(inflate_it(packed, INFLATE_ZLIB, 0, 10), -EIO);
    assert_string_equal(image_problems(s.img),
                        "fake: cluster at offset 1000 is past the end of the file\n");
    /* The file has become shorter since. */
    make(INFLATE_ZLIB, data, 10);
    set_size(&s, AT + 1);
    assert_int_equal(inflate_it(packed, INFLATE_ZLIB, 0, 10), -EIO);
    assert_said(s.img, "has become shorter");
}

static void test_garbage(void **state)
{
    (void)state;
    make_data();
    make(INFLATE_ZLIB, data, 1000);
    /* The wrong kind. */
    assert_broken(inflate_it(packed, INFLATE_RAW_32K, 0, 1000));
    put(&s, AT, "not a stream at all", 19);
    sample_session(&s);
    assert_broken(inflate_it(100, INFLATE_ZLIB, 0, 1));
    /* A dictionary that nobody has (RFC 1950, FDICT). */
    put(&s, AT, "\x78\xbb\0\0\0\1", 6);
    sample_session(&s);
    assert_broken(inflate_it(100, INFLATE_ZLIB, 0, 1));
    /* Nothing but zeros: stored blocks whose length does not match. */
    put(&s, AT, (uint8_t[64]){0}, 64);
    sample_session(&s);
    assert_broken(inflate_it(64, INFLATE_RAW_4K, 0, 1));
}

/* A flipped bit in the middle. */
static void test_damaged(void **state)
{
    uint8_t byte;

    (void)state;
    make_data();
    make(INFLATE_ZLIB, data, DATA_BYTES);
    assert_int_equal(pread(s.fd, &byte, 1, AT + (off_t)packed / 2), 1);
    byte ^= 0x55;
    put(&s, AT + packed / 2, &byte, 1);
    assert_int_equal(inflate_it(packed, INFLATE_ZLIB, 0, 1000), 0);
    assert_memory_equal(got, data, 1000);
    if (inflate_it(packed, INFLATE_ZLIB, 0, DATA_BYTES) == 0)
        assert_memory_not_equal(got, data, DATA_BYTES);
}

/* 64 MiB of zeros in 64 KiB: what is wanted of it is made, and no more than that is kept. */
static void test_bomb(void **state)
{
    static uint8_t zeros[64 << 20];

    (void)state;
    make(INFLATE_RAW_32K, zeros, sizeof zeros);
    assert_true(packed < 70000);
    assert_int_equal(inflate_it(packed, INFLATE_RAW_32K, 0, 1000), 0);
    assert_memory_equal(got, zeros, 1000);
    assert_true(image_bytes_read(s.img) <= 16 * KIB);
    assert_int_equal(inflate_it(packed, INFLATE_RAW_32K, sizeof zeros - 1000, 1000), 0);
    assert_memory_equal(got, zeros, 1000);
    assert_broken(inflate_it(packed, INFLATE_RAW_32K, sizeof zeros - 999, 1000));
    /* As often as one likes, it cannot be. */
    for (int i = 0; i < 4; i++)
        inflate_it(packed, INFLATE_RAW_32K, sizeof zeros - 1000, 1000);
    assert_int_equal(inflate_it(packed, INFLATE_RAW_32K, sizeof zeros - 1000, 1000), -EFBIG);
    assert_said(s.img, "takes too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_skip),
        cmocka_unit_test(test_short),   cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_garbage), cmocka_unit_test(test_past_end),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_bomb),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
