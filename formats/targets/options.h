/* SPDX-License-Identifier: Apache-2.0 */
/* Options of targets, as `qemu-img -o key=value,...` takes them. */
#ifndef FORMATS_TARGETS_OPTIONS_H
#define FORMATS_TARGETS_OPTIONS_H

#include "refuse.h"
#include "targets.h"

/*
 * Parses the text behind `qemu-img measure -O TARGET -o`: key=value,key=value; a comma in a value
 * is doubled. Returns 0 or -EINVAL, with a message in why in qemu's words.
 */
int target_options_parse(const struct target *target, const char *text,
                         struct target_options *options, struct reason *why);

/* The same for `qemu-img convert -O TARGET -o`, where compressed=on stands for its -c. Also returns
 * -ENOTSUP: the size depends on another file. */
int target_options_parse_conversion(const struct target *target, const char *text,
                                    struct target_options *options, struct reason *why);

/* Whether both give the same sizes. */
bool target_options_equal(const struct target_options *a, const struct target_options *b);

/* The rest is for the targets' check functions. */

enum {
    TARGET_KEYS_MAX = 32,
    TARGET_TEXT_MAX = 1024, /* bytes of options; ours: a file name has at most 255 */
};

enum target_key_kind { KEY_SIZE, KEY_NUMBER, KEY_BOOL, KEY_TEXT };

/* A key that a target takes. */
struct target_key {
    const char *name;
    enum target_key_kind kind;
};

/* The value given for a key. */
struct target_value {
    uint64_t number;  /* KEY_SIZE: bytes; KEY_NUMBER; KEY_BOOL: 0 or 1 */
    const char *text; /* the text of the value; NULL: the key was not given */
};

struct target_values {
    struct target_key keys[TARGET_KEYS_MAX];
    struct target_value values[TARGET_KEYS_MAX];
    size_t count;
    char pool[TARGET_TEXT_MAX]; /* holds the texts */
    size_t used;
};

/* Returns the value of a key, which the target must have. */
const struct target_value *target_value(const struct target_values *values, const char *key);

/* Returns the number given for the key, or fallback if there is none. */
uint64_t target_number(const struct target_values *values, const char *key, uint64_t fallback);

/* Returns the index in names (which ends with NULL) of the value given for the key, fallback if
 * none was given, -1 if it is none of the names. */
int target_choice(const struct target_values *values, const char *key, const char *const *names,
                  int fallback);

/* Refuses the value of a key that takes certain names only. name: the key's name in the message. */
int target_not_accepted(const struct target_values *values, const char *key, const char *name,
                        struct reason *why);

/* Checks `preallocation` for formats that pass it on to the file system, where it does not change
 * the size. Returns 0 or -EINVAL. */
int target_check_preallocation(const struct target_values *values, struct reason *why);

/* The keys of a cipher. */
#define TARGET_CIPHER_KEYS(prefix)                                                                 \
    {prefix "cipher-alg", KEY_TEXT}, {prefix "cipher-mode", KEY_TEXT},                             \
        {prefix "ivgen-alg", KEY_TEXT}, {prefix "ivgen-hash-alg", KEY_TEXT},                       \
        {prefix "hash-alg", KEY_TEXT}, {prefix "iter-time", KEY_NUMBER},                           \
    {                                                                                              \
        prefix "key-secret", KEY_TEXT                                                              \
    }

/* Sets *bytes to the size of a LUKS header with its key slots, from the cipher keys with that
 * prefix. Returns 0 or -EINVAL. */
int target_luks_header(const struct target_values *values, const char *prefix, uint64_t *bytes,
                       struct reason *why);

#endif
