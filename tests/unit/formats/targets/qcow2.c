// SPDX-License-Identifier: Apache-2.0
/* Sizes that `qemu-img measure` printed, and a second formula for them. */
#include "formats/targets/targets.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/support/target-vectors.h"

#define TIB (1024 * GIB)
#define PIB (1024 * TIB)

/* qemu-img measure --size SIZE -O qcow2 -o cluster_size=,refcount_bits=,extended_l2=: required,
 * fully allocated. */
static const struct {
    uint64_t size, cluster_size;
    unsigned refcount_bits;
    bool extended_l2;
    uint64_t required, fully_allocated;
} vectors[] = {
    {0, 65536, 16, false, 196608, 196608},
    {1, 65536, 16, false, 327680, 393216},
    {65536, 65536, 16, false, 327680, 393216},
    {65537, 65536, 16, false, 327680, 458752},
    {512 * MIB, 65536, 16, false, 327680, 537198592},
    {512 * MIB + 1, 65536, 16, false, 393216, 537329664},
    {MIB, 512, 16, false, 22528, 1071104},
    {MIB, 4096, 16, false, 20480, 1069056},
    {MIB, 65536, 16, false, 327680, 1376256},
    {MIB, 2 * MIB, 16, false, 10485760, 12582912},
    {64 * MIB, 512, 16, false, 1337856, 68446720},
    {64 * MIB, 65536, 16, false, 327680, 67436544},
    {GIB, 512, 16, false, 21385216, 1095127040},
    {GIB, 4096, 16, false, 2637824, 1076379648},
    {GIB, 65536, 16, false, 393216, 1074135040},
    {GIB, 2 * MIB, 16, false, 10485760, 1084227584},
    {GIB, 65536, 16, true, 524288, 1074266112},
    {128 * GIB, 512, 16, false, 2737157632, 140176111104},
    {64 * PIB, 2 * MIB, 16, false, 343605772288, 72057937643700224},
    {2 * 1024 * PIB, 2 * MIB, 16, false, 10995174998016, 2305854004388691968},
    {GIB, 65536, 1, false, 393216, 1074135040},
    {GIB, 512, 64, false, 34629120, 1108370944},
    {3 * TIB, 2 * MIB, 1, true, 33554432, 3298568437760},
    {7 * GIB, 16384, 8, true, 7864320, 7524057088},
    {1, 512, 16, false, 2560, 3072},
    {512, 512, 16, false, 2560, 3072},
    {513, 512, 16, false, 2560, 3584},
    {TIB, 65536, 32, false, 201588736, 1099713216512},
    {4 * TIB, 65536, 64, false, 1074200576, 4399120711680},
    {MIB, 2 * MIB, 64, false, 10485760, 12582912},
    {MIB, 512, 2, false, 18944, 1067520},
    {32 * KIB, 512, 4, false, 2560, 35328},
};

static const struct target *const qcow2 = &qcow2_target;

static int size_of(const struct target_options *o, uint64_t virtual_size, uint64_t touched,
                   struct target_size *size)
{
    const uint64_t units[TARGET_UNITS_MAX] = {touched};
    struct reason why;

    return qcow2->size(o, virtual_size, units, size, &why);
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct target_options o = {.cluster_size = vectors[i].cluster_size,
                                   .refcount_bits = vectors[i].refcount_bits,
                                   .extended_l2 = vectors[i].extended_l2};
        struct target_size size;

        assert_int_equal(size_of(&o, vectors[i].size, 0, &size), 0);
        assert_int_equal(size.required, vectors[i].required);
        assert_int_equal(size.fully_allocated, vectors[i].fully_allocated);
    }
}

/* Sources with touched clusters of 64 KiB, as measured. */
static void test_touched(void **state)
{
    uint64_t units[TARGET_UNITS_MAX];
    struct target_size size;

    (void)state;
    assert_int_equal(qcow2->units(&qcow2->defaults, 8 * MIB, units), 1);
    assert_int_equal(units[0], 65536);
    assert_int_equal(size_of(&qcow2->defaults, 8 * MIB, 2, &size), 0);
    assert_int_equal(size.required, 458752);
    assert_int_equal(size.fully_allocated, 8716288);
    assert_int_equal(size_of(&qcow2->defaults, 1000001, 16, &size), 0);
    assert_int_equal(size.required, 1376256);
    assert_int_equal(size.fully_allocated, 1376256);
}

typedef unsigned __int128 wide;

