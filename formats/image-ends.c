// SPDX-License-Identifier: Apache-2.0
/* The reading session: head and tail of the file, and what is past its end. */
#include <errno.h>
#include <string.h>

#include "checked.h"
#include "image.h"

int image_head(struct image *img, const uint8_t **bytes)
{
    return image_get(img, 0, IMAGE_HEAD_BYTES, bytes);
}

int image_tail(struct image *img, const uint8_t **bytes)
{
    uint64_t size = image_size(img);
    const uint8_t *whole;
    uint8_t *tail;
    int error;

    if (size >= IMAGE_TAIL_BYTES)
        return image_get(img, size - IMAGE_TAIL_BYTES, IMAGE_TAIL_BYTES, bytes);
    error = image_get(img, 0, (size_t)size, &whole);
    if (error)
        return error;
    tail = image_alloc(img, IMAGE_TAIL_BYTES);
    if (!tail)
        return -ENOMEM;
    memcpy(tail + IMAGE_TAIL_BYTES - size, whole, (size_t)size);
    *bytes = tail;
    return 0;
}

bool image_holds(const struct image *img, uint64_t offset, uint64_t length)
{
    uint64_t end;

    return checked_add(offset, length, &end) && end <= image_size(img);
}

int image_require(struct image *img, uint64_t offset, uint64_t length, const char *what)
{
    if (image_holds(img, offset, length))
        return 0;
    image_is_first_truncation(img);
    return image_fail(img, EUCLEAN, "%s (%llu bytes at offset %llu) %s past the end of the file",
                      what, (unsigned long long)length, (unsigned long long)offset,
                      offset < image_size(img) ? "ends" : "is");
}
