// SPDX-License-Identifier: Apache-2.0
/* Positions of clusters, refcount blocks and tables, taken from files that qemu wrote. */
#include "formats/targets/qcow2-space.h"

#include <stdlib.h>

#include "tests/support/target-vectors.h"

static struct sample s = {.fd = -1};
static struct qcow2_space space;

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void begin_space(uint64_t cluster_size, uint64_t refcount_bits)
{
    sample_begin(&s);
    sample_session(&s);
    assert_int_equal(qcow2_space_begin(&space, s.img, cluster_size, refcount_bits), 0);
}

static void test_row(void **state)
{
    (void)state;
    begin_space(512, 16);
    assert_int_equal(qcow2_space_take(&space, 1), 3);
    assert_int_equal(qcow2_space_take(&space, 10), 4);
    assert_int_equal(qcow2_space_take_at(&space, 14, 6), 6);
    /* Allocated already. */
    assert_int_equal(qcow2_space_take_at(&space, 19, 6), 0);
    assert_int_equal(qcow2_space_take(&space, 1), 20);
}

/* The second block covers clusters 256 to 511. It is placed behind the clusters that need it. */
static void test_block(void **state)
{
    (void)state;
    begin_space(512, 16);
    assert_int_equal(qcow2_space_take(&space, 250), 3);
    assert_int_equal(qcow2_space_take(&space, 10), 253);
    assert_int_equal(ranges_run(&space.missing, 1, 2), 0);
    assert_int_equal(ranges_run(&space.missing, 2, 3), 1);
    assert_int_equal(space.end, 264 * 512);
    /* The block itself is in cluster 263. */
    assert_int_equal(qcow2_space_take(&space, 1), 264);

    begin_space(512, 16);
    assert_int_equal(qcow2_space_take(&space, 253), 3);
    assert_int_equal(qcow2_space_take(&space, 10), 256);
    assert_int_equal(qcow2_space_take(&space, 1), 267);
}

/* The table of 64 blocks is full at cluster 16384. The new one is at the first cluster of the next
 * block's range, and the old one is free. */
static void test_table(void **state)
{
    uint64_t last = 0;

    (void)state;
    begin_space(512, 16);
    while (space.table == 1)
        last = qcow2_space_take(&space, 1);
    assert_int_equal(space.table, 16641);
    assert_int_equal(space.table_clusters, 2);
    assert_int_equal(last, 1);
    assert_int_equal(space.end, 16643 * 512);
    assert_int_equal(qcow2_space_take(&space, 1), 16384);
    assert_int_equal(qcow2_space_take(&space, 1), 16386);
}

/* A search for contiguous clusters skips holes that are too short. After a reopen they are found.
 */
static void test_holes(void **state)
{
    (void)state;
    begin_space(512, 16);
    while (space.table == 1)
        qcow2_space_take(&space, 1);
    assert_int_equal(qcow2_space_take(&space, 200), 16386);
    assert_int_equal(qcow2_space_take(&space, 100), 16643);
    assert_int_equal(qcow2_space_take(&space, 1), 16743);
    qcow2_space_reopen(&space);
    assert_int_equal(qcow2_space_take(&space, 54), 16586);
}

static void test_extend(void **state)
{
    (void)state;
    begin_space(65536, 16);
    assert_int_equal(qcow2_space_take(&space, 1), 3);
    qcow2_space_written(&space, 4 * 65536);
    assert_int_equal(qcow2_space_extend(&space, 1024, 2), 5);
    assert_int_equal(qcow2_space_take(&space, 1), 1);
    assert_int_equal(qcow2_space_take(&space, 1), 1029);
    assert_int_equal(space.end, 1029 * 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_row, end),    cmocka_unit_test_teardown(test_block, end),
        cmocka_unit_test_teardown(test_table, end),  cmocka_unit_test_teardown(test_holes, end),
        cmocka_unit_test_teardown(test_extend, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
