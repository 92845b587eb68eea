// SPDX-License-Identifier: Apache-2.0
/*
 * The size of a qcow2 image (docs/interop/qcow2.txt), as `qemu-img measure` computes it: all tables
 * of the whole disk, and the data clusters.
 */
#include "qcow2.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"
#include "options.h"
#include "qcow2-writer.h"

static const struct target_key keys[] = {
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

static int check_clusters(struct target_options *o, struct reason *why)
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

/* newer: what asks for a version that has them, in the words of who is asked. */
static int check_refcounts(const struct target_options *o, const char *newer, struct reason *why)
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

/* The size that is asked for, though that of the source counts then, must have an L1 table that
 * qemu opens. In whole clusters that do not fit in 64 bits it is nothing to qemu. */
static int check_size(const struct target_values *v, const struct target_options *o,
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

/* In the order in which qemu looks. What only a creation refuses (a compression that does not
 * exist, what version 2 cannot have) a measurement takes. */
static int check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    int choice, error;

    o->cluster_size = target_number(v, "cluster_size", o->cluster_size);
    o->extended_l2 = target_number(v, "extended_l2", 0);
    error = check_clusters(o, why);
    if (error)
        return error;
    choice = target_choice(v, "compat", compat_names, 0);
    if (choice < 0)
        return target_refuse(why, EINVAL, "Invalid compatibility level: '%s'",
                             target_value(v, "compat")->text);
    o->is_v2 = choice;
    o->refcount_bits = target_number(v, "refcount_bits", o->refcount_bits);
    error = check_refcounts(o, "compat=1.1", why);
    if (error)
        return error;
    choice = target_choice(v, "preallocation", preallocation_names, 0);
    if (choice < 0)
        return target_refuse(why, EINVAL, "invalid parameter value: %s",
                             target_value(v, "preallocation")->text);
    /* What the source has to say of a cluster it then says over a backing file's bytes. */
    o->whole = choice >= QCOW2_PREALLOCATION_FALLOC || target_value(v, "backing_file")->text;
    if (target_choice(v, "encrypt.format", encrypt_formats, -1) == 0)
        error = target_luks_header(v, "encrypt.", &o->header_size, why);
    return error ? error : check_size(v, o, why);
}

/* A value that is one of names, else refused in the words of the key's other name. -1: the key was
 * not given. */
static int choose(const struct target_values *v, const char *key, const char *name,
                  const char *const *names, int *choice, struct reason *why)
{
    *choice = -1;
    if (!target_value(v, key)->text)
        return 0;
    *choice = target_choice(v, key, names, 0);
    return *choice < 0 ? target_not_accepted(v, key, name, why) : 0;
}

/* Sets the encryption, of which everything but its format stands behind the other keys. */
static int check_encryption(const struct target_values *v, struct target_options *o,
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
    error = choose(v, "encrypt.format", "format", known, &format, why);
    if (error)
        return error;
    o->encrypted = has_format || target_number(v, "encryption", 0);
    for (const struct target_key *key = cipher; key->name && format != 0; key++) {
        if (!target_value(v, key->name)->text)
            continue;
        if (!o->encrypted)
            return target_refuse(why, EINVAL, "Parameter 'encrypt.format' is missing");
        if (strcmp(key->name, "encrypt.key-secret") != 0)
            return target_refuse(why, EINVAL, "Parameter '%s' is unexpected", key->name);
    }
    return format == 0 ? target_luks_header(v, "encrypt.", &o->header_size, why) : 0;
}

/* What stands for one of several names, in the order in which a creation looks. */
static int check_choices(const struct target_values *v, struct target_options *o,
                         struct reason *why)
{
    static const char *const versions[] = {"1.1", "0.10", "v3", "v2", NULL};
    static const char *const compressions[] = {"zlib", "zstd", NULL};
    int choice, error;

    error = choose(v, "compat", "version", versions, &choice, why);
    if (error)
        return error;
    o->is_v2 = choice == 1 || choice == 3;
    error = check_encryption(v, o, why);
    if (error)
        return error;
    error = choose(v, "preallocation", "preallocation", preallocation_names, &choice, why);
    if (error)
        return error;
    o->preallocation = choice < 0 ? QCOW2_PREALLOCATION_OFF : (unsigned)choice;
    error = choose(v, "compression_type", "compression-type", compressions, &choice, why);
    o->zstd = choice == 1;
    return error;
}

/* What version 2 has not, in the order in which a creation looks. */
static int check_version(const struct target_values *v, struct target_options *o,
                         struct reason *why)
{
    static const char words[] = "compatibility level 1.1 and above (use version=v3 or greater)";
    int error;

    if (o->is_v2 && o->extended_l2)
        return target_refuse(why, EINVAL, "Extended L2 entries are only supported with %s", words);
    error = check_clusters(o, why);
    if (error)
        return error;
    if (o->is_v2 && target_number(v, "lazy_refcounts", 0))
        return target_refuse(why, EINVAL, "Lazy refcounts only supported with %s", words);
    error = check_refcounts(o, "version=v3", why);
    if (error)
        return error;
    if (o->is_v2 && o->zstd)
        return target_refuse(why, EINVAL, "Non-zlib compression type is only supported with %s",
                             words);
    return 0;
}

static const struct target_key conversion_keys[] = {{"compressed", KEY_BOOL}, {NULL, KEY_TEXT}};

/* What a creation takes, which is not all that a measurement takes. */
static int check_conversion(const struct target_values *v, struct target_options *o,
                            struct reason *why)
{
    const char *preallocation = target_value(v, "preallocation")->text;
    int error;

    o->compressed = target_number(v, "compressed", 0);
    if (o->compressed &&
        (target_number(v, "encryption", 0) || target_value(v, "encrypt.format")->text))
        return target_refuse(why, EINVAL,
                             "Compression and encryption not supported at the same time");
    if (o->compressed && preallocation && strcmp(preallocation, "off") != 0)
        return target_refuse(why, EINVAL,
                             "Compression and preallocation not supported at the same time");
    o->cluster_size = target_number(v, "cluster_size", o->cluster_size);
    o->extended_l2 = target_number(v, "extended_l2", 0);
    o->refcount_bits = target_number(v, "refcount_bits", o->refcount_bits);
    error = check_choices(v, o, why);
    if (!error)
        error = check_version(v, o, why);
    if (error)
        return error;
    if (target_number(v, "data_file_raw", 0) && !target_value(v, "data_file")->text)
        return target_refuse(why, EINVAL, "data-file-raw requires data-file");
    if (target_value(v, "backing_fmt")->text && !target_value(v, "backing_file")->text)
        return target_refuse(why, EINVAL, "Backing format cannot be used without backing file");
    return 0;
}

static const struct conversion_model *model(const struct target_options *o)
{
    if (o->compressed)
        return &qcow2_compressed;
    return o->preallocation == QCOW2_PREALLOCATION_OFF ? &qcow2_written : &qcow2_preallocated;
}

static bool keeps_bitmaps(const struct target_options *o)
{
    return !o->is_v2;
}

static size_t units(const struct target_options *o, uint64_t virtual_size,
                    uint64_t units[TARGET_UNITS_MAX])
{
    (void)virtual_size;
    units[0] = o->cluster_size;
    return 1;
}

/*
 * Clusters of refcount table and blocks that cover so many other clusters and themselves: the
 * smallest fixed point, reached in a few steps since each step adds at most a cluster per
 * cluster_size of the one before.
 */
static uint64_t refcount_clusters(const struct target_options *o, uint64_t clusters)
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
 * with LUKS its header, which qemu has no refcounts for. All sums fit in 64 bits once the padded
 * disk is at most 2^63 bytes: the tables are at most a 16th of that each for the smallest clusters.
 */
static int size(const struct target_options *o, uint64_t virtual_size,
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
    clusters += refcount_clusters(o, clusters + disk / cluster) + header;
    size->fully_allocated = clusters * cluster + disk;
    size->required = o->whole ? size->fully_allocated : (clusters + touched[0]) * cluster;
    return 0;
}

const struct target qcow2_target = {
    .name = "qcow2",
    .defaults = {.cluster_size = 65536, .refcount_bits = 16},
    .keys = keys,
    .check = check,
    .conversion_keys = conversion_keys,
    .check_conversion = check_conversion,
    .model = model,
    .keeps_bitmaps = keeps_bitmaps,
    .units = units,
    .size = size,
};
