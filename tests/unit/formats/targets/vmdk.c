// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 512, {0}, 65536, 131072},
    {"", 64 * MIB, {1}, 131072, 67174400},
    {"", UINT64_C(1) << 41, {0}, 269025280, 269025280 + (UINT64_C(1) << 41)},
    {"", (UINT64_C(1) << 41) + 512, {0}, 269025280, 269025280 + (UINT64_C(1) << 41) + 65536},
    {"subformat=streamOptimized",
     UINT64_C(1) << 46,
     {0},
     8606777344,
     8606777344 + (UINT64_C(66048) << 30)},
    {"subformat=streamOptimized", 64 * MIB, {1}, 131584, 67698688},
    {"subformat=monolithicFlat", 12345, {1}, 13824, 13824},
    {"subformat=twoGbMaxExtentFlat", 5 * GIB, {0}, 5 * GIB + 1536, 5 * GIB + 1536},
    {"subformat=twoGbMaxExtentSparse", 4 * GIB, {3}, 656384 + 3 * 65536, 656384 + 4 * GIB},
    {"subformat=twoGbMaxExtentSparse", 4 * GIB + 512, {0}, 722432, 722432 + 65536 + 4 * GIB},
    {"backing_file=x", 64 * MIB, {1}, 67174400, 67174400},

};

static const struct refused_vector refused[] = {

    {"", 0, ENOTSUP, "qemu-img cannot open an image of an empty disk"},
    {"subformat=monolithicFlat", 0, ENOTSUP, "empty disk"},
    {"", (UINT64_C(1) << 50) + 1, EFBIG, "L1 size too big"},
    {"subformat=streamOptimized", (UINT64_C(1) << 50) + 1, EFBIG, "L1 size too big"},
    {"subformat=twoGbMaxExtentSparse", (UINT64_C(1) << 46) + 1, EFBIG,
     "a disk of 70368744178176 bytes needs more than 32768 extents"},
    {"", UINT64_MAX, EFBIG, "disk of 18446744073709551615 bytes"},
    {"backing_file=x", UINT64_C(1) << 41, EFBIG, "the sparse extent is larger than 2 TiB"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&vmdk_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&vmdk_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
