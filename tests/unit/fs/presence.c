// SPDX-License-Identifier: Apache-2.0
/* Which places exist: files, numbered directories, and views of layers. */
#include "fs/presence.h"

#include <errno.h>

#include "tests/support/support.h"

static struct mounted m;

static int begin(void **state)
{
    (void)state;
    nodes_begin();
    return 0;
}

static int forget(void **state)
{
    (void)state;
    views_end(&m.views);
    return 0;
}

static struct place at(const char *path)
{
    struct place place;

    if (!place_by_path(path, &place))
        fail_msg("no such place: %s", path);
    return place;
}

static void know(const char *path, int error, const char *text)
{
    const struct place place = at(path);

    assert_int_equal(results_put(&views_get(&m.views, place.view)->results, &place,
                                 result_new(error, text, strlen(text), 0)),
                     0);
}

static void know_count(const char *path, uint32_t count)
{
    const struct place place = at(path);

    assert_int_equal(results_set_count(&views_get(&m.views, place.view)->results, &place, count),
                     0);
}

static bool is_absent(const char *path)
{
    const struct place place = at(path);

    return presence_is_absent(&m, &place);
}

static void test_computed(void **state)
{
    struct place place = at("format");

    (void)state;
    assert_null(views_result(&m.views, &place));
    know("format", 0, "raw\n");
    assert_int_equal(views_result(&m.views, &place)->length, 4);
    place.view = view_named(VIEW_LAYER, 0);
    assert_null(views_result(&m.views, &place));
    know("layers/0/format", 0, "qcow2\n");
    assert_int_equal(views_result(&m.views, &place)->length, 6);
    place = at("references/3/kind");
    know("references/3/kind", 0, "x\n");
    assert_non_null(views_result(&m.views, &place));
    place.number = 2;
    assert_null(views_result(&m.views, &place));
}

static void test_absent_files(void **state)
{
    (void)state;
    assert_false(is_absent("subformat"));
    know("subformat", -ENOENT, "");
    assert_true(is_absent("subformat"));
    assert_false(is_absent("layers/0/subformat"));
    know("virtual_size", -EIO, "");
    assert_false(is_absent("virtual_size"));
}

static void test_numbered(void **state)
{
    struct place references = at("references");

    (void)state;
    assert_false(is_absent("references"));
    assert_true(is_absent("references/0"));
    assert_int_equal(presence_entries(&m, &references), 0);
    know_count("references", 3);
    assert_int_equal(presence_entries(&m, &references), 3);
    assert_false(is_absent("references/0"));
    assert_false(is_absent("references/2"));
    assert_true(is_absent("references/3"));
    assert_true(is_absent("references/65535"));
    assert_false(place_by_path("references/4000000", &references));
    assert_true(is_absent("layers/0/references/0"));
    know_count("layers/0/references", 1);
    assert_false(is_absent("layers/0/references/0"));
    assert_true(is_absent("layers/0/references/1"));
}

/* layers/ exists if there are several; it has no files of the whole mount. */
static void test_layers(void **state)
{
    struct place place;

    (void)state;
    m.layers.count = 1;
    assert_true(is_absent("layers"));
    m.layers.count = 2;
    assert_false(is_absent("layers"));
    place = at("layers");
    assert_int_equal(presence_entries(&m, &place), 2);
    m.layers.count = 0;
    assert_int_equal(at("layers/1").view, view_named(VIEW_LAYER, 1));
    assert_ptr_equal(at("layers/1").node, nodes);
    assert_false(place_by_path("layers/0/layers", &place));
    assert_false(place_by_path("layers/0/status", &place));
    assert_false(place_by_path("layers/00", &place));
    assert_false(place_by_path("layers/65536", &place));
    assert_true(place_by_path("layers/63", &place));
    place =
        (struct place){.view = view_named(VIEW_LAYER, 0), .node = node_by_path("status/version")};
    assert_true(presence_is_absent(&m, &place));
}

static void test_deciders(void **state)
{
    struct place place = at("layers/3/problems");

    (void)state;
    assert_string_equal(presence_decider(&place).node->path, "format");
    assert_int_equal(presence_decider(&place).view, view_named(VIEW_LAYER, 3));
    place = at("measure/qcow2");
    assert_ptr_equal(presence_decider(&place).node, place.node);
    place = at("references");
    assert_true(presence_listing_decider(&place).node->pass <= PASS_HEADER);
    place = at("references/7");
    assert_int_equal(presence_listing_decider(&place).node->pass, PASS_HEADER);
    assert_int_equal(presence_listing_decider(&place).view, 0);
}

static void test_count(void **state)
{
    uint64_t before = presence_count(&m);

    (void)state;
    know_count("references", 10);
    /* Ten directories; each counts with its files. */
    assert_int_equal(presence_count(&m) - before, 10 * 8);
    know("subformat", -ENOENT, "");
    assert_int_equal(presence_count(&m) - before, 10 * 8 - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_computed, forget),
        cmocka_unit_test_teardown(test_absent_files, forget),
        cmocka_unit_test_teardown(test_numbered, forget),
        cmocka_unit_test_teardown(test_layers, forget),
        cmocka_unit_test_teardown(test_deciders, forget),
        cmocka_unit_test_teardown(test_count, forget),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
