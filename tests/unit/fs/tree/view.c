// SPDX-License-Identifier: Apache-2.0
/* The numbers of views. */
#include "fs/tree/view.h"

#include <string.h>

#include "tests/support/support.h"

static void assert_path(uint32_t view, const char *path)
{
    char out[64];

    assert_int_equal(view_path(view, out, sizeof out), strlen(path));
    assert_string_equal(out, path);
}

static void test_names(void **state)
{
    uint32_t layer = view_named(VIEW_LAYER, 63);

    (void)state;
    assert_int_equal(view_named(VIEW_WHOLE, 0), 0);
    assert_int_equal(view_kind(layer), VIEW_LAYER);
    assert_int_equal(view_number(layer), 63);
    assert_int_equal(view_layer(layer), 63);
    assert_int_equal(view_layer(0), 0);
    assert_int_equal(view_index(0), 0);
    assert_int_equal(view_index(view_named(VIEW_LAYER, 0)), 1);
    assert_int_equal(view_index(layer), 64);
    assert_path(0, "");
    assert_path(layer, "layers/63");
}

static void test_exists(void **state)
{
    const struct layers one = {.count = 1}, three = {.count = 3};

    (void)state;
    assert_true(view_exists(0, &one));
    assert_true(view_exists(view_named(VIEW_LAYER, 0), &one));
    assert_false(view_exists(view_named(VIEW_LAYER, 1), &one));
    assert_true(view_exists(view_named(VIEW_LAYER, 2), &three));
    assert_false(view_exists(view_named(VIEW_LAYER, 3), &three));
    assert_false(view_exists(1, &three));
    assert_false(view_exists(UINT32_MAX, &three));
    assert_int_equal(view_count(VIEW_WHOLE, &three), 1);
    assert_int_equal(view_count(VIEW_LAYER, &three), 3);
    assert_int_equal(view_count(VIEW_LAYER, &one), 0);
}

/* A layer is opened alone, with the format that its overlay names; the whole image with the user's
 * options. */
static void test_options(void **state)
{
    struct layers layers = {.count = 2};
    const struct open_options given = {.format = &raw_driver, .name = "top"};
    struct open_options o;

    (void)state;
    layers.items[1].format = &vhd_driver;
    layers.items[1].path = (char[]){"/images/base.vhd"};
    o = view_options(0, &layers, &given);
    assert_false(o.alone);
    assert_ptr_equal(o.format, &raw_driver);
    o = view_options(view_named(VIEW_LAYER, 0), &layers, &given);
    assert_true(o.alone);
    assert_ptr_equal(o.format, &raw_driver);
    assert_string_equal(o.name, "top");
    o = view_options(view_named(VIEW_LAYER, 1), &layers, &given);
    assert_true(o.alone);
    assert_ptr_equal(o.format, &vhd_driver);
    assert_string_equal(o.name, "base.vhd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_exists),
        cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
