/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of small files, with references that the test makes up. */
#ifndef TESTS_SUPPORT_LAYERS_GRANT_H
#define TESTS_SUPPORT_LAYERS_GRANT_H

#include <errno.h>

#include "detect/files/layers.h"
#include "policy-files.h"

static struct layers layers;

static inline struct reference backing(const char *path, const char *format)
{
    return (struct reference){.role = REFERENCE_BACKING,
                              .kind = "backing file",
                              .source = "backing_file_offset",
                              .format = format,
                              .path = path,
                              .length = strlen(path)};
}

static inline struct reference data_file(const char *path)
{
    return (struct reference){.role = REFERENCE_DATA,
                              .kind = "extent",
                              .source = "extent line",
                              .path = path,
                              .length = strlen(path)};
}

/* Decides on the references of a layer. */
static inline void grant_all(unsigned layer, const struct reference *references, size_t count)
{
    struct reference_list list = {.items = NULL};

    for (size_t i = 0; i < count; i++)
        assert_int_equal(reference_list_add(&list, &references[i]), 0);
    assert_int_equal(layers_grant(&layers, layer, &list), 0);
    reference_list_end(&list);
}

#define GRANT(layer, ...)                                                                          \
    grant_all(layer, (const struct reference[]){__VA_ARGS__},                                      \
              COUNT(((const struct reference[]){__VA_ARGS__})))

static inline void assert_grant(unsigned layer, size_t n, enum grant_state state, const char *words)
{
    const struct grant *grant = &layers.items[layer].grants[n];

    assert_true(n < layers.items[layer].grants_count);
    if (grant->state != state || (words && (!grant->why || !strstr(grant->why, words))))
        fail_msg("layer %u, reference %zu: %s, %s", layer, n, grant_state_name(grant->state),
                 grant->why ? grant->why : "-");
    assert_int_equal(grant->resolved != NULL, state == GRANT_OPENED);
}

static inline void begin_at(const char *image, const char *option)
{
    struct reason why;

    layers_end(&layers);
    layers = (struct layers){.count = 0};
    if (option && policy_take(&layers.policy, option, &why) != 1)
        fail_msg("%s", why.words);
    assert_int_equal(layers_begin(&layers, in_top(image), false), 0);
}

static inline int begin(void **state)
{
    (void)state;
    make_top();
    make_directory("base");
    make_file("image", "image");
    make_file("second", "second");
    make_file("third", "third");
    make_file("base/deep", "deep");
    make_file("base/deeper", "deeper");
    make_link("link", "base/deep");
    assert_int_equal(link(in_top("image"), in_top("same")), 0);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    layers_end(&layers);
    remove_top();
    return 0;
}

#endif
