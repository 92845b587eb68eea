// SPDX-License-Identifier: Apache-2.0
/* crc32c(): published values, and any length, alignment and division into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "formats/crc32c.h"

static uint8_t bytes[70000];

/* The definition, a bit at a time. */
static uint32_t slow(const uint8_t *p, size_t length)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < length; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint32_t carry = (crc ^ (uint32_t)p[i] >> bit) & 1;

            crc = crc >> 1 ^ (carry ? 0x82f63b78 : 0);
        }
    return ~crc;
}

static void fill(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
}

static void test_published(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, (const uint8_t *)"123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
}

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, bytes, 0), 0);
    assert_int_equal(crc32c(0x12345678, bytes, 0), 0x12345678);
}

static void test_lengths_and_alignments(void **state)
{
    static const size_t lengths[] = {1, 7, 8, 9, 1023, 1024, 1025, 1031, 4096, 65536, 69000};

    (void)state;
    fill();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t start = 0; start < 9; start++)
            assert_int_equal(crc32c(0, bytes + start, lengths[i]), slow(bytes + start, lengths[i]));
}

static void test_pieces(void **state)
{
    static const size_t cuts[] = {0, 1, 8, 1000, 1024, 4099, 65535, 65536};
    uint32_t whole;

    (void)state;
    fill();
    whole = crc32c(0, bytes, 65536);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        uint32_t first = crc32c(0, bytes, cuts[i]);

        assert_int_equal(crc32c(first, bytes + cuts[i], 65536 - cuts[i]), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_lengths_and_alignments),
        cmocka_unit_test(test_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
