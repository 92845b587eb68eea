// SPDX-License-Identifier: Apache-2.0
/* Zeros of any length, at any address; a byte other than 0 at any place. */
#include "formats/zeros.h"

#include "tests/support/support.h"

static uint8_t bytes[4096 + 64];

static void test_zeros(void **state)
{
    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    for (size_t start = 0; start < 40; start++)
        for (size_t length = 0; length <= 400; length++) {
            memset(bytes + start, 0, length);
            assert_true(are_zeros(bytes + start, length));
            assert_int_equal(bytes[start + length], 0xff);
            assert_false(are_zeros(bytes + start, length + 1));
            memset(bytes + start, 0xff, length);
        }
}

/* Every bit of every byte matters, and none outside. */
static void test_one_bit(void **state)
{
    (void)state;
    memset(bytes, 0, sizeof bytes);
    for (size_t at = 3; at < 3 + 300; at++) {
        bytes[at] = (uint8_t)(1 << at % 8);
        assert_false(are_zeros(bytes + 3, 300));
        assert_true(are_zeros(bytes + 3, at - 3));
        assert_true(are_zeros(bytes + at + 1, 300));
        bytes[at] = 0;
    }
    for (size_t at = 0; at < 4096; at++) {
        bytes[at] = 0x80;
        assert_false(are_zeros(bytes, 4096));
        bytes[at] = 0;
    }
    bytes[4096] = 1;
    assert_true(are_zeros(bytes, 4096));
}

static void test_none(void **state)
{
    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    assert_true(are_zeros(bytes, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_one_bit),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
