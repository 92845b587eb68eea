/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of every size model, for any options, disk and data: for the unit test with random
 * input, and for the fuzzer. A property that does not hold ends in abort().
 */
#ifndef TESTS_SUPPORT_TARGET_PROPERTIES_H
#define TESTS_SUPPORT_TARGET_PROPERTIES_H

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "formats/checked.h"
#include "formats/targets/options.h"
#include "formats/targets/targets.h"
#include "formats/targets/unit-count.h"

/* Every image is smaller than three times the disk plus this for logs and tables. */
#define TABLES_MAX ((unsigned __int128)16 << 30)

static inline void check_message(const struct reason *why)
{
    assert(*why->words && memchr(why->words, '\0', sizeof why->words));
}

/* Parses options; returns whether they are accepted. */
static inline bool take_options(const struct target *t, const char *text, struct target_options *o)
{
    struct reason why = {""};
    int error = target_options_parse(t, text, o, &why);

    assert(!error || error == -EINVAL);
    if (error)
        check_message(&why);
    return !error;
}

/* The values that a field of the options may have for a target: a power of two, or a multiple of
 * least. */
struct field_range {
    const struct target *target;
    uint64_t least, most;
    bool is_power, may_be_zero;
};

static inline void check_field(const struct target *t, uint64_t value,
                               const struct field_range *ranges, size_t count)
{
    for (const struct field_range *r = ranges; r < ranges + count; r++)
        if (r->target == t) {
            assert((r->may_be_zero && !value) || (value >= r->least && value <= r->most));
            assert(r->is_power ? !value || is_power_of_two(value) : value % r->least == 0);
            return;
        }
    assert(!value);
}
#define CHECK_FIELD(t, value, ...)                                                                 \
    check_field(t, value, (const struct field_range[]){__VA_ARGS__},                               \
                sizeof((const struct field_range[]){__VA_ARGS__}) / sizeof(struct field_range))

/* Accepted options are in range. */
static inline void check_options(const struct target *t, const struct target_options *o)
{
    CHECK_FIELD(t, o->cluster_size, {&qcow2_target, 512, 2 << 20, true, false},
                {&qed_target, 4096, 64 << 20, true, false},
                {&parallels_target, 512, INT32_MAX, false, false});
    CHECK_FIELD(t, o->table_size, {&qed_target, 2, 16, true, false});
    CHECK_FIELD(t, o->block_size, {&vhdx_target, 1 << 20, 256 << 20, true, true});
    CHECK_FIELD(t, o->log_size, {&vhdx_target, 1 << 20, UINT32_MAX, false, false});
    CHECK_FIELD(t, o->header_size, {&luks_target, 4096, 4 << 20, false, false},
                {&qcow2_target, 4096, 4 << 20, false, true});
    CHECK_FIELD(t, o->refcount_bits, {&qcow2_target, 1, 64, true, false});
    assert(o->subformat < (t == &vmdk_target ? 5 : 2));
    assert(!o->extended_l2 || (t == &qcow2_target && o->cluster_size >= 16384));
    assert(!o->is_v2 || (t == &qcow2_target && o->refcount_bits == 16));
    assert(!o->force_size || t == &vhd_target);
    assert(!o->zero_blocks || t == &vhdx_target);
}

/* Computes the sizes; returns whether there are any. They are compared in 128 bits with the data
 * and the disk that the file holds, which shows a sum that wrapped around. */
static inline bool has_size(const struct target *t, const struct target_options *o,
                            uint64_t virtual_size, const uint64_t touched[TARGET_UNITS_MAX],
                            struct target_size *size)
{
    uint64_t units[TARGET_UNITS_MAX];
    size_t kinds = t->units ? t->units(o, virtual_size, units) : 0;
    struct reason why = {""};
    int error = t->size(o, virtual_size, touched, size, &why);

    assert(!error || error == -EFBIG || error == -ENOTSUP);
    if (error) {
        check_message(&why);
        return false;
    }
    assert(size->required >= (kinds ? (unsigned __int128)touched[0] * units[0] : virtual_size));
    assert(size->fully_allocated >= virtual_size);
    assert(size->fully_allocated <= (unsigned __int128)virtual_size * 3 + TABLES_MAX);
    assert(size->required <= size->fully_allocated);
    assert((kinds && !o->is_full) || size->required == size->fully_allocated);
    return true;
}

