// SPDX-License-Identifier: Apache-2.0
/* The table of targets, and properties of all size models. */
#include "formats/targets/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/targets/options.h"
#include "tests/support/target-properties.h"
#include "tests/support/target-vectors.h"

static void test_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; targets[i]; i++) {
        assert_ptr_equal(target_by_name(targets[i]->name), targets[i]);
        assert_int_equal(target_row(targets[i]), i);
    }
    assert_ptr_equal(target_by_name("vpc"), &vhd_target);
    assert_null(target_by_name(""));
    assert_null(target_by_name("bochs"));
    assert_null(target_by_name("qcow2 "));
}

/* Returns a value that some keys of that kind accept. */
static const char *random_value(enum target_key_kind kind)
{
    static const char *const sizes[] = {"512",   "4k",  "16384", "0x10000", "1.5M",
                                        "2048k", "64M", "256M",  "4095M"};
    static const char *const numbers[] = {"1", "2", "4", "8", "16", "0x20", "64", "3"};
    static const char *const flags[] = {"on", "off", "yes", "n"};
    static const char *const words[] = {
        "off",
        "full",
        "fixed",
        "dynamic",
        "luks",
        "aes",
        "cbc",
        "xts",
        "sha256",
        "essiv",
        "aes-192",
        "serpent-128",
        "0.10",
        "1.1",
        "vmdk",
        "lsilogic",
        "a,,b",
        "falloc",
        "streamOptimized",
        "monolithicFlat",
        "cast5-128",
        "plain64",
        "sha512",
        "twoGbMaxExtentSparse",
    };

    switch (kind) {
    case KEY_SIZE:
        return random_below(4) ? sizes[random_below(COUNT(sizes))] : random_value(KEY_NUMBER);
    case KEY_NUMBER:
        return numbers[random_below(COUNT(numbers))];
    case KEY_BOOL:
        return flags[random_below(COUNT(flags))];
    default:
        return words[random_below(COUNT(words))];
    }
}

/* Writes one to three of the target's keys with values. */
static void random_text(const struct target *target, char *text, size_t size)
{
    static const struct target_key preallocation = {"preallocation", KEY_TEXT};
    size_t count = 0, used = 0, pairs = 1 + random_below(3);

    while (target->keys && target->keys[count].name)
        count++;
    for (size_t i = 0; i < pairs; i++) {
        size_t n = random_below(count + 1);
        const struct target_key *key = n < count ? &target->keys[n] : &preallocation;

        used += (size_t)snprintf(text + used, size - used, "%s%s=%s", i ? "," : "", key->name,
                                 random_value(key->kind));
    }
    assert_true(used < size);
}

/* Sets random options and returns true if the target accepts them; else sets its defaults. */
static bool random_options(const struct target *target, struct target_options *o)
{
    char text[256];

    random_text(target, text, sizeof text);
    if (take_options(target, text, o)) {
        check_options(target, o);
        check_preallocation(target, text, *o);
        return true;
    }
    *o = target->defaults;
    return false;
}

static void test_properties(void **state)
{
    unsigned taken[TARGETS_MAX] = {0};

    (void)state;
    for (unsigned round = 0; round < 60000; round++) {
        size_t row = random_below(10);
        const struct target *t = targets[row];
        const uint64_t touched[TARGET_UNITS_MAX] = {random_below(UINT64_MAX),
                                                    random_below(UINT64_MAX)};
        uint64_t size = random_below(UINT64_MAX >> random_below(63));
        struct target_options o, other;

        if (random_below(32) == 0)
            size = random_below(2) ? UINT64_MAX - random_below(1024) : 0;
        taken[row] += random_options(t, &o);
        random_options(t, &other);
        check_sizes(t, &o, size, touched);
        check_larger(t, &o, size, 1 + random_below(MIB));
        check_equal(t, &o, &other, size, touched);
    }
    for (size_t row = 0; targets[row]; row++)
        assert_true(taken[row] > 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_properties),
    };

    srandom(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
