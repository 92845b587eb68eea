// SPDX-License-Identifier: Apache-2.0
/* Lists of references that own what the references point to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layers.h"

/* Returns a copy with a NUL at its end; NULL for NULL, and without memory. */
static char *copy_bytes(const char *bytes, size_t length)
{
    char *copy = bytes ? malloc(length + 1) : NULL;

    if (copy) {
        memcpy(copy, bytes, length);
        copy[length] = '\0';
    }
    return copy;
}

static char *copy_string(const char *string)
{
    return string ? strdup(string) : NULL;
}

static void reference_free(struct reference *r)
{
    free((char *)(uintptr_t)r->kind);
    free((char *)(uintptr_t)r->source);
    free((char *)(uintptr_t)r->format);
    free((char *)(uintptr_t)r->path);
}

int reference_list_add(struct reference_list *list, const struct reference *reference)
{
    struct reference *r;

    if (list->count == REFERENCES_MAX || reference->length > REFERENCES_BYTES_MAX - list->bytes)
        return -EFBIG;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 8;
        struct reference *items = realloc(list->items, room * sizeof *items);

        if (!items)
            return -ENOMEM;
        list->items = items;
        list->room = room;
    }
    r = &list->items[list->count];
    *r = *reference;
    r->kind = copy_string(reference->kind);
    r->source = copy_string(reference->source);
    r->format = copy_string(reference->format);
    r->path = copy_bytes(reference->path, reference->length);
    if (!r->kind || !r->source || !r->path || (reference->format && !r->format)) {
        reference_free(r);
        return -ENOMEM;
    }
    list->count++;
    list->bytes += r->length;
    return 0;
}

void reference_list_end(struct reference_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        reference_free(&list->items[i]);
    free(list->items);
    *list = (struct reference_list){.items = NULL};
}
