// SPDX-License-Identifier: Apache-2.0
/* The table of targets, the raw model, counting of units, and the properties of all models. */
#include "formats/targets/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/targets/options.h"
#include "formats/targets/unit-count.h"
#include "tests/support/target-properties.h"
#include "tests/support/target-vectors.h"

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
    /* The last byte of a unit and the first of the next. */
    add(&c, 199, 2, EXTENT_DATA);
    assert_int_equal(c.touched, 2);
    add(&c, 250, 50, EXTENT_DATA);
    assert_int_equal(c.touched, 2);
    add(&c, 300, 1, EXTENT_DATA);
    add(&c, 302, 98, EXTENT_DATA);
    assert_int_equal(c.touched, 3);
    /* From the middle of a counted unit across whole ones into another. */
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

/* Compared with an array of touched units. */
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

/* Targets with the same unit share a counter, and each target gets its own counts. */
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

/* Returns a value that some keys of that kind accept. */
static const char *random_value(enum target_key_kind kind)
{
    static const char *const sizes[] = {"512",   "4k",  "16384", "0x10000", "1.5M",
                                        "2048k", "64M", "256M",  "4095M"};
    static const char *const numbers[] = {"1", "2", "4", "8", "16", "0x20", "64", "3"};
    static const char *const flags[] = {"on", "off", "yes", "n"};
    static const char *const words[] = {
        "off",
        "full",
        "fixed",
        "dynamic",
        "luks",
        "aes",
        "cbc",
        "xts",
        "sha256",
        "essiv",
        "aes-192",
        "serpent-128",
        "0.10",
        "1.1",
        "vmdk",
        "lsilogic",
        "a,,b",
        "falloc",
        "streamOptimized",
        "monolithicFlat",
        "cast5-128",
        "plain64",
        "sha512",
        "twoGbMaxExtentSparse",
    };

    switch (kind) {
    case KEY_SIZE:
        return random_below(4) ? sizes[random_below(COUNT(sizes))] : random_value(KEY_NUMBER);
    case KEY_NUMBER:
        return numbers[random_below(COUNT(numbers))];
    case KEY_BOOL:
        return flags[random_below(COUNT(flags))];
    default:
        return words[random_below(COUNT(words))];
    }
}

/* Writes one to three of the target's keys with values. */
static void random_text(const struct target *target, char *text, size_t size)
{
    static const struct target_key preallocation = {"preallocation", KEY_TEXT};
    size_t count = 0, used = 0, pairs = 1 + random_below(3);

    while (target->keys && target->keys[count].name)
        count++;
    for (size_t i = 0; i < pairs; i++) {
        size_t n = random_below(count + 1);
        const struct target_key *key = n < count ? &target->keys[n] : &preallocation;

        used += (size_t)snprintf(text + used, size - used, "%s%s=%s", i ? "," : "", key->name,
                                 random_value(key->kind));
    }
    assert_true(used < size);
}

/* Sets random options and returns true if the target accepts them; else sets its defaults. */
static bool random_options(const struct target *target, struct target_options *o)
{
    char text[256];

    random_text(target, text, sizeof text);
    if (take_options(target, text, o)) {
        check_options(target, o);
        check_preallocation(target, text, *o);
        return true;
    }
    *o = target->defaults;
    return false;
}

static void test_properties(void **state)
{
    unsigned taken[TARGETS_MAX] = {0};

    (void)state;
    for (unsigned round = 0; round < 60000; round++) {
        size_t row = random_below(10);
        const struct target *t = targets[row];
        const uint64_t touched[TARGET_UNITS_MAX] = {random_below(UINT64_MAX),
                                                    random_below(UINT64_MAX)};
        uint64_t size = random_below(UINT64_MAX >> random_below(63));
        struct target_options o, other;

        if (random_below(32) == 0)
            size = random_below(2) ? UINT64_MAX - random_below(1024) : 0;
        taken[row] += random_options(t, &o);
        random_options(t, &other);
        check_sizes(t, &o, size, touched);
        check_larger(t, &o, size, 1 + random_below(MIB));
        check_equal(t, &o, &other, size, touched);
    }
    for (size_t row = 0; targets[row]; row++)
        assert_true(taken[row] > 600);
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
