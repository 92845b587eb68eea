// SPDX-License-Identifier: Apache-2.0
/* A disk, whatever its format: opened by its driver, read through its extents. */
#include <errno.h>
#include <string.h>

#include "checked.h"
#include "escape.h"
#include "format.h"

int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver,
              const struct open_options *options)
{
    *disk = (struct disk){.img = img, .driver = driver, .qemu = options ? options->qemu : 0};
    return driver->open(disk);
}

int disk_keep_reference(struct disk *disk, const char *kind, uint64_t offset, size_t length,
                        const struct reference **reference)
{
    struct reference *kept;
    const uint8_t *name;
    char *path;
    int error = image_get(disk->img, offset, length, &name);

    if (error)
        return error;
    length = strnlen((const char *)name, length);
    if (length == 0)
        return 0;
    kept = image_alloc(disk->img, sizeof *kept);
    path = image_alloc(disk->img, 4 * length + 1);
    if (!kept || !path)
        return -ENOMEM;
    escape_text(path, 4 * length + 1, (const char *)name, length);
    *kept = (struct reference){kind, path};
    *reference = kept;
    return 0;
}

/* Reads what stands plainly in the file. */
static int read_plain(struct disk *disk, uint64_t host, uint8_t *bytes, size_t length)
{
    uint64_t size = image_size(disk->img);

    if (disk->is_encrypted)
        return image_fail(disk->img, ENOTSUP, "%s: the guest's bytes are encrypted",
                          disk->driver->name);
    if (host > size || length > size - host)
        return image_fail(disk->img, EIO,
                          "%s: guest data at offset %llu is past the end of the file",
                          disk->driver->name, (unsigned long long)host);
    return image_read(disk->img, host, length, bytes);
}

/* Reads what has to be decoded. */
static int read_compressed(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    if (!disk->driver->decode)
        return image_fail(disk->img, ENOTSUP, "%s: compressed guest data cannot be read",
                          disk->driver->name);
    return disk->driver->decode(disk, offset, bytes, length);
}

/* Reads at most length bytes: those of one extent. *length is then what was read. */
static int read_extent(struct disk *disk, struct extents *stream, uint8_t *bytes, size_t *length)
{
    uint64_t offset = stream->offset;
    struct extent e;
    int found = extents_next(stream, &e);

    if (found < 0)
        return found;
    *length = (size_t)min_u64(*length, e.length);
    if (e.kind == EXTENT_DATA && (e.flags & EXTENT_COMPRESSED))
        return read_compressed(disk, offset, bytes, *length);
    if (e.kind == EXTENT_DATA)
        return read_plain(disk, e.host, bytes, *length);
    memset(bytes, 0, *length);
    return 0;
}

int disk_read(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    uint64_t end = offset < disk->virtual_size
                       ? offset + min_u64(length, disk->virtual_size - offset)
                       : offset;
    struct extents stream;
    int error = extents_begin(&stream, disk, EXTENTS_WANT_HOST);

    memset(bytes + (end - offset), 0, length - (size_t)(end - offset));
    extents_seek(&stream, offset);
    while (!error && stream.offset < end) {
        uint64_t at = stream.offset;
        size_t n = (size_t)(end - at);

        error = read_extent(disk, &stream, bytes + (at - offset), &n);
    }
    return error;
}
