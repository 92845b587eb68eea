// SPDX-License-Identifier: Apache-2.0
/* Sizes of raw files. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static void test_raw(void **state)
{
    static const uint64_t sizes[][2] = {{0, 0},     {1, 512},    {511, 512},
                                        {512, 512}, {513, 1024}, {1000001, 1000448}};
    const struct target *raw = &raw_target;
    const uint64_t touched[TARGET_UNITS_MAX] = {3};
    struct target_size size;
    struct reason why;

    (void)state;
    assert_null(raw->units);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(raw->size(&raw->defaults, sizes[i][0], touched, &size, &why), 0);
        assert_int_equal(size.required, sizes[i][1]);
        assert_int_equal(size.fully_allocated, sizes[i][1]);
    }
    assert_int_equal(raw->size(&raw->defaults, UINT64_MAX - 511, touched, &size, &why), 0);
    assert_true(size.required == UINT64_MAX - 511);
    assert_int_equal(raw->size(&raw->defaults, UINT64_MAX - 510, touched, &size, &why), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_raw)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
