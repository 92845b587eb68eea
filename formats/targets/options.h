/* SPDX-License-Identifier: Apache-2.0 */
/* For the size models: the values of the keys that -o has for them. */
#ifndef FORMATS_TARGETS_OPTIONS_H
#define FORMATS_TARGETS_OPTIONS_H

#include "refuse.h"
#include "targets.h"

enum {
    TARGET_KEYS_MAX = 32,
    TARGET_TEXT_MAX = 1024, /* bytes of options; ours: a name in a directory has 255 at most */
};

enum target_kind { KEY_SIZE, KEY_NUMBER, KEY_BOOL, KEY_TEXT };

/* A key that a target takes. */
struct target_key {
    const char *name;
    enum target_kind kind;
};

/* What was given for one. */
struct target_value {
    uint64_t number;  /* a size in bytes, a number, or whether it is on */
    const char *text; /* as it was given; NULL: it was not */
};

struct target_values {
    struct target_key keys[TARGET_KEYS_MAX];
    struct target_value values[TARGET_KEYS_MAX];
    size_t count;
    char pool[TARGET_TEXT_MAX]; /* of the texts */
    size_t used;
};

/* What was given for the key, which the target has; without anything text is NULL. */
const struct target_value *target_value(const struct target_values *values, const char *key);

/* The number that was given for the key, or otherwise. */
uint64_t target_number(const struct target_values *values, const char *key, uint64_t otherwise);

/* The place in names, which end with NULL, of what was given for the key; or otherwise, or -1. */
int target_choice(const struct target_values *values, const char *key, const char *const *names,
                  int otherwise);

/* Refuses what was given for a key that knows some values only. */
int target_not_accepted(const struct target_values *values, const char *key, const char *name,
                        struct reason *why);

/* The preallocation of formats that leave it to the file that they are in, which for sparse files
 * changes nothing. 0 or -EINVAL. */
int target_check_preallocation(const struct target_values *values, struct reason *why);

/* The keys of a cipher. */
#define TARGET_CIPHER_KEYS(prefix)                                                                 \
    {prefix "cipher-alg", KEY_TEXT}, {prefix "cipher-mode", KEY_TEXT},                             \
        {prefix "ivgen-alg", KEY_TEXT}, {prefix "ivgen-hash-alg", KEY_TEXT},                       \
        {prefix "hash-alg", KEY_TEXT}, {prefix "iter-time", KEY_NUMBER},                           \
    {                                                                                              \
        prefix "key-secret", KEY_TEXT                                                              \
    }

/* The bytes in front of the data that a LUKS header and its key slots take, from the keys of a
 * cipher with that prefix. 0 or -EINVAL. */
int target_luks_header(const struct target_values *values, const char *prefix, uint64_t *bytes,
                       struct reason *why);

/*
 * Reads what `qemu-img ... -O TARGET -o TEXT` takes: key=value,key=value, with two commas for one
 * in a value. 0 or -EINVAL, and why then says it in qemu's words.
 */
int target_options_parse(const struct target *target, const char *text,
                         struct target_options *options, struct reason *why);

/* The same of `qemu-img convert -O TARGET -o TEXT`, and compressed=on for its -c. Also -ENOTSUP:
 * the size depends on another file. */
int target_options_parse_conversion(const struct target *target, const char *text,
                                    struct target_options *options, struct reason *why);

/* Whether all sizes are the same with both. */
bool target_options_equal(const struct target_options *a, const struct target_options *b);

#endif
