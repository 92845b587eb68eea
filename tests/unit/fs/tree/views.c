// SPDX-License-Identifier: Apache-2.0
/* The views of an image: allocated when used, sorted, evicted. */
#include "fs/tree/views.h"

#include <string.h>

#include "fs/tree/limits.h"
#include "tests/support/support.h"

static struct views views;

static int end(void **state)
{
    (void)state;
    views_end(&views);
    return 0;
}

static void know(uint32_t name)
{
    const struct place place = {.view = name, .node = node_by_path("format")};
    struct view *view = views_get(&views, name);

    assert_non_null(view);
    assert_int_equal(results_put(&view->results, &place, result_new(0, "raw\n", 4, 0)), 0);
}

static bool is_known(uint32_t name)
{
    return views_know(&views, &(struct place){.view = name, .node = node_by_path("format")});
}

static void test_first_use(void **state)
{
    (void)state;
    assert_null(views_find(&views, 0));
    assert_false(is_known(7));
    assert_true(views_know(&views, &(struct place){.node = node_by_path("problems")}));
    know(7);
    assert_true(is_known(7));
    assert_false(is_known(6));
    assert_int_equal(views.count, 1);
    assert_ptr_equal(views_get(&views, 7), views_find(&views, 7));
}

/* The array is sorted by name, whatever the order of use. */
static void test_order(void **state)
{
    static const uint32_t names[] = {5, 1, 9, 0, 3, 0x1000002, 0x1000001};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        know(names[i]);
    assert_int_equal(views.count, COUNT(names));
    for (size_t i = 1; i < views.count; i++)
        assert_true(views.items[i - 1]->name < views.items[i]->name);
}

/* The least recently used is evicted, but neither the whole image nor a view in use. */
static void test_eviction(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VIEWS_KEPT; i++)
        know(i);
    views_find(&views, 1)->holds = 1;
    views_find(&views, 2)->processes = 1;
    know(3);
    know(1000);
    assert_int_equal(views.count, VIEWS_KEPT);
    assert_true(is_known(0) && is_known(1) && is_known(2) && is_known(3) && is_known(1000));
    assert_false(is_known(4));
    for (uint32_t i = 2000; i < 2000 + 5 * VIEWS_KEPT; i++)
        know(i);
    assert_int_equal(views.count, VIEWS_KEPT);
    assert_true(is_known(0) && is_known(1) && is_known(2));
    assert_false(is_known(3));
}

/* Held views can exceed the limit; the next use evicts down to it. */
static void test_all_held(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VIEWS_KEPT; i++) {
        know(i);
        views_find(&views, i)->holds = 1;
    }
    know(1000);
    assert_int_equal(views.count, VIEWS_KEPT + 1);
    for (size_t i = 0; i < views.count; i++)
        views.items[i]->holds = 0;
    know(1001);
    assert_int_equal(views.count, VIEWS_KEPT);
}

static void test_forget(void **state)
{
    struct view *view;

    (void)state;
    know(0);
    view = views_find(&views, 0);
    text_add(&view->problems, "one\n");
    view->costs[PASS_HEADER].bytes = 5;
    view->costs[PASS_DATA].bytes = 6;
    view->failures[PASS_SCAN][0].given_up = true;
    views_forget(&views);
    assert_false(is_known(0));
    assert_int_equal(view->problems.length, 0);
    assert_false(view->failures[PASS_SCAN][0].given_up);
    assert_int_equal(view_bytes_read(view), 11);
}

static void test_forget_task(void **state)
{
    (void)state;
    know(0);
    view_forget_task(views_find(&views, 0), &(struct task){.pass = PASS_SCAN});
    assert_true(is_known(0));
    view_forget_task(views_find(&views, 0), &(struct task){.pass = PASS_CONTENT});
    assert_false(is_known(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_first_use, end),
        cmocka_unit_test_teardown(test_order, end),
        cmocka_unit_test_teardown(test_eviction, end),
        cmocka_unit_test_teardown(test_all_held, end),
        cmocka_unit_test_teardown(test_forget, end),
        cmocka_unit_test_teardown(test_forget_task, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
