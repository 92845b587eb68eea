// SPDX-License-Identifier: Apache-2.0
/* The numbers of views: the kind in the upper 8 bits, the number within the kind in the others. */
#include "view.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_BITS = 24, NUMBER_MASK = (1 << NUMBER_BITS) - 1 };

/* The kinds of views. */
static const struct {
    const char *path; /* of the directory that holds their roots */
    bool is_layer;    /* the number is that of a layer */
    uint32_t first;   /* view_index() of its first view */
} kinds[VIEW_KINDS] = {
    [VIEW_WHOLE] = {.path = ""},
    [VIEW_LAYER] = {.path = "layers", .is_layer = true, .first = 1},
};

uint32_t view_named(enum view_kind kind, uint32_t number)
{
    return (uint32_t)kind << NUMBER_BITS | (number & NUMBER_MASK);
}

enum view_kind view_kind(uint32_t view)
{
    return (enum view_kind)(view >> NUMBER_BITS);
}

uint32_t view_number(uint32_t view)
{
    return view & NUMBER_MASK;
}

uint32_t view_index(uint32_t view)
{
    return kinds[view_kind(view)].first + view_number(view);
}

unsigned view_layer(uint32_t view)
{
    return kinds[view_kind(view)].is_layer ? view_number(view) : 0;
}

uint32_t view_count(enum view_kind kind, const struct layers *layers)
{
    if (kind == VIEW_WHOLE)
        return 1;
    return layers->count > 1 ? layers->count : 0;
}

/* Layer 0 exists even if it is the only one: a job finds its references before the layers are
 * known. */
bool view_exists(uint32_t view, const struct layers *layers)
{
    uint32_t kind = view >> NUMBER_BITS;

    if (kind >= VIEW_KINDS)
        return false;
    return kinds[kind].is_layer ? view_number(view) < layers->count : view == 0;
}

struct open_options view_options(uint32_t view, const struct layers *layers,
                                 const struct open_options *options)
{
    const struct layer *layer = &layers->items[view_layer(view)];
    struct open_options o = *options;

    o.alone |= kinds[view_kind(view)].is_layer;
    if (view_layer(view) > 0) {
        o.format = layer->format;
        o.name = strrchr(layer->path, '/') + 1;
    }
    return o;
}

size_t view_path(uint32_t view, char *out, size_t size)
{
    int length = 0;

    *out = '\0';
    if (view_kind(view) != VIEW_WHOLE)
        length = snprintf(out, size, "%s/%u", kinds[view_kind(view)].path, view_number(view));
    return (size_t)length;
}
