// SPDX-License-Identifier: Apache-2.0
/* Options as qemu-img convert takes and refuses them, where a measurement does not: the table that
 * convert_sizes.py asks qemu-img about. */
#include "formats/targets.h"

#include <errno.h>

#include "support.h"

struct row {
    const char *target, *options, *words;
};

static const struct row refused[] = {
#define REFUSED(target, options, words) {target, options, words},
#define TAKEN(target, options, other)
#include "conversion-options-table.h"
#undef REFUSED
#undef TAKEN
};

static const struct row taken[] = {
#define REFUSED(target, options, words)
#define TAKEN(target, options, other) {target, options, other},
#include "conversion-options-table.h"
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct target_options o;
        struct reason why = {""};

        if (target_options_parse_conversion(target_by_name(refused[i].target), refused[i].options,
                                            &o, &why) != -EINVAL)
            fail_msg("%s takes %s", refused[i].target, refused[i].options);
        assert_string_equal(why.words, refused[i].words);
    }
}

static struct target_options parse(const char *target, const char *text)
{
    struct target_options o;
    struct reason why = {""};

    if (target_options_parse_conversion(target_by_name(target), text, &o, &why))
        fail_msg("%s refuses %s: %s", target, text, why.words);
    return o;
}

static void test_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct target_options a = parse(taken[i].target, taken[i].options);
        struct target_options b = parse(taken[i].target, taken[i].words);

        if (!target_options_equal(&a, &b))
            fail_msg("%s: %s is not %s", taken[i].target, taken[i].options, taken[i].words);
    }
}

/* A measurement has no such key. */
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
