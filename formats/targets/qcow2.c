// SPDX-License-Identifier: Apache-2.0
/*
 * The size of a qcow2 image (docs/interop/qcow2.txt), as `qemu-img measure` computes it: the tables
 * for the whole disk, and the data clusters.
 */
#include "qcow2.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"
#include "options.h"
#include "qcow2-writer.h"

static const struct target_key qcow2_keys[] = {
    {"backing_file", KEY_TEXT},     {"backing_fmt", KEY_TEXT},
    {"cluster_size", KEY_SIZE},     {"compat", KEY_TEXT},
    {"compression_type", KEY_TEXT}, {"data_file", KEY_TEXT},
    {"data_file_raw", KEY_BOOL},    {"encrypt.format", KEY_TEXT},
    TARGET_CIPHER_KEYS("encrypt."), {"encryption", KEY_BOOL},
    {"extended_l2", KEY_BOOL},      {"lazy_refcounts", KEY_BOOL},
    {"refcount_bits", KEY_NUMBER},  {NULL, KEY_TEXT},
};

static const char *const compat_names[] = {"1.1", "0.10", NULL};
static const char *const encrypt_formats[] = {"luks", NULL};

static const char *const preallocation_names[] = {"off", "metadata", "falloc", "full", NULL};

static int qcow2_check_clusters(struct target_options *o, struct reason *why)
{
    if (!is_power_of_two(o->cluster_size) || o->cluster_size < 512 || o->cluster_size > 2048 << 10)
        return target_refuse(why, EINVAL,
                             "Cluster size must be a power of two between 512 and 2048k");
    if (o->extended_l2 && o->cluster_size < 16384)
        return target_refuse(why, EINVAL,
                             "Extended L2 entries are only supported with cluster sizes of at "
                             "least 16384 bytes");
    return 0;
}

/* newer: the option for a version that has other widths, as measure or convert calls it. */
static int qcow2_check_refcounts(const struct target_options *o, const char *newer,
                                 struct reason *why)
{
    if (!is_power_of_two(o->refcount_bits) || o->refcount_bits > 64)
        return target_refuse(why, EINVAL,
                             "Refcount width must be a power of two and may not exceed 64 bits");
    if (o->is_v2 && o->refcount_bits != 16)
        return target_refuse(why, EINVAL,
                             "Different refcount widths than 16 bits require compatibility level "
                             "1.1 or above (use %s or greater)",
                             newer);
    return 0;
}

/* qemu checks the L1 table for the option `size`, although the source's size overrides it. It
 * accepts a size that wraps around at 64 bits when rounded up to whole clusters. */
static int qcow2_check_size(const struct target_values *v, const struct target_options *o,
                            struct reason *why)
{
    uint64_t disk, clusters_per_table = o->cluster_size / (o->extended_l2 ? 16 : 8);

    if (!checked_round_up(target_number(v, "size", 0), o->cluster_size, &disk))
        return 0;
    if (div_up(disk / o->cluster_size, clusters_per_table) > QCOW2_L1_MAX / QCOW2_L1_ENTRY)
        return target_refuse(why, EINVAL,
                             "The image size is too large (try using a larger cluster size)");
    return 0;
}

/* Checks in qemu's order. measure accepts options that convert refuses: unknown compression types,
 * and features that version 2 does not have. */
static int qcow2_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int choice, error;

    o->cluster_size = target_number(v, "cluster_size", o->cluster_size);
    o->extended_l2 = target_number(v, "extended_l2", 0);
    error = qcow2_check_clusters(o, why);
    if (error)
        return error;
    choice = target_choice(v, "compat", compat_names, 0);
    if (choice < 0)
        return target_refuse(why, EINVAL, "Invalid compatibility level: '%s'",
                             target_value(v, "compat")->text);
    o->is_v2 = choice;
    o->refcount_bits = target_number(v, "refcount_bits", o->refcount_bits);
    error = qcow2_check_refcounts(o, "compat=1.1", why);
    if (error)
        return error;
    choice = target_choice(v, "preallocation", preallocation_names, 0);
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "preallocation")->text);
    /* With a backing file, zeros are written too: they hide its bytes. */
    o->is_full = choice >= QCOW2_PREALLOCATION_FALLOC || target_value(v, "backing_file")->text;
    if (target_choice(v, "encrypt.format", encrypt_formats, -1) == 0)
        error = target_luks_header(v, "encrypt.", &o->header_size, why);
    return error ? error : qcow2_check_size(v, o, why);
}

