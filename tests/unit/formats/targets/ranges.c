// SPDX-License-Identifier: Apache-2.0
/* Sets of ranges, compared with an array of numbers, and sets that overflow. */
#include "formats/targets/ranges.h"

#include <stdlib.h>

#include "formats/image.h"
#include "tests/support/target-vectors.h"

enum { NUMBERS = 300 };

static struct sample s = {.fd = -1};

static int begin(void **state)
{
    (void)state;
    sample_begin(&s);
    sample_session(&s);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Returns how many numbers from at on are in the set, or are not, like at. */
static uint64_t run_length(const bool *in, uint64_t at)
{
    uint64_t n = 1;

    while (at + n < NUMBERS && in[at + n] == in[at])
        n++;
    return n;
}

static void assert_same(const struct ranges *r, const bool *in)
{
    for (uint64_t at = 0; at < NUMBERS; at++) {
        size_t i = ranges_find(r, at);

        assert_int_equal(ranges_run(r, at, NUMBERS), in[at] ? run_length(in, at) : 0);
        assert_int_equal(in[at], i < r->count && r->ranges[i].begin <= at);
    }
    for (size_t i = 1; i < r->count; i++)
        assert_true(r->ranges[i - 1].end < r->ranges[i].begin);
}

static void test_random(void **state)
{
    bool in[NUMBERS] = {false};
    struct ranges r;

    (void)state;
    assert_int_equal(ranges_begin(&r, s.img, NUMBERS), 0);
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t at = random_below(NUMBERS), n = 1 + random_below(run_length(in, at));

        if (in[at])
            ranges_remove(&r, at, at + n);
        else
            ranges_add(&r, at, at + n);
        for (uint64_t i = at; i < at + n; i++)
            in[i] = !in[i];
        assert_same(&r, in);
    }
    assert_false(r.overflowed);
}

static void test_forget(void **state)
{
    struct ranges r;

    (void)state;
    assert_int_equal(ranges_begin(&r, s.img, 3), 0);
    ranges_add(&r, 1, 3);
    ranges_add(&r, 5, 7);
    ranges_add(&r, 9, UINT64_MAX);
    ranges_forget(&r, 6);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.ranges[0].begin, 5);
    ranges_forget(&r, 7);
    assert_int_equal(r.count, 1);
}

static void test_full(void **state)
{
    struct ranges r;

    (void)state;
    assert_int_equal(ranges_begin(&r, s.img, 2), 0);
    ranges_add(&r, 1, 3);
    ranges_add(&r, 5, 9);
    assert_false(r.overflowed);
    ranges_remove(&r, 6, 7);
    assert_true(r.overflowed);
    assert_int_equal(r.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, begin, end),
        cmocka_unit_test_setup_teardown(test_forget, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
