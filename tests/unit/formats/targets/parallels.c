// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 0, {0}, MIB, MIB},
    {"", 64 * MIB, {1}, 2097152, 68157440},
    {"", UINT64_C(1) << 40, {0}, 5242880, 5242880 + (UINT64_C(1) << 40)},
    {"", 65536 * GIB, {0}, 269484032, 269484032 + 65536 * GIB},
    {"cluster_size=512", 1000 * MIB, {0}, 8192512, 8192512 + 1000 * MIB},
    {"cluster_size=1000", 3 * MIB, {2}, 13312 + 2048, 13312 + 3 * MIB},
    {"cluster_size=1536", 3 * MIB, {0}, 9216, 9216 + 3 * MIB},
    {"", (UINT64_C(1) << 49) - MIB, {0}, 2049 * MIB, 2048 * MIB + (UINT64_C(1) << 49)},

};

static const struct refused_vector refused[] = {

    {"", UINT64_C(1) << 49, EFBIG, "Catalog too large"},
    {"", (UINT64_C(1) << 52) - 512, EFBIG, "Catalog too large"},
    {"", UINT64_C(1) << 52, EFBIG, "Image size is too large for this cluster size"},
    {"cluster_size=512", UINT64_C(1) << 41, EFBIG, "Image size is too large for this cluster size"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&parallels_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&parallels_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
