// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the file that `qemu-img convert -O qcow` writes: header and L1 table; then, from the
 * next multiple of 4 KiB, data clusters of 4 KiB, and an L2 table of 4 KiB for each 2 MiB with
 * data.
 */
#include "qcow.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"
#include "options.h"

enum {
    HEADER = 48,
    L1_MAX = INT32_MAX / 8, /* entries of a table that qemu opens */
};

static const struct target_key qcow_keys[] = {
    {"backing_file", KEY_TEXT},   {"backing_fmt", KEY_TEXT},        {"encryption", KEY_BOOL},
    {"encrypt.format", KEY_TEXT}, {"encrypt.key-secret", KEY_TEXT}, {NULL, KEY_TEXT},
};

static const char *const encrypt_formats[] = {"aes", "luks", "qcow", NULL};

static int qcow_check(const struct target_values *v, struct target_options *o, struct reason *why)
{
    const char *format = target_value(v, "encrypt.format")->text;
    int choice = target_choice(v, "encrypt.format", encrypt_formats, 0);

    if (format && target_value(v, "encryption")->text)
        return target_refuse(why, EINVAL,
                             "'encrypt.format' and its alias 'encryption' can't be used at the "
                             "same time");
    if (choice < 0)
        return target_not_accepted(v, "encrypt.format", "format", why);
    if (choice > 0)
        return target_refuse(why, EINVAL, "Unsupported encryption format");
    if (target_value(v, "encrypt.key-secret")->text && !format &&
        !target_number(v, "encryption", 0))
        return target_refuse(why, EINVAL, "Parameter 'encrypt.format' is missing");
    o->is_full = target_value(v, "backing_file")->text;
    return target_check_preallocation(v, why);
}

static const struct target_key qcow_conversion_keys[] = {{"compressed", KEY_BOOL},
                                                         {NULL, KEY_TEXT}};

static int qcow_check_conversion(const struct target_values *v, struct target_options *o,
                                 struct reason *why)
{
    o->is_compressed = target_number(v, "compressed", 0);
    if (o->is_compressed &&
        (target_number(v, "encryption", 0) || target_value(v, "encrypt.format")->text))
        return target_refuse(why, EINVAL,
                             "Compression and encryption not supported at the same time");
    return qcow_check(v, o, why);
}

static const struct conversion_model *qcow_model(const struct target_options *o)
{
    return o->is_compressed ? &qcow_compressed : NULL;
}

static size_t qcow_units(const struct target_options *o, uint64_t virtual_size,
                         uint64_t units[TARGET_UNITS_MAX])
{
    (void)o;
    (void)virtual_size;
    units[0] = QCOW_CLUSTER;
    units[1] = QCOW_RANGE;
    return 2;
}

static uint64_t qcow_file_size(uint64_t before, uint64_t clusters, uint64_t ranges)
{
    if (!clusters)
        return before;
    return (div_up(before, QCOW_CLUSTER) + clusters + ranges) * QCOW_CLUSTER;
}

static int qcow_size(const struct target_options *o, uint64_t virtual_size,
                     const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                     struct reason *why)
{
    uint64_t ranges = div_up(virtual_size, QCOW_RANGE);
    uint64_t before = HEADER + div_up(ranges * 8, SECTOR) * SECTOR;

    if (!virtual_size)
        return target_refuse(why, ENOTSUP, "Image size is too small, cannot be zero length");
    if (ranges > L1_MAX)
        return target_refuse(why, EFBIG, "Image too large");
    size->fully_allocated = qcow_file_size(before, div_up(virtual_size, QCOW_CLUSTER), ranges);
    size->required =
        o->is_full ? size->fully_allocated : qcow_file_size(before, touched[0], touched[1]);
    return 0;
}

const struct target qcow_target = {
    .name = "qcow",
    .keys = qcow_keys,
    .check = qcow_check,
    .conversion_keys = qcow_conversion_keys,
    .check_conversion = qcow_check_conversion,
    .model = qcow_model,
    .units = qcow_units,
    .size = qcow_size,
};
