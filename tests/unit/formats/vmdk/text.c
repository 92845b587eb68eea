// SPDX-License-Identifier: Apache-2.0
/* vmdk: parsing the text of a descriptor: its end, lines, words, numbers, values of keys. */
#include "formats/vmdk/text.h"

#include "tests/support/support.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static struct vmdk_text text_of(const char *string)
{
    return (struct vmdk_text){string, strlen(string)};
}

static void assert_text(struct vmdk_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.bytes, expected, text.length);
}

static void assert_read(uint64_t offset, uint64_t length, const char *expected)
{
    struct vmdk_text text;

    assert_int_equal(vmdk_text_read(s.img, offset, length, &text), 0);
    assert_text(text, expected);
}

/* The text ends at length, at a NUL or with the file, whichever is first. */
static void test_read(void **state)
{
    (void)state;
    sample_begin(&s);
    put(&s, 0, "abc\ndef\0ghi", 11);
    sample_session(&s);
    assert_read(0, 5, "abc\nd");
    assert_read(0, 100, "abc\ndef");
    assert_read(7, 100, "");
    assert_read(8, 100, "ghi");
    assert_read(11, 100, "");
    assert_read(UINT64_MAX, UINT64_MAX, "");
    assert_string_equal(image_problems(s.img), "");
}

/* Text of the largest length is whole. One more byte is a problem, unless it is a NUL. */
static void test_read_limit(void **state)
{
    static char bytes[VMDK_DESCRIPTOR_MAX + 1];
    struct vmdk_text text;

    (void)state;
    sample_begin(&s);
    memset(bytes, 'x', VMDK_DESCRIPTOR_MAX);
    put(&s, 0, bytes, sizeof bytes);
    sample_session(&s);
    assert_int_equal(vmdk_text_read(s.img, 0, VMDK_DESCRIPTOR_MAX, &text), 0);
    assert_int_equal(text.length, VMDK_DESCRIPTOR_MAX);
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(vmdk_text_read(s.img, 0, UINT64_MAX, &text), 0);
    assert_int_equal(text.length, VMDK_DESCRIPTOR_MAX);
    assert_reported(s.img,
                    "vmdk: the descriptor is longer than 1048575 bytes: the rest is ignored");
}

static void test_lines(void **state)
{
    struct vmdk_text text = text_of(" a b\t\r\n\n\t \nlast"), line;
    static const char *const lines[] = {"a b", "", "", "last"};

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(vmdk_text_line(&text, &line));
        assert_text(line, lines[i]);
    }
    assert_false(vmdk_text_line(&text, &line));
}

static void test_words(void **state)
{
    struct vmdk_text text = text_of(" RW\t12\"x\" ");

    (void)state;
    assert_text(vmdk_text_word(&text), "RW");
    assert_text(vmdk_text_word(&text), "12\"x\"");
    assert_text(vmdk_text_word(&text), "");
    assert_int_equal(text.length, 0);
    text = text_of("a\"b\"c");
    assert_text(vmdk_text_until(&text, '"'), "a");
    assert_text(vmdk_text_until(&text, '"'), "b");
    assert_text(vmdk_text_until(&text, '"'), "c");
    assert_text(vmdk_text_until(&text, '"'), "");
}

static void test_is(void **state)
{
    struct vmdk_text text = text_of("FLAT");

    (void)state;
    assert_true(vmdk_text_is(&text, "FLAT"));
    assert_false(vmdk_text_is(&text, "FLATS"));
    assert_false(vmdk_text_is(&text, "FLA"));
    assert_false(vmdk_text_is(&text, "flat"));
}

static void assert_number(const char *string, uint64_t expected, const char *rest)
{
    struct vmdk_text text = text_of(string);
    uint64_t number;

    assert_true(vmdk_text_number(&text, &number));
    assert_true(number == expected);
    assert_text(text, rest);
}

static void test_numbers(void **state)
{
    static const char *const wrong[] = {
        "", " ", "+", "-1", "x", "1x", "0x10", "1,", "++1", "18446744073709551616",
    };

    (void)state;
    assert_number("0", 0, "");
    assert_number(" \t007 8", 7, " 8");
    assert_number("+12\r", 12, "\r");
    assert_number("18446744073709551615", UINT64_MAX, "");
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct vmdk_text text = text_of(wrong[i]);
        uint64_t number;

        assert_false(vmdk_text_number(&text, &number));
    }
}

static void assert_hex(const char *string, bool is_number, uint32_t expected)
{
    struct vmdk_text text = text_of(string);
    uint32_t number;

    assert_int_equal(vmdk_text_hex(&text, &number), is_number);
    if (is_number)
        assert_int_equal(number, expected);
}

static void test_hex(void **state)
{
    (void)state;
    assert_hex("0", true, 0);
    assert_hex("fFfFfFfE", true, 0xfffffffe);
    assert_hex("0123aBcD", true, 0x0123abcd);
    assert_hex("", false, 0);
    assert_hex("000000001", false, 0);
    assert_hex("0x1", false, 0);
    assert_hex("12 ", false, 0);
    assert_hex("g", false, 0);
}

static void assert_value(const char *string, const char *expected)
{
    struct vmdk_text value;

    assert_int_equal(vmdk_text_value(text_of(string), "CID", &value), expected != NULL);
    if (expected)
        assert_text(value, expected);
}

/* A key begins a line, except for blanks, and the first such line is used. */
static void test_values(void **state)
{
    (void)state;
    assert_value("CID=12\nCID=13", "12");
    assert_value("x\n \tCID \t= 12 \r\ny", "12");
    assert_value("CID=\"a b\" c", "a b");
    assert_value("CID=\"a", "a");
    assert_value("CID=", "");
    assert_value("parentCID=1\nCID=2", "2");
    assert_value("# CID=1", NULL);
    assert_value("CIDs=1\nCID 2", NULL);
    assert_value("CID\n=1", NULL);
    assert_value("CI", NULL);
    assert_value("", NULL);
}

static void test_keep(void **state)
{
    struct vmdk_text text = {"a\n\xff", 3};

    (void)state;
    sample_begin(&s);
    sample_session(&s);
    assert_string_equal(vmdk_text_keep(s.img, &text), "a\\x0a\\xff");
    text.length = 0;
    assert_string_equal(vmdk_text_keep(s.img, &text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),  cmocka_unit_test(test_read_limit),
        cmocka_unit_test(test_lines), cmocka_unit_test(test_words),
        cmocka_unit_test(test_is),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hex),   cmocka_unit_test(test_values),
        cmocka_unit_test(test_keep),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
