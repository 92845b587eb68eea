// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 512, {0, 0}, 560, 4096 * 3},
    {"", 64 * MIB, {1, 1}, 12288, 67244032},
    {"", 64 * MIB, {5, 3}, 4096 * 9, 67244032},
    {"",
     UINT64_C(1) << 41,
     {0, 0},
     8388656,
     4096 * (2049 + (UINT64_C(1) << 29) + (UINT64_C(1) << 20))},
    {"backing_file=x", 64 * MIB, {1, 1}, 67244032, 67244032},

};

static const struct refused_vector refused[] = {

    {"", 0, ENOTSUP, "Image size is too small, cannot be zero length"},
    {"", (UINT64_C(1) << 49) - 2 * MIB + 1, EFBIG, "Image too large"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&qcow_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&qcow_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
