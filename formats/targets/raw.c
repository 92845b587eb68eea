// SPDX-License-Identifier: Apache-2.0
/* The size of the raw file that `qemu-img convert -O raw` writes: the virtual size in whole
 * sectors, whatever the data. */
#include "formats/checked.h"
#include "options.h"

static int raw_size(const struct target_options *options, uint64_t virtual_size,
                    const uint64_t touched[TARGET_UNITS_MAX], struct target_size *size,
                    struct reason *why)
{
    (void)options;
    (void)touched;
    if (!checked_round_up(virtual_size, SECTOR, &size->required))
        return target_too_large(why, virtual_size);
    size->fully_allocated = size->required;
    return 0;
}

static int raw_check(const struct target_values *values, struct target_options *options,
                     struct reason *why)
{
    (void)options;
    return target_check_preallocation(values, why);
}

const struct target raw_target = {
    .name = "raw",
    .check_conversion = raw_check,
    .size = raw_size,
};
