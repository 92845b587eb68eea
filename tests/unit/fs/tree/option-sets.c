// SPDX-License-Identifier: Apache-2.0
/* Options in names: which are accepted, which are equal, and the errors of the others. */
#include "fs/tree/option-sets.h"

#include <errno.h>

#include "tests/support/support.h"

static struct option_sets sets;

static int end(void **state)
{
    (void)state;
    option_sets_end(&sets);
    return 0;
}

static int find_in(const char *directory, const char *name, struct place *place, struct reason *why)
{
    const struct place parent = {.view = 2, .node = node_by_path(directory)};

    *why = (struct reason){.words = ""};
    return option_sets_place(&sets, &parent, name, place, why);
}

/* The set of a name in measure/, which is that of the node. */
static uint32_t number_of(const char *name, const char *node)
{
    struct place place;
    struct reason why;

    assert_int_equal(find_in("measure", name, &place, &why), 0);
    assert_string_equal(place.node->path, node);
    assert_int_equal(place.view, 2);
    return place.set;
}

static void test_same(void **state)
{
    uint32_t small = number_of("qcow2,cluster_size=4k", "measure/qcow2"), other;

    (void)state;
    assert_int_equal(small, 1);
    assert_int_equal(number_of("qcow2,cluster_size=4096", "measure/qcow2"), small);
    assert_int_equal(number_of("qcow2,cluster_size=4K.json", "measure/qcow2.json"), small);
    assert_int_equal(number_of("qcow2,lazy_refcounts=on,cluster_size=0x1000", "measure/qcow2"),
                     small);
    other = number_of("qcow2,cluster_size=8k,refcount_bits=1", "measure/qcow2");
    assert_int_equal(other, 2);
    assert_int_equal(number_of("qcow2,refcount_bits=1,cluster_size=8k", "measure/qcow2"), other);
    /* Equal options of another target are another set. */
    assert_int_equal(number_of("qed,cluster_size=4k", "measure/qed"), 3);
    assert_int_equal(option_sets_get(&sets, small)->options.cluster_size, 4096);
    assert_ptr_equal(option_sets_get(&sets, small)->target, target_by_name("qcow2"));
    assert_ptr_equal(option_sets_get(&sets, small)->directory, node_by_path("measure"));
    assert_null(option_sets_get(&sets, 0));
}

/* Options that do not change the size have no set. */
static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(number_of("qcow2,cluster_size=64k", "measure/qcow2"), 0);
    assert_int_equal(number_of("qcow2,compression_type=zstd.json", "measure/qcow2.json"), 0);
    assert_int_equal(number_of("raw,size=5", "measure/raw"), 0);
    assert_int_equal(sets.count, 0);
}

static void test_no_such_name(void **state)
{
    static const char *const names[] = {
        "qcow2", "nope,a=b",    ",a=b", "", ",", "qcow2.json,cluster_size=4k.json",
        "nope",  "../format,a",
    };
    struct place place;
    struct reason why;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (find_in("measure", names[i], &place, &why) != -ENOENT || *why.words)
            fail_msg("'%s' is something: %s", names[i], why.words);
    assert_int_equal(find_in("", "format,a=b", &place, &why), -ENOENT);
    assert_int_equal(find_in("", "measure,a=b", &place, &why), -ENOENT);
    assert_int_equal(find_in("header", "version,a=b", &place, &why), -ENOENT);
}

static void test_refused(void **state)
{
    static const struct {
        const char *name, *key;
    } cases[] = {
        {"qcow2,", "option list: "},
        {"qcow2,,", "option list: ,"},
        {"qcow2,foo=1", "'foo'"},
        {"qcow2,foo=1.json", "'foo'"},
        {"qcow2,cluster_size=3k", "Cluster size"},
        {"vmdk,subformat=x", "value: x"},
    };
    struct place place;
    struct reason why;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(find_in("measure", cases[i].name, &place, &why), -EINVAL);
        assert_non_null(strstr(why.words, cases[i].key));
    }
    assert_int_equal(sets.count, 0);
}

