// SPDX-License-Identifier: Apache-2.0
/* Text that grows up to its limit, and lines that are added once. */
#include "fs/tree/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/limits.h"
#include "tests/support/support.h"

static void assert_text(const struct text *t, const char *expected)
{
    assert_int_equal(t->error, 0);
    assert_int_equal(t->length, strlen(expected));
    if (t->length)
        assert_memory_equal(t->bytes, expected, t->length);
}

static void test_add(void **state)
{
    struct text t = {.bytes = NULL};

    (void)state;
    text_add(&t, "%s", "");
    assert_text(&t, "");
    text_add(&t, "%d-%s", 5, "x");
    text_add(&t, "\n");
    assert_text(&t, "5-x\n");
    text_free(&t);
    assert_null(t.bytes);
    assert_text(&t, "");
    text_free(&t);
}

/* Byte by byte across all sizes at which the buffer grows. */
static void test_growth(void **state)
{
    struct text t = {.bytes = NULL};

    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        text_add(&t, "%c", 'a' + (int)(i % 26));
        assert_int_equal(t.length, i + 1);
    }
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(t.bytes[i], 'a' + (int)(i % 26));
    text_add(&t, "%10000d", 1);
    assert_int_equal(t.length, 15000);
    assert_int_equal(t.bytes[14999], '1');
    text_free(&t);
}

static void test_limit(void **state)
{
    struct text t = {.bytes = NULL};

    (void)state;
    text_add(&t, "%*d", TEXT_BYTES_MAX - 2, 1);
    text_add(&t, "2");
    assert_int_equal(t.error, 0);
    assert_int_equal(t.length, TEXT_BYTES_MAX - 1);
    text_add(&t, "3");
    assert_int_equal(t.error, -EFBIG);
    assert_int_equal(t.length, TEXT_BYTES_MAX - 1);
    assert_memory_equal(t.bytes + t.length - 2, "12", 2);
    /* After an error nothing is added, even if it would fit. */
    text_add(&t, "%s", "");
    assert_int_equal(t.error, -EFBIG);
    text_free(&t);
    assert_int_equal(t.error, 0);
    text_add(&t, "%*d", TEXT_BYTES_MAX, 1);
    assert_int_equal(t.error, -EFBIG);
    text_add(&t, "x");
    assert_int_equal(t.length, 0);
    text_free(&t);
}

static void add(struct text *t, const char *lines)
{
    text_add_lines_once(t, lines, strlen(lines));
}

static void test_lines_once(void **state)
{
    struct text t = {.bytes = NULL};

    (void)state;
    text_add_lines_once(&t, NULL, 0);
    add(&t, "");
    assert_text(&t, "");
    add(&t, "one\ntwo\none\n");
    assert_text(&t, "one\ntwo\n");
    add(&t, "two\nthree");
    assert_text(&t, "one\ntwo\nthree\n");
    /* A piece of a line is a different line; an empty line is a line. */
    add(&t, "thre\nhree\non\nthree four\n");
    assert_text(&t, "one\ntwo\nthree\nthre\nhree\non\nthree four\n");
    text_free(&t);
    add(&t, "\n\n");
    assert_text(&t, "\n");
    /* No byte after length is used. */
    text_add_lines_once(&t, "abcdef\n", 3);
    assert_text(&t, "\nabc\n");
    text_free(&t);
}

/* A text whose last line lacks its newline. */
static void test_lines_after_open_line(void **state)
{
    struct text t = {.bytes = NULL};

    (void)state;
    text_add(&t, "one\ntwo");
    add(&t, "two\n");
    assert_text(&t, "one\ntwo");
    text_free(&t);
}

/* A line that is too long is cut; control characters are escaped. */
static void test_lines_made_safe(void **state)
{
    struct text t = {.bytes = NULL};
    char line[3000];

    (void)state;
    memset(line, 'x', sizeof line);
    text_add_lines_once(&t, line, sizeof line);
    assert_int_equal(t.length, 1024);
    assert_int_equal(t.bytes[1023], '\n');
    text_free(&t);
    add(&t, "a\033[31mb\\x1b\n");
    assert_text(&t, "a\\x1b[31mb\\x1b\n");
    text_free(&t);
}

static void test_lines_limit(void **state)
{
    struct text t = {.bytes = NULL};

    (void)state;
    while (t.length < TEXT_BYTES_MAX - 1000)
        text_add(&t, "%0999d\n", 0);
    text_add(&t, "%0*d\n", (int)(TEXT_BYTES_MAX - 3 - t.length), 0);
    assert_int_equal(t.error, 0);
    assert_int_equal(t.length, TEXT_BYTES_MAX - 2);
    add(&t, "y\n");
    assert_int_equal(t.error, -EFBIG);
    assert_int_equal(t.length, TEXT_BYTES_MAX - 2);
    text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_lines_once),
        cmocka_unit_test(test_lines_after_open_line),
        cmocka_unit_test(test_lines_made_safe),
        cmocka_unit_test(test_lines_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
