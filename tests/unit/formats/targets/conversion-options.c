// SPDX-License-Identifier: Apache-2.0
/* Options that qemu-img convert accepts or refuses, other than measure does. */
#include "formats/targets/options.h"
#include "formats/targets/targets.h"

#include <errno.h>

#define OPTIONS_TABLE "conversion-options-table.h"
#define OPTIONS_PARSE target_options_parse_conversion
#include "tests/support/options-rows.h"

/* measure has no such key. */
static void test_measurement(void **state)
{
    struct target_options o;
    struct reason why;

    (void)state;
    assert_int_equal(target_options_parse(&qcow2_target, "compressed=on", &o, &why), -EINVAL);
    assert_string_equal(why.words, "Invalid parameter 'compressed'");
    assert_int_equal(target_options_parse(&qcow_target, "compressed=on", &o, &why), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_measurement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
