// SPDX-License-Identifier: Apache-2.0
/*
 * The resource fork in which older DMGs list their chunks (Apple, Inside Macintosh: More Macintosh
 * Toolbox, 1-121). Big endian. As in qemu, the resources are read one after the other, without the
 * resource map, which has their types: those that begin like a block table are block tables.
 */
#include "fork.h"

#include <errno.h>

#include "formats/bytes.h"
#include "formats/checked.h"

enum { FORK_HEADER_BYTES = 16, FORK_DATA_OFFSET = 0, FORK_DATA_LENGTH = 8, LENGTH_BYTES = 4 };

int dmg_fork_begin(struct dmg_fork *f, struct image *img, struct image_window *window,
                   uint64_t offset, uint64_t length)
{
    const uint8_t *header;
    uint64_t data_offset, data_length;
    int error = image_get(img, offset, FORK_HEADER_BYTES, &header);

    if (error)
        return error;
    data_offset = be32(header + FORK_DATA_OFFSET);
    data_length = be32(header + FORK_DATA_LENGTH);
    if (data_length == 0 || data_offset > length || data_length > length - data_offset)
        return image_fail(img, EUCLEAN,
                          "dmg: resource data of %llu bytes at %llu is empty or not in the "
                          "resource fork of %llu bytes",
                          (unsigned long long)data_length, (unsigned long long)data_offset,
                          (unsigned long long)length);
    *f = (struct dmg_fork){.img = img, .window = window, .at = offset + data_offset};
    f->end = f->at + data_length;
    return 0;
}

int dmg_fork_next(struct dmg_fork *f)
{
    const uint8_t *bytes;
    int error;

    f->at += f->left;
    f->left = 0;
    if (f->at == f->end)
        return 0;
    if (f->end - f->at < LENGTH_BYTES)
        return image_fail(f->img, EUCLEAN,
                          "dmg: %llu bytes after the last resource are too few for another",
                          (unsigned long long)(f->end - f->at));
    error = image_window_ahead(f->img, f->window, f->at, LENGTH_BYTES, f->end - f->at, &bytes);
    if (error)
        return error;
    f->at += LENGTH_BYTES;
    f->left = be32(bytes);
    if (f->left == 0 || f->left > f->end - f->at)
        return image_fail(f->img, EUCLEAN,
                          "dmg: resource of %llu bytes at offset %llu is empty or ends past the "
                          "resource data",
                          (unsigned long long)f->left, (unsigned long long)f->at);
    return 1;
}

int dmg_fork_read(struct dmg_fork *f, uint8_t *bytes, size_t wanted, size_t *got)
{
    const uint8_t *from;
    int error;

    *got = (size_t)min_u64(wanted, f->left);
    if (!*got)
        return 0;
    error = image_window_ahead(f->img, f->window, f->at, *got, f->end - f->at, &from);
    if (error)
        return error;
    memcpy(bytes, from, *got);
    f->at += *got;
    f->left -= *got;
    return 0;
}
