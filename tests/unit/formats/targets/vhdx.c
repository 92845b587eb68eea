// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 0, {0}, 74448896, 74448896},
    {"block_size=1M", 0, {0}, 15728640, 15728640},
    {"", 512, {0}, 8 * MIB, 16 * MIB},
    {"", 64 * MIB, {1}, 16777216, 75497472},
    {"", GIB + 512, {1}, 24 * MIB, 8 * MIB + 65 * 16 * MIB},
    {"", 65536 * GIB, {0}, 16777216, 16777216 + 65536 * GIB},
    {"block_size=1M", 65536 * GIB, {0}, 545259520, 545259520 + 65536 * GIB},
    {"log_size=1500k", 20 * MIB, {0}, 9437184, 9 * MIB + 24 * MIB},
    {"log_size=4095M", 20 * MIB, {0}, 4301258752, 4301258752 + 24 * MIB},
    {"subformat=fixed", 512, {0}, 8389120, 17 * MIB},
    {"subformat=fixed", 20 * MIB, {2}, 44 * MIB, 52 * MIB},
    {"subformat=fixed,block_state_zero=off", 20 * MIB, {2}, 28 * MIB, 28 * MIB},
    {"subformat=fixed", 5 * GIB + 512, {0}, 5377098240, 5129 * MIB + 321 * 16 * MIB},
    {"subformat=fixed,block_state_zero=off", 8 * GIB, {0}, 8598323200, 8598323200},

};

static const struct refused_vector refused[] = {

    {"", 65536 * GIB + 1, EFBIG, "Image size too large; max of 64TB"},
    {"block_size=1M,log_size=4095M", UINT64_MAX, EFBIG, "max of 64TB"},
    {"subformat=fixed,block_state_zero=off", 5 * GIB + 512, ENOTSUP,
     "qemu-img cannot open such an image: its last block ends after the end of the file"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&vhdx_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&vhdx_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
