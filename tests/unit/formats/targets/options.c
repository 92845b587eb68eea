// SPDX-License-Identifier: Apache-2.0
/* Options that qemu-img measure accepts or refuses. */
#include "formats/targets/options.h"
#include "formats/targets/targets.h"

#include <errno.h>
#include <string.h>

#define OPTIONS_TABLE "target-options-table.h"
#define OPTIONS_PARSE target_options_parse
#include "tests/support/options-rows.h"

/* Options that give different sizes. */
static void test_equal(void **state)
{
    static const struct row different[] = {
        {"qcow2", "cluster_size=4k", "cluster_size=8k"},
        {"qcow2", "refcount_bits=8", "refcount_bits=1"},
        {"qcow2", "extended_l2=on", "extended_l2=off"},
        {"qcow2", "compat=0.10", "compat=1.1"},
        {"qcow2", "preallocation=full", "preallocation=metadata"},
        {"qcow2", "encrypt.format=luks", "encrypt.format=aes"},
        {"luks", "cipher-mode=cbc", "cipher-mode=xts"},
        {"vmdk", "subformat=streamOptimized", "subformat=monolithicSparse"},
        {"vpc", "force_size=on", "force_size=off"},
        {"vhdx", "block_state_zero=on", "block_state_zero=off"},
        {"vhdx", "log_size=1M", "log_size=2M"},
        {"vhdx", "block_size=1M", "block_size=0"},
        {"vdi", "static=on", "static=off"},
        {"qed", "table_size=2", "table_size=4"},
        {"parallels", "cluster_size=2M", "cluster_size=1M"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(different); i++) {
        struct target_options a = parse(different[i].target, different[i].options);
        struct target_options b = parse(different[i].target, different[i].other);

        assert_true(target_options_equal(&a, &a));
        assert_false(target_options_equal(&a, &b));
    }
}

/* Refused here only: sizes of which qemu takes the low 32 bits, and texts above our limit. */
static void test_ours(void **state)
{
    struct target_options o;
    struct reason why;
    char text[2000];

    (void)state;
    assert_int_equal(target_options_parse(&qed_target, "cluster_size=4294971392", &o, &why),
                     -EINVAL);
    assert_int_equal(target_options_parse(&qed_target, "table_size=4294967300", &o, &why), -EINVAL);
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length < sizeof text; length++) {
        text[length] = '\0';
        assert_int_equal(target_options_parse(&qcow2_target, text, &o, &why), -EINVAL);
        text[length] = 'a';
    }
    text[sizeof text - 1] = '\0';
    assert_int_equal(target_options_parse(&qcow2_target, text, &o, &why), -EINVAL);
    assert_string_equal(why.words, "the options are longer than 1022 bytes");
    /* The greatest length: keys without values, with values, and doubled commas. */
    for (size_t i = 0; i < 3; i++) {
        static const char *const parts[] = {"nonocow,", "nocow=n,", ",,,,,,,,"};

        for (size_t j = 0; j < 1016; j += 8)
            memcpy(text + j, parts[i], 8);
        memcpy(text, "compat=1", 8);
        memcpy(text + 1015, i < 2 ? ",id=0,," : ",,,,,,,", 8);
        text[1022] = '\0';
        target_options_parse(&qcow2_target, text, &o, &why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
