// SPDX-License-Identifier: Apache-2.0
/* Sizes of files that qemu-img convert wrote, by virtual size and touched units, and refusals. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 0, {0}, 512, 512},
    {"", 1, {0}, 1024, 1024 + MIB},
    {"", 64 * MIB, {1}, 1049600, 67109888},
    {"", 129 * MIB, {0}, 1536, 1536 + 129 * MIB},
    {"", UINT64_C(1) << 48, {0}, 1073742336, 1073742336 + (UINT64_C(1) << 48)},
    {"", UINT64_C(0x1fffff8000000), {0}, 2147483648, 2147483648 + UINT64_C(0x1fffff8000000)},
    {"static=on", 3 * MIB, {0}, 3146752, 3146752},

};

static const struct refused_vector refused[] = {

    {"", UINT64_C(0x1fffff8000200), EFBIG,
     "Unsupported VDI image size (size is 0x1fffff8000200, max supported is 0x1fffff8000000)"},
    {"static=on", UINT64_MAX, EFBIG,
     "Unsupported VDI image size (size is 0xffffffffffffffff, max supported is 0x1fffff8000000)"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&vdi_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&vdi_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
