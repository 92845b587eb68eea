// SPDX-License-Identifier: Apache-2.0
/*
 * raw: the file is the disk. A last sector that is not whole is filled up with zeros. Holes of the
 * host file are not allocated.
 */
#include <errno.h>

#include "checked.h"
#include "disk.h"
#include "extents.h"
#include "format.h"
#include "image.h"

static int raw_open(struct disk *disk)
{
    uint64_t size = image_size(disk->img);

    if (size > DISK_BYTES_MAX)
        return image_fail(disk->img, EFBIG,
                          "raw: file size %llu is over the largest disk, 2^63 - 2^30 bytes",
                          (unsigned long long)size);
    checked_round_up(size, SECTOR, &disk->virtual_size);
    return 0;
}

static int raw_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    (void)want;
    extent->kind = EXTENT_DATA;
    extent->host = offset;
    extent->length = disk->virtual_size - offset;
    extent->flags = EXTENT_HOST_HOLES;
    return 0;
}

const struct format_driver raw_driver = {
    .name = "raw",
    .open = raw_open,
    .extent_at = raw_extent_at,
};
