// SPDX-License-Identifier: Apache-2.0
/* Sizes of conversions of two disks, as qemu-img convert wrote the files, and refusals. */
#include "formats/targets/conversion.h"
#include "formats/targets/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/target-vectors.h"

/* Written bytes: all of one value, or pseudo-random. */
struct piece {
    uint64_t offset, length;
    int value; /* -1: pseudo-random */
};

struct disk_written {
    uint64_t size;
    struct piece pieces[6]; /* in different slabs */
};

static struct sample s = {.fd = -1};

static const struct disk_written small = {
    24 * MIB + 512,
    {{0, 4096, 'x'}, {2 * MIB + 8192, 20480, -1}, {6 * MIB, MIB, 'y'}, {24 * MIB, 512, 'z'}},
};
static const struct disk_written large = {
    5 * GIB,
    {{4096, 65536, -1},
     {2 * GIB - 4096, 4096, 'x'},
     {2 * GIB, 300 * KIB, -1},
     {4 * GIB, 2 * MIB, 'x'}},
};

static const struct {
    const char *target, *options;
    uint64_t sizes[2]; /* of both disks: bytes of all files */
} vectors[] = {
#include "tests/support/conversion-vectors.h"
};

/* Fills in the bytes of a piece; random ones are incompressible, and the same at every run. */
static void fill(uint8_t *bytes, const struct piece *p)
{
    uint64_t state = 88172645463325252;

    for (size_t i = 0; i < p->length; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = p->value < 0 ? (uint8_t)(state >> 32) : (uint8_t)p->value;
    }
}

/* Makes the calls of a data walk over the disk. */
static void walk(struct conversion *c, const struct disk_written *d)
{
    static uint8_t slab[DATA_WALK_SLAB];

    for (const struct piece *p = d->pieces; p < d->pieces + COUNT(d->pieces) && p->length; p++) {
        uint64_t start = p->offset / DATA_WALK_SLAB * DATA_WALK_SLAB, rest = d->size - start;

        memset(slab, 0, sizeof slab);
        fill(slab + (p->offset - start), p);
        assert_int_equal(conversion_run(c, p->offset, p->length), 0);
        assert_int_equal(conversion_written(c, p->offset, p->length), 0);
        assert_int_equal(conversion_slab(c, start, slab, rest < sizeof slab ? rest : sizeof slab),
                         0);
    }
}

/* Returns the size of a conversion of the disk to a file named out.img. 0: it is refused, which
 * must be with error. */
static uint64_t size_of(const char *target, const char *text, const struct disk_written *d,
                        int error, struct reason *why)
{
    const struct target *t = target_by_name(target);
    struct target_options o = t->defaults;
    struct conversion c;

    uint64_t size = 0;
    int result = *text ? target_options_parse_conversion(t, text, &o, why) : 0;

    sample_begin(&s);
    sample_session(&s);
    if (!result)
        result = conversion_begin(&c, s.img, t, &o, d->size, "out.img", why);
    assert_int_equal(result, error);
    if (!result) {
        walk(&c, d);
        assert_int_equal(conversion_size(&c, &size, why), 0);
        conversion_end(&c);
    }
    sample_end(&s);
    return size;
}

static void test_sizes(void **state)
{
    struct reason why;

    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        for (size_t j = 0; j < 2; j++) {
            uint64_t size =
                size_of(vectors[i].target, vectors[i].options, j ? &large : &small, 0, &why);

            if (size != vectors[i].sizes[j])
                fail_msg("%s %s: %llu, not %llu", vectors[i].target, vectors[i].options,
                         (unsigned long long)size, (unsigned long long)vectors[i].sizes[j]);
        }
}

/* Conversions to all targets at once fit in the memory of a session. */
static void test_together(void **state)
{
    struct conversion c[TARGETS_MAX];
    struct reason why;

    uint64_t size;

    (void)state;
    sample_begin(&s);
    sample_session(&s);
    for (size_t i = 0; targets[i]; i++)
        assert_int_equal(
            conversion_begin(&c[i], s.img, targets[i], &targets[i]->defaults, 5 * GIB, "x", &why),
            0);
    for (size_t i = 0; targets[i]; i++)
        walk(&c[i], &large);
    for (size_t i = 0; targets[i]; i++) {
        bool constant = targets[i] == &raw_target || targets[i] == &luks_target;

        assert_int_equal(conversion_reads(&c[i]), !constant);
        assert_false(conversion_wants_slabs(&c[i]));
        assert_int_equal(conversion_size(&c[i], &size, &why), 0);
        assert_int_equal(conversion_files(&c[i]), 1);
        conversion_end(&c[i]);
    }
    sample_end(&s);
}

/* A conversion to several files: their names and sizes. */
static void test_files(void **state)
{
    static const struct conversion_file expected[] = {{"a.b.vmdk", 512},
                                                      {"a.b-s001.vmdk", 524288},
                                                      {"a.b-s002.vmdk", 655360},
                                                      {"a.b-s003.vmdk", 2293760}};
    struct conversion_file file;
    struct target_options o;
    struct conversion c;
    struct reason why;

    uint64_t size;

    (void)state;
    sample_begin(&s);
    sample_session(&s);
    o = options_of(&vmdk_target, "subformat=twoGbMaxExtentSparse");
    assert_int_equal(conversion_begin(&c, s.img, &vmdk_target, &o, 5 * GIB, "a.b.vmdk", &why), 0);
    walk(&c, &large);
    assert_int_equal(conversion_size(&c, &size, &why), 0);
    assert_int_equal(conversion_files(&c), COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        conversion_file(&c, i, &file);
        assert_string_equal(file.name, expected[i].name);
        assert_int_equal(file.size, expected[i].size);
    }
    conversion_end(&c);
    sample_end(&s);
}

static const struct {
    const char *target, *options;
    uint64_t size;
    int error;
    const char *key; /* a part of the message */
} refused[] = {
    {"qcow2", "cluster_size=512", UINT64_C(1) << 38, EFBIG,
     "Could not resize image: Failed to grow the L1 table: File too large"},
    {"qcow2", "cluster_size=2M", UINT64_MAX, EFBIG, "disk of 18446744073709551615 bytes"},
    {"qcow2", "preallocation=metadata,cluster_size=2M", UINT64_C(1) << 60, EFBIG,
     "a disk of 1152921504606846976 bytes is too large to preallocate"},
    {"vpc", "force_size=on", UINT64_C(1) << 42, EFBIG, "max size is 2040 GiB"},
    {"vmdk", "subformat=twoGbMaxExtentFlat", (UINT64_C(1) << 46) + 1, EFBIG, "32768 extents"},
    {"vmdk", "subformat=streamOptimized", 0, ENOTSUP, "empty disk"},
    {"qcow", "compressed=on", 0, ENOTSUP, "cannot be zero length"},
    {"qcow2", "backing_file=x", 512, ENOTSUP,
     "backing_file: the size of the conversion depends on that file, which is never opened"},
    {"qcow2", "data_file=x", 512, ENOTSUP, "data_file: "},
    {"qed", "backing_file=x", 512, ENOTSUP, "backing_file: "},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        const struct disk_written d = {.size = refused[i].size};
        struct reason why = {""};

        size_of(refused[i].target, refused[i].options, &d, -refused[i].error, &why);
        if (!strstr(why.words, refused[i].key))
            fail_msg("\"%s\" does not have \"%s\"", why.words, refused[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
