// SPDX-License-Identifier: Apache-2.0
/*
 * Parses what qemu-img takes behind -o, and refuses what it refuses, in its words. The target's
 * check functions run when all of the text has been read: qemu interprets values only then, and the
 * order decides which error it reports.
 */
#include "options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/checked.h"

/* Keys of qemu's file driver, which every format takes. The source's size overrides `size`. */
static const struct target_key common[] = {
    {"size", KEY_SIZE},
    {"preallocation", KEY_TEXT},
    {"nocow", KEY_BOOL},
    {"extent_size_hint", KEY_SIZE},
};

/* Keys that name a file on which the size of a conversion depends. */
static const char *const other_files[] = {"backing_file", "data_file"};

static struct target_value *find_value(struct target_values *values, const char *key)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->keys[i].name, key) == 0)
            return &values->values[i];
    return NULL;
}

const struct target_value *target_value(const struct target_values *values, const char *key)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->keys[i].name, key) == 0)
            return &values->values[i];
    assert(false && "the target has no such key");
    return NULL;
}

uint64_t target_number(const struct target_values *values, const char *key, uint64_t fallback)
{
    const struct target_value *value = target_value(values, key);

    return value->text ? value->number : fallback;
}

int target_choice(const struct target_values *values, const char *key, const char *const *names,
                  int fallback)
{
    const char *text = target_value(values, key)->text;

    if (!text)
        return fallback;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

int target_not_accepted(const struct target_values *values, const char *key, const char *name,
                        struct reason *why)
{
    return target_refuse(why, EINVAL, "Parameter '%s' does not accept value '%s'", name,
                         target_value(values, key)->text);
}

int target_check_preallocation(const struct target_values *values, struct reason *why)
{
    static const char *const modes[] = {"off", "falloc", "full", "metadata", NULL};
    int mode = target_choice(values, "preallocation", modes, 0);

    if (mode < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(values, "preallocation")->text);
    if (mode == 3)
        return target_refuse(why, EINVAL, "Unsupported preallocation mode: metadata");
    return 0;
}

/* Returns the factor of a suffix letter; 0: it is none. */
static uint64_t suffix_factor(char letter)
{
    static const char letters[] = "BKMGTPE";
    const char *at = letter ? strchr(letters, toupper((unsigned char)letter)) : NULL;

    return at ? UINT64_C(1) << (10 * (at - letters)) : 0;
}

/* Parses "." and any digits behind it; *fraction is in units of 2^-64. Returns 0 or -EINVAL. */
static int parse_fraction(const char **text, uint64_t *fraction)
{
    char *end;
    double value = strtod(*text, &end);

    if (end == *text) {
        value = 0;
        end++;
    }
    if (memchr(*text, 'e', (size_t)(end - *text)) || memchr(*text, 'E', (size_t)(end - *text)))
        return -EINVAL;
    *fraction = value < 1 ? (uint64_t)(value * 0x1p64) : UINT64_MAX;
    *text = end;
    return 0;
}

/* Parses a size as qemu's do_strtosz() does: decimal with an optional fraction, or hexadecimal
 * without; then an optional suffix letter. Returns 0, -ERANGE or -EINVAL. */
static int parse_size(const char *text, uint64_t *bytes)
{
    uint64_t whole, fraction = 0, factor;
    unsigned __int128 product;
    const char *at;
    char *end;

    errno = 0;
    whole = strtoull(text, &end, 10);
    if (whole == 0 && end != text && (*end == 'x' || *end == 'X'))
        whole = strtoull(text, &end, 16);
    if (end == text || memchr(text, '-', (size_t)(end - text)))
        return -EINVAL;
    if (errno)
        return -ERANGE;
    at = end;
    if (*at == '.' && !memchr(text, 'x', (size_t)(end - text)) &&
        !memchr(text, 'X', (size_t)(end - text)) && parse_fraction(&at, &fraction))
        return -EINVAL;
    factor = suffix_factor(*at);
    at += factor != 0;
    if (*at || (factor <= 1 && fraction))
        return -EINVAL;
    product = (unsigned __int128)whole * (factor ? factor : 1);
    product += ((unsigned __int128)fraction * factor + (UINT64_C(1) << 63)) >> 64;
    *bytes = (uint64_t)product;
    return product >> 64 ? -ERANGE : 0;
}

/* Parses a number in any base of C. As in qemu, a negative one wraps around at 2^64. Returns 0,
 * -ERANGE or -EINVAL. */
static int parse_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 0);
    if (end == text || *end)
        return -EINVAL;
    return errno ? -ERANGE : 0;
}

static int parse_bool(const char *text, uint64_t *on)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "n", "y"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], text) == 0) {
            *on = i % 2;
            return 0;
        }
    return -EINVAL;
}

static int parse_value(const struct target_key *key, const char *text, struct target_value *value,
                       struct reason *why)
{
    int error = 0;

    value->text = text;
    if (key->kind == KEY_SIZE && (error = parse_size(text, &value->number)))
        return error == -ERANGE
                   ? target_refuse(why, EINVAL, "Value '%s' is out of range for parameter '%s'",
                                   text, key->name)
                   : target_refuse(why, EINVAL,
                                   "Parameter '%s' expects a non-negative number below 2^64",
                                   key->name);
    if (key->kind == KEY_NUMBER && (error = parse_number(text, &value->number)))
        return error == -ERANGE
                   ? target_refuse(why, EINVAL, "Value '%s' is too large for parameter '%s'", text,
                                   key->name)
                   : target_refuse(why, EINVAL, "Parameter '%s' expects a number", key->name);
    if (key->kind == KEY_BOOL && parse_bool(text, &value->number))
        return target_refuse(why, EINVAL, "Parameter '%s' expects 'on' or 'off'", key->name);
    return 0;
}

