// SPDX-License-Identifier: Apache-2.0
/* The table of formats, and options as the user writes them. */
#include <string.h>

#include "support.h"

static struct open_options o;

static bool parse(const char *text)
{
    o = (struct open_options){.format = NULL};
    return open_options_parse(&o, text);
}

static void assert_described(const char *text, const char *expected)
{
    char out[64];

    if (!parse(text))
        fail_msg("%s: refused", text);
    open_options_describe(&o, out, sizeof out);
    assert_string_equal(out, expected);
}

static void test_good(void **state)
{
    (void)state;
    assert_true(parse(""));
    assert_null(o.format);
    assert_int_equal(o.qemu, 0);
    assert_true(parse("format=raw,"));
    for (const struct format_driver *const *f = formats; *f; f++) {
        char text[64] = "format=";

        assert_true(parse(strcat(text, (*f)->name)));
        assert_ptr_equal(o.format, *f);
        assert_true(parse(strcat(text, ",qemu=7.2")));
        assert_ptr_equal(o.format, *f);
        assert_int_equal(o.qemu, QEMU_VERSION(7, 2));
    }
    assert_true(parse("format=auto"));
    assert_null(o.format);
    assert_true(parse("qemu=10.0"));
    assert_int_equal(o.qemu, QEMU_VERSION(10, 0));
    assert_true(QEMU_VERSION(10, 0) > QEMU_VERSION(9, 2));
    /* The last one counts. */
    assert_true(parse("qemu=9.2,format=raw,qemu=8.11,format=auto"));
    assert_null(o.format);
    assert_int_equal(o.qemu, QEMU_VERSION(8, 11));
    /* What was there before stays. */
    assert_true(open_options_parse(&o, "format=vpc"));
    assert_int_equal(o.qemu, QEMU_VERSION(8, 11));
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "raw",
        "format",
        "format=",
        "format=Raw",
        "format=raw2",
        "format= raw",
        "format=raw ",
        "formats=raw",
        "FORMAT=raw",
        "qemu",
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
        "=",
        ",",
        "format=raw,,",
        ",format=raw",
        "x=y",
        "format=raw;qemu=7.2",
        "format=a-name-that-is-longer-than-any",
        "qemu=99999999999999999999.1",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (parse(bad[i]))
            fail_msg("%s: not refused", bad[i]);
}

static void test_describe(void **state)
{
    char out[8];

    (void)state;
    assert_described("", "format=auto");
    assert_described("qemu=7.2", "format=auto,qemu=7.2");
    assert_described("qemu=10.12,format=qcow2", "format=qcow2,qemu=10.12");
    assert_described("qemu=007.02", "format=auto,qemu=7.2");
    memset(out, '#', sizeof out);
    open_options_describe(&o, out, 5);
    assert_string_equal(out, "form");
    assert_int_equal(out[5], '#');
    open_options_describe(&o, out, 7);
    assert_string_equal(out, "format");
}

/* Names are told apart, and are no option's other words. */
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
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
