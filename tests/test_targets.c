// SPDX-License-Identifier: Apache-2.0
/* The table of size models, what holds for all of them, and counting of units. */
#include "formats/targets.h"

#include <errno.h>
#include <stdlib.h>

#include "target-vectors.h"

static void test_raw(void **state)
{
    static const uint64_t sizes[][2] = {{0, 0},     {1, 512},    {511, 512},
                                        {512, 512}, {513, 1024}, {1000001, 1000448}};
    const struct target *raw = &raw_target;
    const uint64_t touched[TARGET_UNITS_MAX] = {3};
    struct target_size size;
    struct reason why;

    (void)state;
    assert_null(raw->units);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(raw->size(&raw->defaults, sizes[i][0], touched, &size, &why), 0);
        assert_int_equal(size.required, sizes[i][1]);
        assert_int_equal(size.fully_allocated, sizes[i][1]);
    }
    assert_int_equal(raw->size(&raw->defaults, UINT64_MAX - 511, touched, &size, &why), 0);
    assert_true(size.required == UINT64_MAX - 511);
    assert_int_equal(raw->size(&raw->defaults, UINT64_MAX - 510, touched, &size, &why), -EFBIG);
}

static void test_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; targets[i]; i++) {
        assert_ptr_equal(target_by_name(targets[i]->name), targets[i]);
        assert_int_equal(target_row(targets[i]), i);
    }
    assert_ptr_equal(target_by_name("vpc"), &vhd_target);
    assert_null(target_by_name(""));
    assert_null(target_by_name("bochs"));
    assert_null(target_by_name("qcow2 "));
}

static void add(struct unit_count *count, uint64_t offset, uint64_t length, enum extent_kind kind)
{
    const struct extent e = {.offset = offset, .length = length, .kind = kind};

    unit_count_add(count, &e);
}

static void test_count(void **state)
{
    struct unit_count c;

    (void)state;
    unit_count_begin(&c, 100);
    add(&c, 0, 99, EXTENT_ZERO);
    add(&c, 99, 1, EXTENT_HOLE);
    assert_int_equal(c.touched, 0);
    /* The last byte of one unit and the first of the next. */
    add(&c, 199, 2, EXTENT_DATA);
    assert_int_equal(c.touched, 2);
    add(&c, 250, 50, EXTENT_DATA);
    assert_int_equal(c.touched, 2);
    add(&c, 300, 1, EXTENT_DATA);
    add(&c, 302, 98, EXTENT_DATA);
    assert_int_equal(c.touched, 3);
    /* From the middle of a counted unit over whole ones into another. */
    add(&c, 500, 1, EXTENT_DATA);
    add(&c, 550, 351, EXTENT_DATA);
    assert_int_equal(c.touched, 3 + 1 + 4);
    assert_int_equal(c.counted, 1000);
}

static void test_count_far(void **state)
{
    struct unit_count c;
    uint64_t last = (uint64_t)INT64_MAX - 511;

    (void)state;
    unit_count_begin(&c, 2 * MIB);
    add(&c, 0, last, EXTENT_DATA);
    assert_true(c.touched == UINT64_C(1) << 42);
    unit_count_begin(&c, 512);
    add(&c, last - 1, 1, EXTENT_DATA);
    assert_int_equal(c.touched, 1);
    assert_true(c.counted == last);
}

/* Against a map of the units. */
static void test_count_random(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        bool seen[200] = {false};
        uint64_t unit = 1 + random_below(40), offset = 0, expected = 0;
        struct unit_count c;

        unit_count_begin(&c, unit);
        while (offset < 150) {
            uint64_t length = 1 + random_below(30);
            enum extent_kind kind = (enum extent_kind)random_below(3);

            add(&c, offset, length, kind);
            for (uint64_t i = offset; i < offset + length && kind == EXTENT_DATA; i++)
                seen[i / unit] = true;
            offset += length;
        }
        for (size_t i = 0; i < COUNT(seen); i++)
            expected += seen[i];
        assert_int_equal(c.touched, expected);
    }
}

