// SPDX-License-Identifier: Apache-2.0
/* The reading session: tables of any length, through windows of bounded size. */
#include <errno.h>

#include "checked.h"
#include "image.h"

int image_window_begin(struct image *img, struct image_window *w, size_t capacity)
{
    *w = (struct image_window){.capacity = capacity, .bytes = image_alloc(img, capacity)};
    return w->bytes ? 0 : -ENOMEM;
}

static bool window_holds(const struct image_window *w, uint64_t offset, size_t length)
{
    return offset >= w->offset && offset - w->offset <= w->length &&
           length <= w->length - (offset - w->offset);
}

int image_window_at(struct image *img, struct image_window *w, uint64_t offset, size_t length,
                    const uint8_t **bytes)
{
    if (!window_holds(w, offset, length)) {
        int error;

        if (length > w->capacity)
            return image_fail(img, EFBIG, "%zu bytes of a table at offset %llu are more than %zu",
                              length, (unsigned long long)offset, w->capacity);
        w->length = 0;
        error = image_read(img, offset, length, w->bytes);
        if (error)
            return error;
        w->offset = offset;
        w->length = length;
    }
    *bytes = w->bytes + (offset - w->offset);
    return 0;
}

int image_window_ahead(struct image *img, struct image_window *w, uint64_t offset, size_t length,
                       uint64_t ahead, const uint8_t **bytes)
{
    if (!window_holds(w, offset, length))
        length = max_u64(length, min_u64(ahead, w->capacity));
    return image_window_at(img, w, offset, length, bytes);
}

int image_table_at(struct image *img, struct image_table *table, uint64_t index,
                   const uint8_t **bytes, uint64_t *count)
{
    uint64_t per_piece = image_window_share(img, IMAGE_TABLE_PIECE) / table->entry_bytes;
    uint64_t first = index - index % per_piece;
    uint64_t here = min_u64(per_piece, table->entries - first);
    int error = 0;

    if (!table->window.bytes)
        error = image_window_begin(
            img, &table->window, (size_t)(min_u64(per_piece, table->entries) * table->entry_bytes));
    if (!error)
        error = image_window_at(img, &table->window, table->offset + first * table->entry_bytes,
                                (size_t)(here * table->entry_bytes), bytes);
    if (error)
        return error;
    *bytes += (index - first) * table->entry_bytes;
    *count = here - (index - first);
    return 0;
}
