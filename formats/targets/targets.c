// SPDX-License-Identifier: Apache-2.0
/* The table of target formats. */
#include "targets.h"

#include <stddef.h>
#include <string.h>

const struct target *const targets[] = {
    &raw_target, &qcow2_target, &luks_target,      &vmdk_target, &vhd_target, &vhdx_target,
    &vdi_target, &qed_target,   &parallels_target, &qcow_target, NULL,
};
_Static_assert(sizeof targets / sizeof *targets <= TARGETS_MAX, "TARGETS_MAX is too small");

const struct target *target_by_name(const char *name)
{
    for (const struct target *const *t = targets; *t; t++)
        if (strcmp((*t)->name, name) == 0)
            return *t;
    return NULL;
}

size_t target_row(const struct target *target)
{
    size_t row = 0;

    while (targets[row] != target)
        row++;
    return row;
}

size_t targets_count(void)
{
    return sizeof targets / sizeof *targets - 1;
}