/* A name of 256 bytes, which no file can have, is not found. */
static void test_long_name(void **state)
{
    char name[300];
    struct place place;
    struct reason why;

    (void)state;
    memset(name, 'x', sizeof name);
    memcpy(name, "qcow2,backing_file=", 19);
    name[256] = '\0';
    assert_int_equal(find_in("measure", name, &place, &why), -ENOENT);
    name[255] = '\0';
    assert_int_equal(find_in("measure", name, &place, &why), 0);
}

static void test_too_many(void **state)
{
    char name[64];
    struct place place;
    struct reason why;
    uint32_t made = 0;

    (void)state;
    /* Each log size in MiB is a different set. */
    for (unsigned block = 0; block < 9 && made < OPTION_SETS_MAX; block++)
        for (unsigned log = 2; log < 4096 && made < OPTION_SETS_MAX; log++) {
            snprintf(name, sizeof name, "vhdx,log_size=%uM,block_size=%uM", log, 1U << block);
            assert_int_equal(find_in("measure", name, &place, &why), 0);
            assert_int_equal(place.set, ++made);
        }
    assert_int_equal(made, OPTION_SETS_MAX);
    assert_int_equal(find_in("measure", "qcow2,cluster_size=4k", &place, &why), -ENOSPC);
    assert_string_equal(why.words, "all 16384 option sets are in use");
    assert_int_equal(find_in("measure", "vhdx,log_size=2M,block_size=1M", &place, &why), 0);
    assert_int_equal(place.set, 1);
}

static bool is_second(void *context, uint32_t number)
{
    assert_null(context);
    return number == 2;
}

/* Freed numbers are given to new sets. */
static void test_reclaim(void **state)
{
    (void)state;
    assert_int_equal(number_of("qed,cluster_size=4k", "measure/qed"), 1);
    assert_int_equal(number_of("qed,cluster_size=8k", "measure/qed"), 2);
    assert_int_equal(number_of("qed,cluster_size=16k", "measure/qed"), 3);
    assert_true(option_sets_has(&sets, 3));
    assert_false(option_sets_has(&sets, 0));
    assert_false(option_sets_has(&sets, 4));
    option_sets_reclaim(&sets, is_second, NULL);
    assert_false(option_sets_has(&sets, 1));
    assert_true(option_sets_has(&sets, 2));
    assert_false(option_sets_has(&sets, 3));
    assert_int_equal(number_of("qed,cluster_size=32k", "measure/qed"), 1);
    assert_int_equal(number_of("qed,cluster_size=8k", "measure/qed"), 2);
    assert_int_equal(number_of("qed,cluster_size=4k", "measure/qed"), 3);
    assert_int_equal(number_of("qed,cluster_size=16k", "measure/qed"), 4);
}

static void test_path(void **state)
{
    struct place place;
    struct reason why = {.words = ""};

    (void)state;
    assert_int_equal(option_sets_path(&sets, "layers/3/measure/qed,cluster_size=4k", &place, &why),
                     0);
    assert_int_equal(place.view, view_named(VIEW_LAYER, 3));
    assert_int_equal(place.set, 1);
    assert_string_equal(place.node->path, "measure/qed");
    assert_int_equal(option_sets_path(&sets, "measure/qed", &place, &why), 0);
    assert_int_equal(place.set, 0);
    assert_int_equal(option_sets_path(&sets, "measure,x/qed", &place, &why), -ENOENT);
    assert_int_equal(option_sets_path(&sets, "measure", &place, &why), 0);
    assert_int_equal(option_sets_path(&sets, "qed,x", &place, &why), -ENOENT);
    assert_int_equal(option_sets_path(&sets, "measure/qed,x", &place, &why), -EINVAL);
    assert_non_null(strstr(why.words, "'x'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_same, end),
        cmocka_unit_test_teardown(test_defaults, end),
        cmocka_unit_test_teardown(test_no_such_name, end),
        cmocka_unit_test_teardown(test_refused, end),
        cmocka_unit_test_teardown(test_long_name, end),
        cmocka_unit_test_teardown(test_too_many, end),
        cmocka_unit_test_teardown(test_reclaim, end),
        cmocka_unit_test_teardown(test_path, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
