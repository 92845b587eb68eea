// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 0, {0}, 2048, 2048},
    {"", 1, {0}, 2560, 2560 + 2097664},
    {"", 64 * MIB, {1}, 2100224, 69225472},
    {"", 2040 * GIB, {0}, 4179968, 4179968 + UINT64_C(1044480) * 2097664},
    {"", 2040 * GIB - 512, {0}, 4179968, 4179968 + UINT64_C(1044480) * 2097664},
    {"force_size=on", 2040 * GIB, {0}, 4179968, 4179968 + UINT64_C(1044480) * 2097664},
    {"subformat=fixed", 1, {1}, 35328, 35328},
    {"subformat=fixed", 2 * MIB, {1}, 2124288, 2124288},
    {"subformat=fixed", 100 * MIB, {1}, 104866304, 104866304},
    {"subformat=fixed", GIB, {1}, 1073996288, 1073996288},
    {"subformat=fixed,force_size=on", 512, {0}, 1024, 1024},
    {"subformat=fixed,force_size=on", GIB, {0}, GIB + 512, GIB + 512},
    {"subformat=fixed", 2040 * GIB, {0}, 2190433321472, 2190433321472},

};

static const struct refused_vector refused[] = {

    {"", 2040 * GIB + 1, EFBIG, "Disk size is too large, max size is 2040 GiB"},
    {"subformat=fixed,force_size=on", UINT64_MAX, EFBIG, "max size is 2040 GiB"},
    {"subformat=fixed", 0, ENOTSUP, "qemu-img cannot open a fixed image of an empty disk"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&vhd_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&vhd_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
