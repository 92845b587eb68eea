// SPDX-License-Identifier: Apache-2.0
/* Escaping: what is printed as it is, what as \xHH, and that the output never overflows. */
#include "formats/escape.h"

#include <string.h>

#include "tests/support/support.h"

static const struct {
    const char *text, *escaped;
} cases[] = {
    {"", ""},
    {"disk-1.img (copy)~", "disk-1.img (copy)~"},
    {"a\nb\tc\r\x1b[0m", "a\\x0ab\\x09c\\x0d\\x1b[0m"},
    {"\x7f\x1f ", "\\x7f\\x1f "},
    {"C:\\base", "C:\\x5cbase"},
    /* The last and first character of each UTF-8 length, and the C1 controls below U+00A0. */
    {"\xc2\x80", "\\xc2\\x80"},
    {"\xc2\x9f\xc2\xa0", "\\xc2\\x9f\xc2\xa0"},
    {"\xdf\xbf\xe0\xa0\x80", "\xdf\xbf\xe0\xa0\x80"},
    {"\xef\xbf\xbf\xf0\x90\x80\x80", "\xef\xbf\xbf\xf0\x90\x80\x80"},
    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    /* Not UTF-8: overlong, surrogates, beyond U+10FFFF, lone and missing continuations. */
    {"\xc0\x80\xc1\xbf", "\\xc0\\x80\\xc1\\xbf"},
    {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
    {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
    {"\xed\x9f\xbf\xed\xa0\x80", "\xed\x9f\xbf\\xed\\xa0\\x80"},
    {"\xed\xbf\xbf\xee\x80\x80", "\\xed\\xbf\\xbf\xee\x80\x80"},
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
    {"\xf5\x80\x80\x80\xff", "\\xf5\\x80\\x80\\x80\\xff"},
    {"\x80z", "\\x80z"},
    {"\xc3z", "\\xc3z"},
    {"\xe2\x82z", "\\xe2\\x82z"},
    /* What changes the direction of text: U+061C, U+200E, U+200F, U+202A to E, U+2066 to 9; line
       separators U+2028, U+2029. */
    {"\xd8\x9c", "\\xd8\\x9c"},
    {"\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90",
     "\xe2\x80\x8d\\xe2\\x80\\x8e\\xe2\\x80\\x8f\xe2\x80\x90"},
    {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf",
     "\\xe2\\x80\\xa8\\xe2\\x80\\xa9\\xe2\\x80\\xaa\\xe2\\x80\\xae\xe2\x80\xaf"},
    {"\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa",
     "\xe2\x81\xa5\\xe2\\x81\\xa6\\xe2\\x81\\xa9\xe2\x81\xaa"},
};

static void test_cases(void **state)
{
    char out[128];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = escape_text(out, sizeof out, cases[i].text, strlen(cases[i].text));

        assert_string_equal(out, cases[i].escaped);
        assert_int_equal(n, strlen(cases[i].escaped));
    }
}

static void test_length(void **state)
{
    char out[32];

    (void)state;
    assert_int_equal(escape_text(out, sizeof out, "a\0b", 3), 6);
    assert_string_equal(out, "a\\x00b");
    /* A character that is cut off by the length is not read past it. */
    assert_int_equal(escape_text(out, sizeof out, "\xe2\x82\xac", 2), 8);
    assert_string_equal(out, "\\xe2\\x82");
    assert_int_equal(escape_text(out, sizeof out, "ab\xe2\x82\xac", 4), 10);
    assert_string_equal(out, "ab\\xe2\\x82");
    assert_int_equal(escape_text(out, sizeof out, "abc", 0), 0);
    assert_string_equal(out, "");
}

/* Nothing is written past size, and never half of a character or of an escape. */
static void assert_fits(const char *text, size_t size, const char *expected)
{
    char out[32];

    memset(out, '#', sizeof out);
    assert_int_equal(escape_text(out, size, text, strlen(text)), strlen(expected));
    assert_string_equal(out, expected);
    for (size_t i = size; i < sizeof out; i++)
        assert_int_equal(out[i], '#');
}

static void test_size(void **state)
{
    char out = '#';

    (void)state;
    assert_int_equal(escape_text(&out, 0, "abc", 3), 0);
    assert_int_equal(out, '#');
    assert_fits("abc", 1, "");
    assert_fits("abc", 3, "ab");
    assert_fits("abc", 4, "abc");
    assert_fits("a\n", 5, "a");
    assert_fits("a\n", 6, "a\\x0a");
    assert_fits("\xe2\x82\xac", 3, "");
    assert_fits("\xe2\x82\xac", 4, "\xe2\x82\xac");
    /* It ends before the first character that does not fit, even if a shorter one follows. */
    assert_fits("a\nb", 5, "a");
}

/* A line that may contain escaped text: the same except for backslashes. */
static void test_line(void **state)
{
    char out[64];

    (void)state;
    assert_int_equal(escape_line(out, sizeof out, "a\\x0a\n\xff\xe2\x80\xae", 10), 25);
    assert_string_equal(out, "a\\x0a\\x0a\\xff\\xe2\\x80\\xae");
    assert_int_equal(escape_line(out, 3, "\\\\\\", 3), 2);
    assert_string_equal(out, "\\\\");
}

static void assert_utf16(const char *bytes, size_t length, enum utf16_order order,
                         const char *expected)
{
    char out[64];

    assert_int_equal(escape_utf16(out, sizeof out, (const uint8_t *)bytes, length, order),
                     strlen(expected));
    assert_string_equal(out, expected);
}

static void test_utf16(void **state)
{
    (void)state;
    assert_utf16("", 0, UTF16_BE, "");
    assert_utf16("a", 1, UTF16_LE, "");
    assert_utf16("\0a\0b", 4, UTF16_BE, "ab");
    assert_utf16("a\0b\0", 4, UTF16_LE, "ab");
    assert_utf16("a\0b\0c", 5, UTF16_LE, "ab");
    assert_utf16("a\0\0\0b\0", 6, UTF16_LE, "a");
    assert_utf16("\n\0\\\0", 4, UTF16_LE, "\\x0a\\x5c");
    assert_utf16("\x00\x7f\x00\x80", 4, UTF16_BE, "\\x7f\\xc2\\x80");
    assert_utf16("\x07\xff\x08\x00\xff\xff", 6, UTF16_BE, "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
    assert_utf16("\x20\x2e", 2, UTF16_BE, "\\xe2\\x80\\xae");
}

#define BROKEN "\xef\xbf\xbd"

static void test_utf16_pairs(void **state)
{
    (void)state;
    assert_utf16("\xd8\x00\xdc\x00", 4, UTF16_BE, "\xf0\x90\x80\x80");
    assert_utf16("\xdb\xff\xdf\xff", 4, UTF16_BE, "\xf4\x8f\xbf\xbf");
    assert_utf16("\x3d\xd8\x00\xde", 4, UTF16_LE, "\xf0\x9f\x98\x80");
    /* Halves: at the end, before another character, twice, the wrong way round; cut off by the
     * length. */
    assert_utf16("\xd8\x00", 2, UTF16_BE, BROKEN);
    assert_utf16("\xd8\x00\0a", 4, UTF16_BE, BROKEN "a");
    assert_utf16("\xd8\x00\xd8\x00\xdc\x00", 6, UTF16_BE, BROKEN "\xf0\x90\x80\x80");
    assert_utf16("\xdc\x00\xd8\x00", 4, UTF16_BE, BROKEN BROKEN);
    assert_utf16("\xd8\x00\xdc\x00", 3, UTF16_BE, BROKEN);
    assert_utf16("\xd8\x00\xe0\x00", 4, UTF16_BE, BROKEN "\xee\x80\x80");
}

static void test_utf16_size(void **state)
{
    const uint8_t text[] = {0, 'a', 0, '\n', 0, 'b'};
    char out[8];

    (void)state;
    memset(out, '#', sizeof out);
    assert_int_equal(escape_utf16(out, 0, text, sizeof text, UTF16_BE), 0);
    assert_int_equal(out[0], '#');
    assert_int_equal(escape_utf16(out, 1, text, sizeof text, UTF16_BE), 0);
    assert_string_equal(out, "");
    assert_int_equal(escape_utf16(out, 5, text, sizeof text, UTF16_BE), 1);
    assert_string_equal(out, "a");
    assert_int_equal(escape_utf16(out, 6, text, sizeof text, UTF16_BE), 5);
    assert_string_equal(out, "a\\x0a");
    assert_int_equal(out[6], '#');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),      cmocka_unit_test(test_length),
        cmocka_unit_test(test_size),       cmocka_unit_test(test_line),
        cmocka_unit_test(test_utf16),      cmocka_unit_test(test_utf16_pairs),
        cmocka_unit_test(test_utf16_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