/* Sets *choice to the index in names of the value of key, or to -1 if it was not given. Messages
 * call the key name. Returns 0 or -EINVAL. */
static int qcow2_choose(const struct target_values *v, const char *key, const char *name,
                        const char *const *names, int *choice, struct reason *why)
{
    *choice = -1;
    if (!target_value(v, key)->text)
        return 0;
    *choice = target_choice(v, key, names, 0);
    return *choice < 0 ? target_not_accepted(v, key, name, why) : 0;
}

/* Checks the encryption keys: format, its alias `encryption`, and the keys of the cipher. */
static int qcow2_check_encryption(const struct target_values *v, struct target_options *o,
                                  struct reason *why)
{
    static const struct target_key cipher[] = {TARGET_CIPHER_KEYS("encrypt."), {NULL, KEY_TEXT}};
    static const char *const known[] = {"luks", "aes", "qcow", NULL};
    bool has_format = target_value(v, "encrypt.format")->text;
    int format, error;

    if (has_format && target_value(v, "encryption")->text)
        return target_refuse(why, EINVAL,
                             "'encrypt.format' and its alias 'encryption' can't be used at the "
                             "same time");
    error = qcow2_choose(v, "encrypt.format", "format", known, &format, why);
    if (error)
        return error;
    o->is_encrypted = has_format || target_number(v, "encryption", 0);
    for (const struct target_key *key = cipher; key->name && format != 0; key++) {
        if (!target_value(v, key->name)->text)
            continue;
        if (!o->is_encrypted)
            return target_refuse(why, EINVAL, "Parameter 'encrypt.format' is missing");
        if (strcmp(key->name, "encrypt.key-secret") != 0)
            return target_refuse(why, EINVAL, "Parameter '%s' is unexpected", key->name);
    }
    return format == 0 ? target_luks_header(v, "encrypt.", &o->header_size, why) : 0;
}

/* Keys that take one of several names, in the order in which convert checks them. */
static int qcow2_check_choices(const struct target_values *v, struct target_options *o,
                               struct reason *why)
{
    static const char *const versions[] = {"1.1", "0.10", "v3", "v2", NULL};
    static const char *const compressions[] = {"zlib", "zstd", NULL};
    int choice, error;

    error = qcow2_choose(v, "compat", "version", versions, &choice, why);
    if (error)
        return error;
    o->is_v2 = choice == 1 || choice == 3;
    error = qcow2_check_encryption(v, o, why);
    if (error)
        return error;
    error = qcow2_choose(v, "preallocation", "preallocation", preallocation_names, &choice, why);
    if (error)
        return error;
    o->preallocation = choice < 0 ? QCOW2_PREALLOCATION_OFF : (unsigned)choice;
    error = qcow2_choose(v, "compression_type", "compression-type", compressions, &choice, why);
    o->is_zstd = choice == 1;
    return error;
}

/* Features that version 2 does not have, in the order in which convert checks them. */
static int qcow2_check_version(const struct target_values *v, struct target_options *o,
                               struct reason *why)
{
    static const char words[] = "compatibility level 1.1 and above (use version=v3 or greater)";
    int error;

    if (o->is_v2 && o->extended_l2)
        return target_refuse(why, EINVAL, "Extended L2 entries are only supported with %s", words);
    error = qcow2_check_clusters(o, why);
    if (error)
        return error;
    if (o->is_v2 && target_number(v, "lazy_refcounts", 0))
        return target_refuse(why, EINVAL, "Lazy refcounts only supported with %s", words);
    error = qcow2_check_refcounts(o, "version=v3", why);
    if (error)
        return error;
    if (o->is_v2 && o->is_zstd)
        return target_refuse(why, EINVAL, "Non-zlib compression type is only supported with %s",
                             words);
    return 0;
}

static const struct target_key qcow2_conversion_keys[] = {{"compressed", KEY_BOOL},
                                                          {NULL, KEY_TEXT}};

