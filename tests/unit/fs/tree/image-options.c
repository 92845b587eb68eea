// SPDX-License-Identifier: Apache-2.0
/* Lists of options: commas, backslashes, unknown options, and the options in force. */
#include "fs/tree/image-options.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/support/support.h"

static struct image_options options;
static struct reason why;

static int take(const char *list)
{
    image_options_end(&options);
    options = (struct image_options){.open = {.format = NULL}};
    why.words[0] = '\0';
    return image_options_take_list(&options, list, &why);
}

static void assert_bad(const char *list, const char *key)
{
    assert_int_not_equal(take(list), 1);
    assert_non_null(strstr(why.words, key));
    image_options_end(&options);
}

static void assert_described(const char *expected)
{
    char *text = image_options_describe(&options.open, &options.policy);

    assert_string_equal(text, expected);
    free(text);
}

static void test_lists(void **state)
{
    (void)state;
    assert_int_equal(take(""), 1);
    assert_described("ro,format=auto");
    assert_int_equal(take("format=raw,follow=beside,depth=3,backing=none,any-parent"), 1);
    assert_ptr_equal(options.open.format, &raw_driver);
    assert_true(options.open.alone && options.open.any_parent && options.policy.beside);
    assert_int_equal(options.policy.depth, 3);
    assert_int_equal(take("follow=beside,"), 1);
    assert_bad(",follow=beside", "unknown option ''");
    assert_bad("follow=beside,,depth=2", "''");
    assert_bad("follow=beside,rw", "'rw'");
    assert_bad("follow=beside,depth=0", "depth=0");
    assert_bad("format=nonsense", "nonsense");
}

static void test_backslashes(void **state)
{
    (void)state;
    assert_int_equal(take("ref=0:/a\\,b,ref=1:/c\\\\,ref=2:/d\\e,ref=3:/f\\"), 1);
    assert_int_equal(options.policy.files_count, 4);
    assert_string_equal(options.policy.files[0].path, "/a,b");
    assert_string_equal(options.policy.files[1].path, "/c\\");
    assert_string_equal(options.policy.files[2].path, "/de");
    assert_string_equal(options.policy.files[3].path, "/f\\");
    assert_described("ro,format=auto,ref=0:/a\\,b,ref=1:/c\\\\,ref=2:/de,ref=3:/f\\\\");
    assert_bad("ref=0:/x\\,follow=beside,y", "'y'");
}

/* After an escaped comma a path goes on: no option begins there. */
static void test_escaped_comma(void **state)
{
    (void)state;
    assert_int_equal(take("ref=0:/x\\,follow=under:/"), 1);
    assert_int_equal(options.policy.under_count, 0);
    assert_int_equal(options.policy.files_count, 1);
    image_options_end(&options);
    assert_int_equal(options.policy.files_count, 0);
}

/* As in libfuse, \ooo is a byte. */
static void test_octal(void **state)
{
    (void)state;
    image_options_end(&options);
    assert_int_equal(image_options_take_list(&options, "ref=0:/a\\054b,ref=1:/c\\9", &why), 1);
    assert_string_equal(options.policy.files[0].path, "/a,b");
    assert_string_equal(options.policy.files[1].path, "/c9");
    image_options_end(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_backslashes),
        cmocka_unit_test(test_escaped_comma),
        cmocka_unit_test(test_octal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
