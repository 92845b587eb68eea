// SPDX-License-Identifier: Apache-2.0
/* Reading guest bytes of a disk, extent by extent. */
#include <errno.h>
#include <string.h>

#include "checked.h"
#include "disk.h"
#include "extents.h"
#include "format.h"
#include "image.h"

/* Reads data that a file holds as it is. */
static int read_plain(struct disk *disk, const struct extent *e, uint8_t *bytes, size_t length)
{
    struct image *img = disk->img;
    void **state;
    int error = e->file ? disk_data_file(disk, e->file - 1, &img, &state) : 0;
    uint64_t size = error ? 0 : image_size(img);

    if (error)
        return error;
    if (disk->is_encrypted)
        return image_fail(disk->img, ENOTSUP, "%s: guest data is encrypted", disk->driver->name);
    if (e->host > size || length > size - e->host)
        return image_fail(img, EIO, "%s: guest data at offset %llu ends past the end of the file",
                          disk->driver->name, (unsigned long long)e->host);
    return image_read(img, e->host, length, bytes);
}

static int read_compressed(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    if (!disk->driver->decode)
        return image_fail(disk->img, ENOTSUP, "%s: compressed guest data cannot be read",
                          disk->driver->name);
    return disk->driver->decode(disk, offset, bytes, length);
}

int disk_read_extent(struct disk *disk, const struct extent *e, uint8_t *bytes, size_t length)
{
    struct disk *layer = disk_layer(disk, e->layer);

    if (e->kind == EXTENT_DATA && (e->flags & EXTENT_COMPRESSED))
        return read_compressed(layer, e->offset, bytes, length);
    if (e->kind == EXTENT_DATA)
        return read_plain(layer, e, bytes, length);
    memset(bytes, 0, length);
    return 0;
}

int disk_read(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    uint64_t end = offset < disk->virtual_size
                       ? offset + min_u64(length, disk->virtual_size - offset)
                       : offset;
    struct extents stream;
    struct extent e;
    int error = 0;

    extents_begin(&stream, disk, EXTENTS_WANT_HOST);
    memset(bytes + (end - offset), 0, length - (size_t)(end - offset));
    extents_seek(&stream, offset);
    while (!error && stream.offset < end) {
        int found = extents_next(&stream, &e);

        if (found < 0)
            return found;
        error = disk_read_extent(disk, &e, bytes + (e.offset - offset),
                                 (size_t)min_u64(e.length, end - e.offset));
    }
    return error;
}
