// SPDX-License-Identifier: Apache-2.0
/* Compressed sizes, compared with the libraries, and at the limit. */
#include "formats/targets/compressor.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/support/target-vectors.h"

enum { UNIT = 65536 };

static struct sample s = {.fd = -1};
static uint8_t bytes[UNIT], packed[2 * UNIT];

static int begin(void **state)
{
    (void)state;
    sample_begin(&s);
    sample_session(&s);
    for (size_t i = 0; i < UNIT; i++)
        bytes[i] = (uint8_t)(i % 7 ? i / 999 : random_below(256));
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static int64_t size_of(enum compression kind, size_t limit)
{
    struct compressor *c = compressor_begin(s.img, kind, limit);
    int64_t size;

    assert_non_null(c);
    size = compressor_size(c, bytes, UNIT);
    /* The second call starts afresh. */
    assert_int_equal(compressor_size(c, bytes, UNIT), size);
    compressor_end(c);
    return size;
}

static void test_zlib(void **state)
{
    uLongf length = sizeof packed;

    (void)state;
    assert_int_equal(compress(packed, &length, bytes, UNIT), Z_OK);
    assert_int_equal(size_of(COMPRESSION_ZLIB, 2 * UNIT), length);
}

static void test_zstd(void **state)
{
    size_t length = ZSTD_compress(packed, sizeof packed, bytes, UNIT, ZSTD_CLEVEL_DEFAULT);

    (void)state;
    assert_int_equal(size_of(COMPRESSION_ZSTD, UNIT - 1), length);
    assert_int_equal(size_of(COMPRESSION_ZSTD, length / 2), 0);
}

/* zlib's output does not fit if it fills the buffer to the last byte. */
static void test_limit(void **state)
{
    int64_t size = size_of(COMPRESSION_DEFLATE, UNIT - 1);

    (void)state;
    assert_in_range(size, UNIT / 8, UNIT / 2);
    assert_int_equal(size_of(COMPRESSION_DEFLATE, (size_t)size + 1), size);
    assert_int_equal(size_of(COMPRESSION_DEFLATE, (size_t)size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_zlib, begin, end),
        cmocka_unit_test_setup_teardown(test_zstd, begin, end),
        cmocka_unit_test_setup_teardown(test_limit, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
