// SPDX-License-Identifier: Apache-2.0
/*
 * The size of a LUKS version 1 volume (LUKS On-Disk Format Specification 1.2.3), as `qemu-img
 * measure` computes it. qemu asks for a passphrase, which does not change the size. The bytes in
 * front of the data depend only on the length of the cipher's key.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "formats/checked.h"
#include "options.h"

enum {
    ALIGNMENT = 4096, /* of key slots and of the data, in qemu's layout */
    STRIPES = 4000,
    SLOTS = 8,
};

struct cipher {
    const char *family; /* qemu's name for the ciphers that differ in key size only; NULL: it is the
                           only one */
    uint64_t key_bytes; /* 0: qemu has the cipher, LUKS does not */
    bool has_xts;       /* its blocks have 16 bytes, which mode xts needs */
};

static const char *const cipher_names[] = {
    "aes-256",     "aes-128",     "aes-192",     "des",         "3des",
    "cast5-128",   "serpent-128", "serpent-192", "serpent-256", "twofish-128",
    "twofish-192", "twofish-256", NULL,
};
static const struct cipher ciphers[] = {
    {"AES", 32, true},     {"AES", 16, true},     {"AES", 24, true},     {NULL, 0, false},
    {NULL, 0, false},      {NULL, 16, false},     {"Serpent", 16, true}, {"Serpent", 24, true},
    {"Serpent", 32, true}, {"Twofish", 16, true}, {"Twofish", 24, true}, {"Twofish", 32, true},
};

enum { MODE_XTS = 0 };
static const char *const mode_names[] = {"xts", "cbc", "ecb", "ctr", NULL};
enum { IV_ESSIV = 2 };
static const char *const iv_names[] = {"plain64", "plain", "essiv", NULL};

static const char *const hash_names[] = {
    "sha256", "md5", "sha1", "sha224", "sha384", "sha512", "ripemd160", NULL,
};
static const unsigned hash_bytes[] = {32, 16, 20, 28, 48, 64, 20};

/* Sets *choice to the index in names of the value of key prefix + name. Returns 0 or -EINVAL. */
static int luks_choose(const struct target_values *v, const char *prefix, const char *name,
                       const char *const *names, int *choice, struct reason *why)
{
    char key[32];

    snprintf(key, sizeof key, "%s%s", prefix, name);
    *choice = target_choice(v, key, names, 0);
    return *choice < 0 ? target_not_accepted(v, key, name, why) : 0;
}

/* ESSIV encrypts with a cipher of the same family whose key is as long as the hash: there must be
 * one. */
static int luks_check_essiv(int cipher, int hash, struct reason *why)
{
    unsigned bytes = hash_bytes[hash];
    const char *family = ciphers[cipher].family;

    if (family && bytes != 16 && bytes != 24 && bytes != 32)
        return target_refuse(why, EINVAL, "No %s cipher with key size %u available", family, bytes);
    if (!family && bytes != ciphers[cipher].key_bytes)
        return target_refuse(why, EINVAL, "Cipher %s not supported with essiv",
                             cipher_names[cipher]);
    return 0;
}

int target_luks_header(const struct target_values *values, const char *prefix, uint64_t *bytes,
                       struct reason *why)
{
    int cipher, mode, iv, iv_hash, hash, error;
    uint64_t key_bytes;

    if ((error = luks_choose(values, prefix, "cipher-alg", cipher_names, &cipher, why)) ||
        (error = luks_choose(values, prefix, "cipher-mode", mode_names, &mode, why)) ||
        (error = luks_choose(values, prefix, "ivgen-alg", iv_names, &iv, why)) ||
        (error = luks_choose(values, prefix, "ivgen-hash-alg", hash_names, &iv_hash, why)) ||
        (error = luks_choose(values, prefix, "hash-alg", hash_names, &hash, why)))
        return error;
    key_bytes = ciphers[cipher].key_bytes;
    if (!key_bytes)
        return target_refuse(why, EINVAL, "Algorithm '%s' not supported", cipher_names[cipher]);
    error = iv == IV_ESSIV ? luks_check_essiv(cipher, iv_hash, why) : 0;
    if (error)
        return error;
    if (mode == MODE_XTS && !ciphers[cipher].has_xts)
        return target_refuse(why, EINVAL, "Unsupported cipher mode xts");
    key_bytes *= mode == MODE_XTS ? 2 : 1;
    *bytes = ALIGNMENT + SLOTS * (div_up(key_bytes * STRIPES, ALIGNMENT) * ALIGNMENT);
    return 0;
}

static const struct target_key luks_keys[] = {TARGET_CIPHER_KEYS(""), {NULL, KEY_TEXT}};

static int luks_check(const struct target_values *values, struct target_options *o,
                      struct reason *why)
{
    return target_luks_header(values, "", &o->header_size, why);
}

static int luks_check_conversion(const struct target_values *values, struct target_options *o,
                                 struct reason *why)
{
    int error = luks_check(values, o, why);

    return error ? error : target_check_preallocation(values, why);
}

static int luks_size(const struct target_options *o, uint64_t virtual_size,
                     const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                     struct reason *why)
{
    (void)touched;
    if (!checked_round_up(virtual_size, SECTOR, &size->required) ||
        !checked_add(size->required, o->header_size, &size->required))
        return target_too_large(why, virtual_size);
    size->fully_allocated = size->required;
    return 0;
}

const struct target luks_target = {
    .name = "luks",
    .defaults = {.header_size = ALIGNMENT + SLOTS * 258048}, /* aes-256, mode xts */
    .keys = luks_keys,
    .check = luks_check,
    .check_conversion = luks_check_conversion,
    .size = luks_size,
};
