// SPDX-License-Identifier: Apache-2.0
/* What the monitor starts jobs for: only what there is, whoever asks. */
#include "fs/monitor.h"

#include "support.h"

enum { LAYERS = 2 };

static struct wire_request request(uint32_t view, uint32_t pass, uint32_t set, uint32_t directory,
                                   uint32_t target)
{
    return (struct wire_request){.kind = WIRE_START,
                                 .view = view,
                                 .pass = pass,
                                 .set = set,
                                 .directory = directory,
                                 .target = target};
}

static bool can_start(struct wire_request r)
{
    return monitor_can_start(&r, LAYERS);
}

static void test_passes(void **state)
{
    (void)state;
    for (uint32_t pass = 0; pass < 100; pass++)
        assert_int_equal(can_start(request(0, pass, 0, 0, 0)),
                         pass >= PASS_HEADER && pass < PASSES);
    assert_false(can_start(request(0, UINT32_MAX, 0, 0, 0)));
    assert_false(can_start(request(0, INT32_MAX, 0, 0, 0)));
}

static void test_views(void **state)
{
    (void)state;
    for (uint32_t view = 0; view < 100; view++)
        assert_int_equal(can_start(request(view, PASS_SCAN, 0, 0, 0)), view <= LAYERS);
    assert_false(can_start(request(UINT32_MAX, PASS_SCAN, 0, 0, 0)));
}

/* A set of options is of a directory that takes options, and of a target. */
static void test_sets(void **state)
{
    const uint32_t measure = (uint32_t)node_index(node_by_path("measure"));
    const uint32_t format = (uint32_t)node_index(node_by_path("format"));
    const uint32_t rows = (uint32_t)nodes_count(), target_rows = (uint32_t)targets_count();

    (void)state;
    assert_true(can_start(request(0, PASS_SCAN, 1, measure, 0)));
    assert_true(can_start(request(0, PASS_SCAN, OPTION_SETS_MAX, measure, target_rows - 1)));
    assert_false(can_start(request(0, PASS_SCAN, OPTION_SETS_MAX + 1, measure, 0)));
    assert_false(can_start(request(0, PASS_SCAN, UINT32_MAX, measure, 0)));
    assert_false(can_start(request(0, PASS_SCAN, 1, measure, target_rows)));
    assert_false(can_start(request(0, PASS_SCAN, 1, measure, UINT32_MAX)));
    assert_false(can_start(request(0, PASS_SCAN, 1, format, 0)));
    assert_false(can_start(request(0, PASS_SCAN, 1, rows, 0)));
    assert_false(can_start(request(0, PASS_SCAN, 1, UINT32_MAX, 0)));
    /* Of a job without options none of that is looked at. */
    assert_true(can_start(request(0, PASS_SCAN, 0, UINT32_MAX, UINT32_MAX)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_sets),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
