// SPDX-License-Identifier: Apache-2.0
/* The table of formats, and parsing options. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static struct open_options o;

static struct reason why;

static int take(const char *option)
{
    strcpy(why.words, "");
    return open_options_take(&o, option, &why);
}

static int begin(void **state)
{
    (void)state;
    o = (struct open_options){.format = NULL};
    return 0;
}

static void test_good(void **state)
{
    (void)state;
    for (const struct format_driver *const *f = formats; *f; f++) {
        char text[64] = "format=";

        assert_int_equal(take(strcat(text, (*f)->name)), 1);
        assert_ptr_equal(o.format, *f);
    }
    assert_int_equal(take("format=auto"), 1);
    assert_null(o.format);
    assert_int_equal(take("qemu=10.0"), 1);
    assert_int_equal(o.qemu, QEMU_VERSION(10, 0));
    assert_true(QEMU_VERSION(10, 0) > QEMU_VERSION(9, 2));
    /* The last one is used, and other options are kept. */
    assert_int_equal(take("qemu=8.11"), 1);
    assert_int_equal(take("format=vpc"), 1);
    assert_int_equal(o.qemu, QEMU_VERSION(8, 11));
    assert_false(o.alone || o.any_parent);
    assert_int_equal(take("backing=none"), 1);
    assert_true(o.alone && !o.any_parent);
    assert_int_equal(take("any-parent"), 1);
    assert_true(o.alone && o.any_parent);
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "format=",
        "format=Raw",
        "format=raw2",
        "format= raw",
        "format=raw ",
        "format=raw,qemu=7.2",
        "format=a-name-that-is-longer-than-any",
        "qemu=",
        "qemu=7",
        "qemu=7.",
        "qemu=.2",
        "qemu=7.2.0",
        "qemu=7.2x",
        "qemu=0.1",
        "qemu=-7.2",
        "qemu=7.-2",
        "qemu=7..2",
        "qemu=1000.2",
        "qemu=7.1000",
        "qemu= 7.2",
        "qemu=7. 2",
        "qemu=7,2",
        "qemu=0x7.2",
        "qemu=99999999999999999999.1",
        "backing=",
        "backing=all",
        "backing=none ",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (take(bad[i]) != -EINVAL)
            fail_msg("%s: not refused", bad[i]);
        assert_memory_equal(why.words, bad[i], strlen(bad[i]));
    }
}

static void test_others(void **state)
{
    static const char *const others[] = {
        "",  "raw", "format",  "qemu",        "formats=raw",  "FORMAT=raw",
        "=", "x=y", "backing", "any-parents", "follow=beside"};

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++)
        if (take(others[i]) != 0)
            fail_msg("%s: taken", others[i]);
    assert_null(o.format);
    assert_false(o.qemu || o.alone || o.any_parent);
}

/* Asserts the text of the options so far. */
static void assert_described(const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    open_options_describe(&o, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void test_describe(void **state)
{
    (void)state;
    assert_described("format=auto");
    take("qemu=007.02");
    assert_described("format=auto,qemu=7.2");
    take("format=qcow2");
    take("qemu=10.12");
    take("any-parent");
    take("backing=none");
    assert_described("format=qcow2,qemu=10.12,backing=none,any-parent");
}

/* Names are compared as a whole. */
static void test_names(void **state)
{
    (void)state;
    for (const struct format_driver *const *f = formats; *f; f++) {
        assert_ptr_equal(format_by_name((*f)->name), *f);
        assert_string_not_equal((*f)->name, "auto");
        assert_true(strlen((*f)->name) < 16);
        assert_non_null((*f)->open);
        assert_non_null((*f)->extent_at);
    }
    assert_null(format_by_name("auto"));
    assert_null(format_by_name(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good, begin),
        cmocka_unit_test_setup(test_bad, begin),
        cmocka_unit_test_setup(test_others, begin),
        cmocka_unit_test_setup(test_describe, begin),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
