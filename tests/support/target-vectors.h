/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of size models: tables of known sizes, and of refusals. */
#ifndef TESTS_SUPPORT_TARGET_VECTORS_H
#define TESTS_SUPPORT_TARGET_VECTORS_H

#include <stdlib.h>

#include "formats/targets/options.h"
#include "formats/targets/targets.h"
#include "support.h"

/* The sizes with these options ("": the defaults) of a disk with so many touched units. */
struct size_vector {
    const char *options;
    uint64_t virtual_size, touched[TARGET_UNITS_MAX];
    uint64_t required, fully_allocated;
};

/* A disk that the target refuses. */
struct refused_vector {
    const char *options;
    uint64_t virtual_size;
    int error;
    const char *key; /* a part of the message */
};

static inline struct target_options options_of(const struct target *target, const char *text)
{
    struct target_options o = target->defaults;
    struct reason why;

    if (*text)
        assert_int_equal(target_options_parse(target, text, &o, &why), 0);
    return o;
}

static inline void assert_sizes(const struct target *target, const struct size_vector *v,
                                size_t count)
{
    for (; count--; v++) {
        struct target_options o = options_of(target, v->options);
        struct target_size size;
        struct reason why;

        assert_int_equal(target->size(&o, v->virtual_size, v->touched, &size, &why), 0);
        assert_int_equal(size.required, v->required);
        assert_int_equal(size.fully_allocated, v->fully_allocated);
    }
}
#define ASSERT_SIZES(target, vectors) assert_sizes(target, vectors, COUNT(vectors))

static inline void assert_refusals(const struct target *target, const struct refused_vector *v,
                                   size_t count)
{
    static const uint64_t none[TARGET_UNITS_MAX];

    for (; count--; v++) {
        struct target_options o = options_of(target, v->options);
        struct target_size size;
        struct reason why;

        assert_int_equal(target->size(&o, v->virtual_size, none, &size, &why), -v->error);
        if (!strstr(why.words, v->key))
            fail_msg("\"%s\" does not have \"%s\"", why.words, v->key);
    }
}
#define ASSERT_REFUSALS(target, vectors) assert_refusals(target, vectors, COUNT(vectors))

static inline uint64_t random_below(uint64_t limit)
{
    uint64_t n = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();

    return n % limit;
}

#endif