/* Units of several targets: equal ones are counted once, and each target gets its own. */
static void test_counts(void **state)
{
    static struct target_counts c;
    uint64_t touched[TARGET_UNITS_MAX];
    const struct extent first = {.offset = 4096, .length = 8192, .kind = EXTENT_DATA};
    const struct extent second = {.offset = 3 * MIB, .length = 4096, .kind = EXTENT_DATA};

    (void)state;
    target_counts_begin(&c);
    for (size_t i = 0; targets[i]; i++)
        target_counts_want(&c, i, targets[i], &targets[i]->defaults, 8 * MIB);
    /* 4 KiB, 64 KiB, 1 MiB, 2 MiB, 8 MiB, 2 GiB */
    assert_int_equal(c.used, 6);
    assert_int_equal(target_counts_add(&c, 0, &first), 12288);
    assert_int_equal(target_counts_add(&c, 65536, &first), 65536);
    assert_int_equal(target_counts_add(&c, MIB, &second), 4 * MIB);
    target_counts_get(&c, target_row(&qcow_target), touched);
    assert_int_equal(touched[0], 3);
    assert_int_equal(touched[1], 2);
    target_counts_get(&c, target_row(&qed_target), touched);
    assert_int_equal(touched[0], 2);
    assert_int_equal(touched[1], 1);
    target_counts_get(&c, target_row(&vmdk_target), touched);
    assert_int_equal(touched[0], 2);
    target_counts_get(&c, target_row(&vhdx_target), touched);
    assert_int_equal(touched[0], 1);
    target_counts_get(&c, target_row(&raw_target), touched);
    assert_int_equal(touched[0], 0);
    target_counts_begin(&c);
    target_counts_want(&c, 3, &raw_target, &raw_target.defaults, 8 * MIB);
    assert_true(target_counts_add(&c, 0, &first) == UINT64_MAX);
}

static const char *const some_options[] = {
    "subformat=streamOptimized",
    "subformat=monolithicFlat",
    "subformat=twoGbMaxExtentSparse",
    "subformat=twoGbMaxExtentFlat",
    "subformat=fixed",
    "subformat=fixed,force_size=on",
    "force_size=on",
    "block_size=1M",
    "block_size=256M",
    "subformat=fixed,block_state_zero=off",
    "subformat=fixed,log_size=4095M",
    "static=on",
    "cluster_size=4k",
    "cluster_size=2M",
    "cluster_size=64M",
    "cluster_size=4k,table_size=2",
    "cluster_size=64M,table_size=16",
    "cluster_size=1536",
    "cluster_size=512,refcount_bits=64",
    "preallocation=full",
    "extended_l2=on",
    "encrypt.format=luks",
    "cipher-alg=aes-192,cipher-mode=cbc",
    "backing_file=x",
};

/* Options that the target takes, or its defaults. */
static struct target_options random_options(const struct target *target)
{
    struct target_options o = target->defaults;
    struct reason why;

    if (random_below(4) &&
        target_options_parse(target, some_options[random_below(COUNT(some_options))], &o, &why))
        o = target->defaults;
    return o;
}

/* Of any disk: no overflow (sanitizers look), required <= fully allocated, and both the same with
 * every unit; more data is never less file; a larger disk never has a smaller one. */
static void assert_properties(const struct target *t, uint64_t virtual_size)
{
    struct target_options o = random_options(t);
    uint64_t units[TARGET_UNITS_MAX], all[TARGET_UNITS_MAX] = {0}, some[TARGET_UNITS_MAX] = {0};
    size_t kinds = t->units ? t->units(&o, virtual_size, units) : 0;
    const uint64_t none[TARGET_UNITS_MAX] = {0};
    struct target_size least, middle, most, larger;
    struct reason why = {""};
    int error;

    for (size_t i = 0; i < kinds; i++) {
        all[i] = virtual_size / units[i] + (virtual_size % units[i] != 0);
        some[i] = random_below(all[i] + 1);
    }
    error = t->size(&o, virtual_size, none, &least, &why);
    assert_true(!error || ((error == -EFBIG || error == -ENOTSUP) && *why.words));
    if (error || t->size(&o, virtual_size, all, &most, &why))
        return;
    assert_int_equal(t->size(&o, virtual_size, some, &middle, &why), 0);
    assert_true(least.required <= middle.required && middle.required <= most.required);
    assert_true(most.required <= most.fully_allocated);
    assert_int_equal(least.fully_allocated, most.fully_allocated);
    /* The geometry of a VHD may be larger than the disk. */
    if (t != &vhd_target)
        assert_int_equal(most.required, most.fully_allocated);
    /* A larger VHDX may have larger blocks; and qemu makes a large table for an empty disk. */
    if ((t != &vhdx_target || (o.block_size && virtual_size)) && virtual_size < UINT64_MAX - MIB &&
        !t->size(&o, virtual_size + 1 + random_below(MIB), none, &larger, &why)) {
        assert_true(larger.fully_allocated >= least.fully_allocated);
        assert_true(larger.required >= least.required);
    }
}

static void test_properties(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 60000; round++) {
        const struct target *t = targets[random_below(10)];
        uint64_t size = random_below(64) ? random_below(UINT64_MAX >> random_below(63))
                                         : UINT64_MAX - random_below(1024);

        assert_properties(t, size);
    }
    for (size_t i = 0; targets[i]; i++)
        for (unsigned round = 0; round < 50; round++)
            assert_properties(targets[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),          cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_count),        cmocka_unit_test(test_count_far),
        cmocka_unit_test(test_count_random), cmocka_unit_test(test_counts),
        cmocka_unit_test(test_properties),
    };

    srandom(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
