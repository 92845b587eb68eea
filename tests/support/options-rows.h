/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of OPTIONS_PARSE with a table of options, OPTIONS_TABLE: which options are refused, with
 * which message, and which options have the same effect. */
#ifndef TESTS_SUPPORT_OPTIONS_ROWS_H
#define TESTS_SUPPORT_OPTIONS_ROWS_H

#include <errno.h>

#include "formats/targets/options.h"
#include "formats/targets/targets.h"
#include "support.h"

struct row {
    const char *target, *options;
    const char *other; /* the message of a refusal, or other options of the same effect */
};

static const struct row refused[] = {
#define REFUSED(target, options, message) {target, options, message},
#define TAKEN(target, options, other)
#include OPTIONS_TABLE
#undef REFUSED
#undef TAKEN
};

static const struct row taken[] = {
#define REFUSED(target, options, message)
#define TAKEN(target, options, other) {target, options, other},
#include OPTIONS_TABLE
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct target_options o;
        struct reason why = {""};

        if (OPTIONS_PARSE(target_by_name(refused[i].target), refused[i].options, &o, &why) !=
            -EINVAL)
            fail_msg("%s accepts %s", refused[i].target, refused[i].options);
        assert_string_equal(why.words, refused[i].other);
    }
}

static struct target_options parse(const char *target, const char *text)
{
    struct target_options o;
    struct reason why = {""};

    if (OPTIONS_PARSE(target_by_name(target), text, &o, &why))
        fail_msg("%s refuses %s: %s", target, text, why.words);
    return o;
}

static void test_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct target_options a = parse(taken[i].target, taken[i].options);
        struct target_options b = parse(taken[i].target, taken[i].other);

        if (!target_options_equal(&a, &b))
            fail_msg("%s: %s is not %s", taken[i].target, taken[i].options, taken[i].other);
    }
}

#endif