/* Copies a value to the pool, with doubled commas made single. Returns the end of the value in the
 * text. */
static const char *copy_value(struct target_values *values, const char *at)
{
    for (; *at && (*at != ',' || at[1] == ','); at++) {
        values->pool[values->used++] = *at;
        at += *at == ',';
    }
    values->pool[values->used++] = '\0';
    return at;
}

/* Copies one key and its value to the pool. A key without a value is "on", or "off" if it begins
 * with "no", which is then removed. Returns the end of the pair in the text. */
static const char *copy_pair(struct target_values *values, const char *at, char **key,
                             const char **value)
{
    size_t length = strcspn(at, "=,");

    *key = values->pool + values->used;
    memcpy(*key, at, length);
    (*key)[length] = '\0';
    values->used += length + 1;
    if (at[length] == '=') {
        *value = values->pool + values->used;
        return copy_value(values, at + length + 1);
    }
    *value = strncmp(*key, "no", 2) == 0 ? "off" : "on";
    *key += strcmp(*value, "off") == 0 ? 2 : 0;
    return at + length;
}

/* Whether no element of the list is empty or begins with a (doubled) comma. */
static bool is_list(const char *text)
{
    const char *at = text;

    do {
        if (!*at || *at == ',')
            return false;
        while (*at && (*at != ',' || at[1] == ','))
            at += *at == ',' ? 2 : 1;
    } while (*at++ == ',');
    return true;
}

static int parse_all(struct target_values *values, const char *text, struct reason *why)
{
    const char *at = text;

    do {
        struct target_value *found;
        const char *value;
        char *key;
        int error;

        at = copy_pair(values, at, &key, &value);
        if (strcmp(key, "id") == 0) /* qemu takes it in every option list; it means nothing here */
            continue;
        found = find_value(values, key);
        if (!found)
            return target_refuse(why, EINVAL, "Invalid parameter '%s'", key);
        error = parse_value(&values->keys[found - values->values], value, found, why);
        if (error)
            return error;
    } while (*at && *++at);
    return 0;
}

static void add_keys(struct target_values *values, const struct target_key *keys, size_t count)
{
    for (size_t i = 0; i < count && keys[i].name; i++) {
        assert(values->count < TARGET_KEYS_MAX);
        values->keys[values->count++] = keys[i];
    }
}

/* Parses the text into the values of the target's keys, the keys in more, and the common ones.
 * Returns 0 or -EINVAL. */
static int parse_values(const struct target *target, const struct target_key *more,
                        const char *text, struct target_values *values, struct reason *why)
{
    /* A key or value takes its length in the pool and a NUL, in place of the comma or the equals
     * sign behind it. The last one has neither. */
    if (strlen(text) + 2 > sizeof values->pool)
        return target_refuse(why, EINVAL, "the options are longer than %zu bytes",
                             sizeof values->pool - 2);
    if (!is_list(text))
        return target_refuse(why, EINVAL, "Invalid option list: %s", text);
    if (target->keys)
        add_keys(values, target->keys, TARGET_KEYS_MAX);
    if (more)
        add_keys(values, more, TARGET_KEYS_MAX);
    add_keys(values, common, sizeof common / sizeof *common);
    return parse_all(values, text, why);
}

int target_options_parse(const struct target *target, const char *text,
                         struct target_options *options, struct reason *why)
{
    struct target_values values = {.count = 0};
    int error = parse_values(target, NULL, text, &values, why);

    *options = target->defaults;
    return error || !target->check ? error : target->check(&values, options, why);
}

int target_options_parse_conversion(const struct target *target, const char *text,
                                    struct target_options *options, struct reason *why)
{
    int (*check)(const struct target_values *, struct target_options *, struct reason *) =
        target->check_conversion ? target->check_conversion : target->check;
    struct target_values values = {.count = 0};
    int error = parse_values(target, target->conversion_keys, text, &values, why);

    *options = target->defaults;
    error = error || !check ? error : check(&values, options, why);
    for (size_t i = 0; i < sizeof other_files / sizeof *other_files && !error; i++) {
        const struct target_value *value = find_value(&values, other_files[i]);

        if (value && value->text)
            return target_refuse(why, ENOTSUP,
                                 "%s: the size of the conversion depends on that file, which is "
                                 "never opened",
                                 other_files[i]);
    }
    return error;
}

bool target_options_equal(const struct target_options *a, const struct target_options *b)
{
    return a->cluster_size == b->cluster_size && a->table_size == b->table_size &&
           a->block_size == b->block_size && a->log_size == b->log_size &&
           a->header_size == b->header_size && a->refcount_bits == b->refcount_bits &&
           a->subformat == b->subformat && a->extended_l2 == b->extended_l2 &&
           a->is_v2 == b->is_v2 && a->force_size == b->force_size &&
           a->zero_blocks == b->zero_blocks && a->is_full == b->is_full &&
           a->is_compressed == b->is_compressed && a->is_zstd == b->is_zstd &&
           a->is_encrypted == b->is_encrypted && a->preallocation == b->preallocation &&
           a->has_255_heads == b->has_255_heads && a->descriptor_bytes == b->descriptor_bytes;
}
