// SPDX-License-Identifier: Apache-2.0
/* The table of passes, and which files tasks yield. */
#include "fs/tree/passes.h"

#include "tests/support/support.h"

/* The invariants of the table. */
static void test_table(void **state)
{
    (void)state;
    assert_null(passes[PASS_NONE].run);
    for (enum pass_id pass = PASS_NONE + 1; pass < PASSES; pass++) {
        assert_non_null(passes[pass].name);
        assert_non_null(passes[pass].run);
        assert_true(passes[pass].cpu_seconds > 0);
        assert_true(passes[pass].yields & PASS_BIT(pass));
        /* A pass needs earlier rows only. */
        assert_true(passes[pass].needs < PASS_BIT(pass));
    }
}

static void test_exists(void **state)
{
    (void)state;
    for (uint32_t pass = 0; pass < 100; pass++)
        assert_int_equal(pass_exists(pass), pass != PASS_NONE && pass < PASSES);
    assert_false(pass_exists(UINT32_MAX));
}

static void test_needed(void **state)
{
    (void)state;
    assert_int_equal(passes_needed(0), 0);
    assert_int_equal(passes_needed(PASS_BIT(PASS_SCAN)), PASS_BIT(PASS_SCAN));
    assert_int_equal(passes_needed(PASS_BIT(PASS_CONTENT)),
                     PASS_BIT(PASS_HEADER) | PASS_BIT(PASS_CONTENT));
}

/* Every file is yielded by the pass of its task, and takes a slot with options. */
static void test_tasks(void **state)
{
    (void)state;
    for (const struct node *n = nodes; n->path; n++) {
        struct place place = {.node = n};
        struct task task = place_task(&place);

        if (!n->render) {
            assert_int_equal(task.pass, PASS_NONE);
            continue;
        }
        assert_true(task_may_yield(&task, &place));
        if (!n->target)
            continue;
        place.set = 1;
        task = place_task(&place);
        assert_true(task_may_yield(&task, &place));
        assert_true(task_takes_slot(&task));
        assert_false(task_yields_headers(&task));
    }
    assert_true(task_yields_headers(&(struct task){.pass = PASS_HEADER}));
    assert_true(task_yields_headers(&(struct task){.pass = PASS_CONTENT}));
    assert_false(task_yields_headers(&(struct task){.pass = PASS_DATA}));
    assert_false(task_takes_slot(&(struct task){.pass = PASS_HEADER}));
    assert_true(task_takes_slot(&(struct task){.pass = PASS_MEASURE}));
}

static bool is_walk(enum pass_id pass)
{
    return pass == PASS_MEASURE || pass == PASS_SCAN;
}

static void test_may_yield(void **state)
{
    (void)state;
    for (enum pass_id pass = PASS_HEADER; pass < PASSES; pass++)
        for (const struct node *n = nodes; n->path; n++)
            assert_int_equal(
                task_may_yield(&(struct task){.pass = pass}, &(struct place){.node = n}),
                pass == n->pass || (pass == PASS_CONTENT && n->pass == PASS_HEADER) ||
                    (is_walk(pass) && is_walk(n->pass)));
}

/* A task with options yields the files with these options, and no others. */
static void test_may_yield_of_a_set(void **state)
{
    const struct task task = {.pass = PASS_MEASURE, .set = 3}, none = {.pass = PASS_MEASURE};
    struct place place = {.set = 3, .node = node_by_path("measure/qcow2")};

    (void)state;
    assert_true(task_may_yield(&task, &place));
    assert_false(task_may_yield(&none, &place));
    place.set = 2;
    assert_false(task_may_yield(&task, &place));
    place.set = 0;
    assert_false(task_may_yield(&task, &place));
    /* measure/qcow is of the scan pass without options, and of the measure pass with them. */
    place = (struct place){.set = 3, .node = node_by_path("measure/qcow")};
    assert_true(task_may_yield(&task, &place));
    place = (struct place){.set = 3, .node = node_by_path("measure/luks")};
    assert_false(task_may_yield(&task, &place));
    place = (struct place){.set = 3, .node = node_by_path("references/#/kind")};
    assert_false(task_may_yield(&task, &place));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),     cmocka_unit_test(test_exists),
        cmocka_unit_test(test_needed),    cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_may_yield), cmocka_unit_test(test_may_yield_of_a_set),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
