// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 0, {0, 0}, 327680, 327680},
    {"", 64 * MIB, {1, 1}, 655360, 67698688},
    {"", 5 * GIB, {3, 2}, 65536 * (5 + 3 + 8), UINT64_C(65536) * (5 + 81920 + 12)},
    {"", 65536 * GIB, {0, 0}, 327680, 327680 + 65536 * GIB + UINT64_C(32768) * 262144},
    {"cluster_size=4k", 16 * GIB, {0, 0}, 20480, 20480 + 16 * GIB + UINT64_C(2048) * 16384},
    {"table_size=16", 3 * MIB, {0, 0}, 1114112, 1114112 + 3 * MIB + MIB},
    {"cluster_size=64M", 0, {0, 0}, 335544320, 335544320},
    {"backing_file=x", 64 * MIB, {1, 1}, 67698688, 67698688},

};

static const struct refused_vector refused[] = {

    {"", 65536 * GIB + 512, EFBIG,
     "QED image size must be a non-zero multiple of cluster size and less than 70368744177664 "
     "bytes"},
    {"cluster_size=4k", 16 * GIB + 512, EFBIG,
     "QED image size must be a non-zero multiple of cluster size and less than 17179869184 bytes"},
    {"cluster_size=64M", 512, EFBIG,
     "QED image size must be a non-zero multiple of cluster size and less than 0 bytes"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&qed_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&qed_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
