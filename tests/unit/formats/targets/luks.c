// SPDX-License-Identifier: Apache-2.0
/* Sizes that qemu-img measure -O luks printed, and disks that are too large. */
#include "formats/targets/targets.h"

#include <errno.h>

#include "tests/support/target-vectors.h"

static const struct size_vector vectors[] = {

    {"", 0, {0}, 2068480, 2068480},
    {"", 1, {1}, 2068992, 2068992},
    {"", GIB, {5}, 1075810304, 1075810304},
    {"cipher-alg=aes-128", MIB, {0}, 2101248, 2101248},
    {"cipher-alg=aes-192", MIB, {0}, 2592768, 2592768},
    {"cipher-alg=aes-128,cipher-mode=cbc", MIB, {0}, 1576960, 1576960},
    {"cipher-alg=serpent-256,cipher-mode=ctr", MIB, {0}, 2101248, 2101248},
    {"cipher-alg=cast5-128,cipher-mode=ecb", MIB, {0}, 1576960, 1576960},
    /* qemu fails an assertion here. A key of 24 bytes in 4000 stripes is 96000 bytes. */
    {"cipher-alg=twofish-192,cipher-mode=cbc", MIB, {0}, 1839104, 1839104},
    {"key-secret=x,iter-time=10", MIB, {0}, 3117056, 3117056},

};

static const struct refused_vector refused[] = {

    {"", UINT64_MAX, EFBIG, "a disk of 18446744073709551615 bytes is too large"},
    {"", UINT64_MAX - 511, EFBIG, "disk of 18446744073709551104 bytes"},

};

static void test_vectors(void **state)
{
    (void)state;
    ASSERT_SIZES(&luks_target, vectors);
}

static void test_refused(void **state)
{
    (void)state;
    ASSERT_REFUSALS(&luks_target, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
