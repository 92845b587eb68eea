// SPDX-License-Identifier: Apache-2.0
/* Runs of bits, in both orders and at every alignment, compared with a loop over single bits. */
#include "tests/support/support.h"

#include "formats/sector-bitmap.h"

enum { BYTES = 40, BITS = 8 * BYTES };

static uint8_t bits[BYTES];

static void set_bit(uint64_t n, enum bit_order order, bool value)
{
    uint8_t mask = (uint8_t)(order == MSB_FIRST ? 0x80 >> n % 8 : 1 << n % 8);

    bits[n / 8] = (uint8_t)(value ? bits[n / 8] | mask : bits[n / 8] & ~mask);
}

/* One run of the other value: runs before, in and after it, up to any end. */
static void test_every_alignment(void **state)
{
    (void)state;
    for (unsigned o = MSB_FIRST; o <= LSB_FIRST; o++)
        for (unsigned value = 0; value < 2; value++)
            for (uint64_t first = 0; first < 100; first++)
                for (uint64_t count = 1; count < 130; count += 1 + count / 9) {
                    memset(bits, value ? 0 : 0xff, sizeof bits);
                    for (uint64_t i = first; i < first + count; i++)
                        set_bit(i, o, value);
                    assert_int_equal(sector_bit(bits, first, o), value);
                    assert_int_equal(sector_run_end(bits, first, BITS, o), first + count);
                    assert_int_equal(sector_run_end(bits, first, first + 1, o), first + 1);
                    assert_int_equal(sector_run_end(bits, first + count - 1, BITS, o),
                                     first + count);
                    assert_int_equal(sector_run_end(bits, first + count, BITS, o), BITS);
                    assert_int_equal(sector_run_end(bits, first + count, BITS - 3, o), BITS - 3);
                    if (first) {
                        assert_int_equal(sector_bit(bits, first - 1, o), !value);
                        assert_int_equal(sector_run_end(bits, 0, BITS, o), first);
                    }
                }
}

/* Bits from the end on are ignored. */
static void test_end(void **state)
{
    static const uint8_t byte[1] = {0xf0};

    (void)state;
    assert_int_equal(sector_run_end(byte, 0, 4, MSB_FIRST), 4);
    assert_int_equal(sector_run_end(byte, 0, 3, MSB_FIRST), 3);
    assert_int_equal(sector_run_end(byte, 0, 8, MSB_FIRST), 4);
    assert_int_equal(sector_run_end(byte, 4, 8, MSB_FIRST), 8);
    assert_int_equal(sector_run_end(byte, 0, 8, LSB_FIRST), 4);
    assert_int_equal(sector_run_end(byte, 5, 8, LSB_FIRST), 8);
}

static void test_random(void **state)
{
    uint64_t seed = 12345;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        enum bit_order order = round % 2 ? LSB_FIRST : MSB_FIRST;
        uint64_t first, end, n;

        for (size_t i = 0; i < BYTES; i++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            bits[i] = seed >> 62 == 0 ? (uint8_t)(seed >> 40) : seed >> 62 == 1 ? 0 : 0xff;
        }
        first = (seed >> 33) % (BITS - 1);
        end = n = first + 1;
        while (n < BITS && sector_bit(bits, n, order) == sector_bit(bits, first, order))
            n++;
        end += (seed >> 20) % (BITS - end);
        assert_int_equal(sector_run_end(bits, first, BITS, order), n);
        assert_int_equal(sector_run_end(bits, first, end, order), n < end ? n : end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alignment),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
