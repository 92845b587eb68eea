// SPDX-License-Identifier: Apache-2.0
/* The table of the tree: that it is one, and that it is found through. */
#include "fs/nodes.h"

#include <stdio.h>
#include <string.h>

#include "support.h"

static const struct node *must_find(const char *path)
{
    const struct node *node = node_by_path(path);

    if (!node)
        fail_msg("there is no node \"%s\"", path);
    return node;
}

/* What every loop over the table relies on. */
static void test_table(void **state)
{
    size_t count = 0;

    (void)state;
    assert_string_equal(nodes[0].path, "");
    for (const struct node *n = nodes; n->path; n++, count++) {
        size_t parents = 0;

        assert_ptr_equal(node_by_path(n->path), n); /* no path twice */
        assert_int_equal(node_index(n), count);
        assert_true(n->pass < PASSES);
        assert_int_equal(n->render == NULL, n->pass == PASS_DIRECTORY);
        for (const struct node *p = nodes; p->path; p++)
            if (node_is_in(n, p)) {
                parents++;
                assert_true(p < n);
                assert_int_equal(p->pass, PASS_DIRECTORY);
                assert_ptr_equal(node_in(p, node_name(n)), n);
            }
        assert_int_equal(parents, n == nodes ? 0 : 1);
        if (n->target)
            assert_non_null(target_by_name(n->target));
    }
    assert_int_equal(nodes_count(), count);
}

static void test_targets(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct target *t = targets; t->name; t++, count++) {
        char path[64];

        snprintf(path, sizeof path, "measure/%s", t->name);
        assert_string_equal(must_find(path)->target, t->name);
        /* What depends on the data needs the walk. */
        assert_int_equal(must_find(path)->pass, t->unit ? PASS_MEASURE : PASS_HEADER);
        strcat(path, ".json");
        assert_string_equal(must_find(path)->target, t->name);
        assert_int_equal(must_find(path)->pass, t->unit ? PASS_MEASURE : PASS_HEADER);
    }
    assert_true(count <= TARGETS_MAX);
}

static void test_find(void **state)
{
    const struct node *root = must_find(""), *measure = must_find("measure"),
                      *qcow2 = must_find("measure/qcow2");

    (void)state;
    assert_ptr_equal(node_in(root, "measure"), measure);
    assert_ptr_equal(node_in(measure, "qcow2"), qcow2);
    assert_string_equal(node_name(qcow2), "qcow2");
    assert_string_equal(node_name(measure), "measure");
    assert_string_equal(node_name(root), "");
    assert_null(node_in(root, "qcow2"));
    assert_null(node_in(root, "measure/qcow2"));
    assert_null(node_in(root, ""));
    assert_null(node_in(root, "."));
    assert_null(node_in(measure, "measure"));
    assert_null(node_in(measure, "qcow"));
    assert_null(node_in(qcow2, "json"));
    assert_null(node_by_path("measure/"));
    assert_null(node_by_path("/measure"));
    assert_null(node_by_path("nothing"));
}

/* By whole names: "measure" is not the directory of what only begins like that. */
static void test_is_in(void **state)
{
    static const struct node other = {.path = "measure_all"}, deep = {.path = "measure/a/b"},
                             direct = {.path = "measure/a"};
    const struct node *root = must_find(""), *measure = must_find("measure");

    (void)state;
    assert_false(node_is_in(root, root));
    assert_false(node_is_in(measure, measure));
    assert_false(node_is_in(root, measure));
    assert_true(node_is_in(measure, root));
    assert_true(node_is_in(&other, root));
    assert_false(node_is_in(&other, measure));
    assert_true(node_is_in(&direct, measure));
    assert_false(node_is_in(&deep, measure));
    assert_false(node_is_in(&direct, root));
    assert_true(node_is_in(&deep, &direct));
    assert_true(node_is_in(&(struct node){.path = "m/x"}, &(struct node){.path = "m"}));
    assert_false(node_is_in(&(struct node){.path = "mx"}, &(struct node){.path = "m"}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_is_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
