// SPDX-License-Identifier: Apache-2.0
/* Results: stored by node and number, moved, forgotten. AddressSanitizer finds those that leak. */
#include "fs/tree/results.h"

#include <errno.h>

#include "tests/support/support.h"

static struct results results;

static int end(void **state)
{
    (void)state;
    results_forget(&results);
    return 0;
}

static void test_result(void **state)
{
    struct result *r = result_new(-5, "abc", 2, 0);

    (void)state;
    assert_int_equal(r->references, 1);
    assert_int_equal(r->error, -5);
    assert_int_equal(r->length, 2);
    assert_memory_equal(r->bytes, "ab", 2);
    assert_ptr_equal(result_hold(r), r);
    result_drop(r);
    assert_int_equal(r->references, 1);
    result_drop(r);
    assert_null(result_hold(NULL));
    result_drop(NULL);
    r = result_new(0, NULL, 0, 0);
    assert_int_equal(r->length, 0);
    result_drop(r);
}

static struct place at(const char *path, uint32_t number)
{
    const struct node *node = node_by_path(path);

    return node->is_numbered ? (struct place){.number = number, .node = node}
                             : (struct place){.set = number, .node = node};
}

static int keep(struct results *to, const char *path, uint32_t number, const char *text)
{
    const struct place place = at(path, number);

    return results_put(to, &place, result_new(0, text, strlen(text), 0));
}

static void assert_text(const char *path, uint32_t number, const char *text)
{
    const struct place place = at(path, number);
    const struct result *result = results_get(&results, &place);

    if (!text) {
        assert_null(result);
        return;
    }
    assert_non_null(result);
    assert_int_equal(result->length, strlen(text));
    assert_memory_equal(result->bytes, text, strlen(text));
}

static void test_put(void **state)
{
    (void)state;
    assert_text("format", 0, NULL);
    assert_int_equal(keep(&results, "format", 0, "raw"), 0);
    assert_text("format", 0, "raw");
    assert_text("format", 1, NULL);
    assert_text("subformat", 0, NULL);
    assert_int_equal(keep(&results, "format", 0, "vpc"), 0);
    assert_text("format", 0, "vpc");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(keep(&results, "references/#/path", 7, "seven"), 0);
    assert_int_equal(keep(&results, "references/#/path", 0, "none"), 0);
    assert_int_equal(keep(&results, "references/#/path", NUMBERS_MAX - 1, "last"), 0);
    assert_text("references/#/path", 0, "none");
    assert_text("references/#/path", 1, NULL);
    assert_text("references/#/path", 7, "seven");
    assert_text("references/#/path", NUMBERS_MAX - 1, "last");
    assert_text("references/#/kind", 7, NULL);
    assert_int_equal(keep(&results, "measure/qcow2", 0, "without"), 0);
    assert_int_equal(keep(&results, "measure/qcow2", OPTION_SETS_MAX, "with"), 0);
    assert_text("measure/qcow2", OPTION_SETS_MAX, "with");
    assert_text("measure/qcow2", 0, "without");
}

/* Results of impossible places are refused and freed. */
static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(keep(&results, "references/#/path", NUMBERS_MAX, "x"), -EPROTO);
    assert_int_equal(keep(&results, "format", 1, "x"), -EPROTO);
    assert_int_equal(keep(&results, "measure/qcow2", OPTION_SETS_MAX + 1, "x"), -EPROTO);
    assert_int_equal(keep(&results, "", 0, "x"), -EPROTO);
    assert_int_equal(keep(&results, "references", 0, "x"), -EPROTO);
    assert_int_equal(keep(&results, "references/#", 0, "x"), -EPROTO);
}

static void test_count(void **state)
{
    const struct place directory = at("references", 0), file = at("format", 0);

    (void)state;
    assert_int_equal(results_count(&results, directory.node), 0);
    assert_int_equal(results_set_count(&results, &directory, 5), 0);
    assert_int_equal(results_count(&results, directory.node), 5);
    assert_int_equal(results_set_count(&results, &directory, NUMBERS_MAX), 0);
    assert_int_equal(results_set_count(&results, &directory, NUMBERS_MAX + 1), -EPROTO);
    assert_int_equal(results_set_count(&results, &file, 1), -EPROTO);
    assert_int_equal(results_count(&results, file.node), 0);
    assert_null(results_get(&results, &directory));
}

static void test_move(void **state)
{
    struct results from = {.lists = NULL};
    const struct place directory = at("references", 0);

    (void)state;
    assert_int_equal(results_move(&results, &from), 0);
    assert_null(results.lists);
    keep(&results, "format", 0, "old");
    keep(&results, "subformat", 0, "stays");
    keep(&results, "references/#/path", 9, "stays, too");
    keep(&from, "format", 0, "new");
    keep(&from, "references/#/path", 1, "comes");
    results_set_count(&from, &directory, 2);
    assert_int_equal(results_move(&results, &from), 0);
    assert_null(from.lists);
    assert_text("format", 0, "new");
    assert_text("subformat", 0, "stays");
    assert_text("references/#/path", 9, "stays, too");
    assert_text("references/#/path", 1, "comes");
    assert_int_equal(results_count(&results, directory.node), 2);
    results_forget_node(&results, node_by_path("format"));
    assert_text("format", 0, NULL);
    assert_text("subformat", 0, "stays");
}

static void fail_at(struct results *to, const char *path, int error)
{
    const struct place place = at(path, 0);

    assert_int_equal(results_put(to, &place, result_new(error, NULL, 0, 0)), 0);
}

static void test_move_errors(void **state)
{
    struct results from = {.lists = NULL};
    const struct place unread = at("virtual_size", 0), read = at("content", 0);

    (void)state;
    keep(&results, "format", 0, "known");
    fail_at(&results, "content", -EIO);
    fail_at(&from, "format", -EIO);
    fail_at(&from, "virtual_size", -EIO);
    keep(&from, "content", 0, "mbr");
    assert_int_equal(results_move(&results, &from), 0);
    assert_text("format", 0, "known");
    assert_int_equal(results_get(&results, &unread)->error, -EIO);
    assert_int_equal(results_get(&results, &read)->error, 0);
    assert_text("content", 0, "mbr");
}

/* The bytes are those of all stored results. */
static void test_bytes(void **state)
{
    const size_t one = result_bytes(3), two = result_bytes(5);
    struct results from = {.lists = NULL};

    (void)state;
    keep(&results, "format", 0, "vpc");
    assert_int_equal(results.bytes, one);
    keep(&results, "format", 0, "qcow2");
    assert_int_equal(results.bytes, two);
    keep(&from, "format", 0, "raw");
    keep(&from, "subformat", 0, "fixed");
    assert_int_equal(results_move(&results, &from), 0);
    assert_int_equal(from.bytes, 0);
    assert_int_equal(results.bytes, one + two);
    results_forget_node(&results, node_by_path("subformat"));
    assert_int_equal(results.bytes, one);
    results_forget(&results);
    assert_int_equal(results.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test_teardown(test_put, end),
        cmocka_unit_test_teardown(test_numbers, end),
        cmocka_unit_test_teardown(test_refused, end),
        cmocka_unit_test_teardown(test_count, end),
        cmocka_unit_test_teardown(test_move, end),
        cmocka_unit_test_teardown(test_move_errors, end),
        cmocka_unit_test_teardown(test_bytes, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
