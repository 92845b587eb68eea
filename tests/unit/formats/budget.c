// SPDX-License-Identifier: Apache-2.0
/* How much a session may read and work: limits in proportion to the bytes that its files store. */
#include "formats/budget.h"

#include "tests/support/support.h"

enum { PER_BYTE = BUDGET_UNPACK_INPUT_WORK + BUDGET_UNPACK_OUTPUT_WORK };

/* Without a walk: the files once, and 64 MiB more. */
static void test_read(void **state)
{
    struct budget b = {.total_size = 0};

    (void)state;
    assert_true(budget_may_read(&b, 64 * MIB));
    assert_false(budget_may_read(&b, 64 * MIB + 1));
    budget_add_file(&b, MIB);
    budget_add_file(&b, 2 * MIB);
    assert_true(budget_may_read(&b, 67 * MIB));
    assert_false(budget_may_read(&b, 67 * MIB + 1));
    b.bytes_read = 67 * MIB - 5;
    assert_true(budget_may_read(&b, 5));
    assert_false(budget_may_read(&b, 6));
}

/* Each walk may read the files 64 times. */
static void test_read_in_walks(void **state)
{
    struct budget b = {.total_size = MIB, .walks = 2};

    (void)state;
    assert_true(budget_may_read(&b, (1 + 2 * 64 + 64) * MIB));
    assert_false(budget_may_read(&b, (1 + 2 * 64 + 64) * MIB + 1));
}

static void test_work(void **state)
{
    struct budget b = {.total_size = MIB};

    (void)state;
    budget_add_work(&b, BUDGET_WORK_MAX - 1);
    assert_true(budget_has_work(&b));
    budget_add_work(&b, 1);
    assert_false(budget_has_work(&b));
}

/* A walk's work is in proportion to the bytes that the host stores: holes do not count. */
static void test_work_in_walks(void **state)
{
    struct budget b = {.total_size = MIB, .walks = 1};

    (void)state;
    budget_add_work(&b, BUDGET_WORK_MAX + MIB * PER_BYTE - 1);
    assert_true(budget_has_work(&b));
    budget_add_work(&b, 1);
    assert_false(budget_has_work(&b));
    b.walks = 2;
    assert_true(budget_has_work(&b));
    b.holes = MIB / 2;
    assert_false(budget_has_work(&b));
    budget_add_work(&b, UINT64_MAX);
    assert_int_equal(b.work, UINT64_MAX);
    assert_false(budget_has_work(&b));
}

/* Holes are counted once, and only in a session whose work exceeds BUDGET_WORK_MAX. */
static void test_wants_holes(void **state)
{
    struct budget b = {.total_size = MIB, .walks = 1};

    (void)state;
    budget_add_work(&b, BUDGET_WORK_MAX - 1);
    assert_false(budget_wants_holes(&b));
    budget_add_work(&b, 1);
    assert_true(budget_wants_holes(&b));
    b.knows_holes = true;
    assert_false(budget_wants_holes(&b));
    b.knows_holes = false;
    b.walks = 0;
    assert_false(budget_wants_holes(&b));
}

/* Sizes whose sum or product exceeds 64 bits stay the largest number: no limit wraps around. */
static void test_saturates(void **state)
{
    struct budget b = {.total_size = UINT64_MAX - 1, .walks = 1};

    (void)state;
    budget_add_file(&b, 2);
    assert_true(b.total_size == UINT64_MAX);
    b.bytes_read = INT64_MAX;
    assert_true(budget_may_read(&b, INT64_MAX));
    budget_add_work(&b, INT64_MAX);
    assert_true(budget_has_work(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),        cmocka_unit_test(test_read_in_walks),
        cmocka_unit_test(test_work),        cmocka_unit_test(test_work_in_walks),
        cmocka_unit_test(test_wants_holes), cmocka_unit_test(test_saturates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
