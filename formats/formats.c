// SPDX-License-Identifier: Apache-2.0
/*
 * The table of formats, in the order in which they are asked. The first that takes the file names
 * it; the others that match are told as candidates.
 */
#include "format.h"

#include <stddef.h>
#include <string.h>

const struct format_driver *const formats[] = {
    &qcow2_driver, &vmdk_driver, &vhdx_driver,
    &vhd_driver,   &raw_driver, /* takes everything: must be the last */
    NULL,
};

const struct format_driver *format_by_name(const char *name)
{
    for (const struct format_driver *const *f = formats; *f; f++)
        if (strcmp((*f)->name, name) == 0)
            return *f;
    return NULL;
}

int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver)
{
    *disk = (struct disk){.img = img, .driver = driver};
    return driver->open(disk);
}