/* convert refuses options that measure accepts. */
static int qcow2_check_conversion(const struct target_values *v, struct target_options *o,
                                  struct reason *why)
{
    const char *preallocation = target_value(v, "preallocation")->text;
    int error;

    o->is_compressed = target_number(v, "compressed", 0);
    if (o->is_compressed &&
        (target_number(v, "encryption", 0) || target_value(v, "encrypt.format")->text))
        return target_refuse(why, EINVAL,
                             "Compression and encryption not supported at the same time");
    if (o->is_compressed && preallocation && strcmp(preallocation, "off") != 0)
        return target_refuse(why, EINVAL,
                             "Compression and preallocation not supported at the same time");
    o->cluster_size = target_number(v, "cluster_size", o->cluster_size);
    o->extended_l2 = target_number(v, "extended_l2", 0);
    o->refcount_bits = target_number(v, "refcount_bits", o->refcount_bits);
    error = qcow2_check_choices(v, o, why);
    if (!error)
        error = qcow2_check_version(v, o, why);
    if (error)
        return error;
    if (target_number(v, "data_file_raw", 0) && !target_value(v, "data_file")->text)
        return target_refuse(why, EINVAL, "data-file-raw requires data-file");
    if (target_value(v, "backing_fmt")->text && !target_value(v, "backing_file")->text)
        return target_refuse(why, EINVAL, "Backing format cannot be used without backing file");
    return 0;
}

static const struct conversion_model *qcow2_model(const struct target_options *o)
{
    if (o->is_compressed)
        return &qcow2_compressed;
    return o->preallocation == QCOW2_PREALLOCATION_OFF ? &qcow2_written : &qcow2_preallocated;
}

static bool qcow2_keeps_bitmaps(const struct target_options *o)
{
    return !o->is_v2;
}

static size_t qcow2_units(const struct target_options *o, uint64_t virtual_size,
                          uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = o->cluster_size;
    return 1;
}

/*
 * Returns the clusters of the refcount table and blocks that cover so many other clusters and
 * themselves: the smallest fixed point. A few steps reach it: each adds at most a cluster per
 * cluster_size of the step before.
 */
static uint64_t qcow2_refcount_clusters(const struct target_options *o, uint64_t clusters)
{
    uint64_t per_block = o->cluster_size * 8 / o->refcount_bits;
    uint64_t per_table = o->cluster_size / 8;
    uint64_t table = 0, blocks = 0, before;

    do {
        before = table + blocks;
        blocks = div_up(clusters + table + blocks, per_block);
        table = div_up(blocks, per_table);
    } while (table + blocks != before);
    return table + blocks;
}

/*
 * Header, L1 table, L2 tables for the whole disk, refcounts for all of it, and the data clusters;
 * with LUKS also its header, for which qemu counts no refcounts. No sum overflows, since the padded
 * disk is below 2^63 bytes: with the smallest clusters, each kind of table has at most a 16th of
 * that.
 */
static int qcow2_size(const struct target_options *o, uint64_t virtual_size,
                      const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                      struct reason *why)
{
    uint64_t cluster = o->cluster_size;
    uint64_t l2_entries = cluster / (o->extended_l2 ? 16 : 8);
    uint64_t disk, l2_tables, l1_clusters, clusters, header = div_up(o->header_size, cluster);

    if (!checked_round_up(virtual_size, cluster, &disk) || disk > (uint64_t)INT64_MAX)
        return target_too_large(why, virtual_size);
    l2_tables = div_up(disk / cluster, l2_entries);
    l1_clusters = div_up(l2_tables * 8, cluster);
    clusters = 1 + l2_tables + l1_clusters;
    clusters += qcow2_refcount_clusters(o, clusters + disk / cluster) + header;
    size->fully_allocated = clusters * cluster + disk;
    size->required = o->is_full ? size->fully_allocated : (clusters + touched[0]) * cluster;
    return 0;
}

const struct target qcow2_target = {
    .name = "qcow2",
    .defaults = {.cluster_size = 65536, .refcount_bits = 16},
    .keys = qcow2_keys,
    .check = qcow2_check,
    .conversion_keys = qcow2_conversion_keys,
    .check_conversion = qcow2_check_conversion,
    .model = qcow2_model,
    .keeps_bitmaps = qcow2_keeps_bitmaps,
    .units = qcow2_units,
    .size = qcow2_size,
};