/* The numbers of units of the disk, and of those that hold data: what touched has, reduced to what
 * the disk has. */
struct disk_units {
    uint64_t all[TARGET_UNITS_MAX], some[TARGET_UNITS_MAX];
};
static inline struct disk_units units_of(const struct target *t, const struct target_options *o,
                                         uint64_t virtual_size,
                                         const uint64_t touched[TARGET_UNITS_MAX])
{
    struct disk_units disk = {{0}, {0}};
    uint64_t units[TARGET_UNITS_MAX];
    size_t kinds = t->units ? t->units(o, virtual_size, units) : 0;

    assert(kinds <= TARGET_UNITS_MAX);
    for (size_t i = 0; i < kinds; i++) {
        disk.all[i] = div_up(virtual_size, units[i]);
        disk.some[i] = touched[i] % (disk.all[i] + 1);
    }
    return disk;
}

/* More data never makes a smaller file, and never has a size where less data has none. The fully
 * allocated size does not depend on the data; with all units touched it is the required size. */
static inline void check_sizes(const struct target *t, const struct target_options *o,
                               uint64_t virtual_size, const uint64_t touched[TARGET_UNITS_MAX])
{
    static const uint64_t none[TARGET_UNITS_MAX];
    struct disk_units disk = units_of(t, o, virtual_size, touched);
    const uint64_t fewer[TARGET_UNITS_MAX] = {disk.some[0]};
    const uint64_t *const steps[] = {none, fewer, disk.some, disk.all};
    struct target_size less, more = {0, 0};
    bool is_known = true;

    for (size_t step = 0; step < 4; step++) {
        less = more;
        if (!has_size(t, o, virtual_size, steps[step], &more)) {
            is_known = false;
            continue;
        }
        assert(is_known && more.required >= less.required);
        assert(step == 0 || more.fully_allocated == less.fully_allocated);
    }
    /* The geometry of a VHD may be larger than the disk. */
    assert(!is_known || more.required == more.fully_allocated ||
           (t == &vhd_target && !o->force_size));
}

/* A disk that is larger by so many bytes never has a smaller file. */
static inline void check_larger(const struct target *t, const struct target_options *o,
                                uint64_t virtual_size, uint64_t bytes)
{
    static const uint64_t none[TARGET_UNITS_MAX];
    struct target_size size, larger;

    /* A larger VHDX may have larger blocks; and qemu makes a large table for an empty disk. */
    if (t == &vhdx_target && (!o->block_size || !virtual_size))
        return;
    if (!checked_add(virtual_size, bytes, &bytes) || !has_size(t, o, virtual_size, none, &size) ||
        !has_size(t, o, bytes, none, &larger))
        return;
    assert(larger.required >= size.required && larger.fully_allocated >= size.fully_allocated);
}

/* Options that compare equal have equal units and sizes. */
static inline void check_equal(const struct target *t, const struct target_options *a,
                               const struct target_options *b, uint64_t virtual_size,
                               const uint64_t touched[TARGET_UNITS_MAX])
{
    struct disk_units of_a = units_of(t, a, virtual_size, touched);
    struct disk_units of_b = units_of(t, b, virtual_size, touched);
    struct target_size sizes[2];
    bool is_known;

    if (!target_options_equal(a, b))
        return;
    assert(memcmp(&of_a, &of_b, sizeof of_a) == 0);
    is_known = has_size(t, a, virtual_size, of_a.some, &sizes[0]);
    assert(has_size(t, b, virtual_size, of_b.some, &sizes[1]) == is_known);
    assert(!is_known || memcmp(&sizes[0], &sizes[1], sizeof sizes[0]) == 0);
}

/* preallocation=falloc and full change the required size of qcow2 only. text: accepted options. */
static inline void check_preallocation(const struct target *t, const char *text,
                                       struct target_options o)
{
    static const char *const modes[] = {"falloc", "full"};
    struct target_options with;
    char longer[1000];

    if (strlen(text) + 32 > sizeof longer)
        return;
    for (size_t i = 0; i < 2; i++) {
        snprintf(longer, sizeof longer, "%s,preallocation=%s", text, modes[i]);
        assert(take_options(t, longer, &with));
        o.is_full = o.is_full || t == &qcow2_target;
        assert(target_options_equal(&o, &with));
    }
}

#endif