static wide up(wide n, wide unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Computes the sizes from byte counts, in integers that cannot overflow. */
static void expected_sizes(const struct target_options *o, uint64_t virtual_size, uint64_t touched,
                           wide *required, wide *fully)
{
    wide cluster = o->cluster_size, entry = o->extended_l2 ? 16 : 8;
    wide disk = up(virtual_size, cluster);
    wide l2_entries = up(disk / cluster, cluster / entry);
    wide l1_entries = up(l2_entries * entry / cluster, cluster / 8);
    wide meta = cluster + l2_entries * entry + l1_entries * 8;
    wide clusters = (meta + disk) / cluster, blocks = 0, table = 0, before;

    do {
        before = blocks + table;
        blocks = up(clusters + before, cluster * 8 / o->refcount_bits) /
                 (cluster * 8 / o->refcount_bits);
        table = up(blocks, cluster / 8) / (cluster / 8);
    } while (blocks + table != before);
    meta += (blocks + table) * cluster;
    *fully = meta + disk;
    *required = meta + touched * cluster;
}

static void test_formula(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct target_options o = {.refcount_bits = 1U << random_below(7)};
        uint64_t virtual_size = random_below(UINT64_C(1) << (1 + random_below(62))), touched;
        struct target_size size;
        wide required, fully;

        o.cluster_size = UINT64_C(512) << random_below(13);
        o.extended_l2 = o.cluster_size >= 16384 && random_below(2);
        touched = random_below(virtual_size / o.cluster_size + 1);
        expected_sizes(&o, virtual_size, touched, &required, &fully);
        assert_int_equal(size_of(&o, virtual_size, touched, &size), 0);
        assert_true(size.required == required);
        assert_true(size.fully_allocated == fully);
    }
}

/* More data never makes a smaller file; with all data it has the fully allocated size; a larger
 * disk never has a smaller file. */
static void test_properties(void **state)
{
    static const uint64_t clusters[] = {512, 4096, 65536, 2 * MIB};

    (void)state;
    for (size_t i = 0; i < COUNT(clusters); i++) {
        struct target_options o = {.cluster_size = clusters[i], .refcount_bits = 16};
        struct target_size before = {0, 0};

        for (uint64_t n = 0; n < 5000; n++) {
            struct target_size none, some, all;

            assert_int_equal(size_of(&o, n * clusters[i], 0, &none), 0);
            assert_int_equal(size_of(&o, n * clusters[i], n / 2, &some), 0);
            assert_int_equal(size_of(&o, n * clusters[i], n, &all), 0);
            assert_int_equal(all.required, all.fully_allocated);
            assert_int_equal(some.required, none.required + n / 2 * clusters[i]);
            assert_true(some.required <= some.fully_allocated);
            assert_true(none.required >= before.required);
            assert_true(none.fully_allocated > before.fully_allocated);
            before = none;
        }
    }
}

static void test_largest(void **state)
{
    struct target_options small = {.cluster_size = 512, .refcount_bits = 64};
    struct target_size size;
    wide required, fully;

    (void)state;
    assert_int_equal(size_of(&qcow2->defaults, (uint64_t)INT64_MAX - 65535, 0, &size), 0);
    assert_int_equal(size_of(&qcow2->defaults, (uint64_t)INT64_MAX - 65534, 0, &size), -EFBIG);
    assert_int_equal(size_of(&qcow2->defaults, UINT64_MAX, 0, &size), -EFBIG);
    assert_int_equal(size_of(&qcow2->defaults, UINT64_MAX - 65535, 0, &size), -EFBIG);
    assert_int_equal(size_of(&small, (uint64_t)INT64_MAX - 511, 0, &size), 0);
    expected_sizes(&small, (uint64_t)INT64_MAX - 511, 0, &required, &fully);
    assert_true(size.required == required && size.fully_allocated == fully);
}

/* With -o, as measured: options that write every cluster, or a LUKS header. */
static const struct size_vector with_options[] = {
    {"preallocation=full", 1000001, {0}, 1376256, 1376256},
    {"preallocation=falloc,cluster_size=4k", GIB, {7}, 1076379648, 1076379648},
    {"preallocation=metadata", GIB, {0}, 393216, 1074135040},
    {"backing_file=base", 1000001, {0}, 1376256, 1376256},
    {"encrypt.format=luks", GIB, {0}, 2490368, 1076232192},
    {"encrypt.format=luks,cluster_size=512", GIB, {0}, 23453696, 1097195520},
    {"encrypt.format=luks,encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc",
     MIB,
     {0},
     917504,
     1966080},
    {"encrypt.format=aes,encryption=on", GIB, {0}, 393216, 1074135040},
    {"compat=0.10", GIB, {1}, 458752, 1074135040},
};

static void test_options(void **state)
{
    (void)state;
    ASSERT_SIZES(qcow2, with_options);
}

static void test_bitmaps(void **state)
{
    struct target_options o = qcow2->defaults;

    (void)state;
    assert_true(qcow2->keeps_bitmaps(&o));
    o.is_v2 = true;
    assert_false(qcow2->keeps_bitmaps(&o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_touched),
        cmocka_unit_test(test_formula), cmocka_unit_test(test_properties),
        cmocka_unit_test(test_largest), cmocka_unit_test(test_options),
        cmocka_unit_test(test_bitmaps),
    };

    srandom(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
