// SPDX-License-Identifier: Apache-2.0
/* Which places exist, by the node table and the known results. */
#include "presence.h"

#include <errno.h>

struct place presence_decider(const struct place *place)
{
    const char *after = place->node->after;

    return after ? (struct place){.view = place->view, .node = node_by_path(after)} : *place;
}

/* The place of a node in a directory. */
static struct place entry_of(const struct place *directory, const struct node *node)
{
    return (struct place){.view = directory->view, .number = directory->number, .node = node};
}

/* Whether a pass yields the files of another one, and more. */
static bool yields_more(enum pass_id pass, enum pass_id than)
{
    return pass != than && (passes[pass].yields & PASS_BIT(than) || !than);
}

struct place presence_listing_decider(const struct place *directory)
{
    struct place needed = *directory;

    for (const struct node *n = nodes; n->path; n++) {
        const struct place entry = entry_of(directory, n);
        struct place decider = presence_decider(&entry);

        if ((n->after || passes[n->pass].shapes_listings) && node_is_in(n, directory->node) &&
            yields_more(decider.node->pass, needed.node->pass))
            needed = decider;
    }
    return needed;
}

uint32_t presence_entries(const struct mounted *m, const struct place *directory)
{
    const struct view *view = views_find(&m->views, directory->view);

    if (directory->node->lists != VIEW_WHOLE)
        return view_count(directory->node->lists, &m->layers);
    return view ? results_count(&view->results, directory->node) : 0;
}

/* Whether a numbered node is in a directory that is known to have fewer entries. */
static bool is_past_entries(const struct mounted *m, const struct place *place)
{
    const struct node *node = place->node;
    const struct place counter = {.view = place->view, .node = node_counter(node)},
                       parent = {.view = place->view, .node = node->parent},
                       decider = presence_decider(&parent);

    return views_know(&m->views, &decider) && place->number >= presence_entries(m, &counter);
}

static bool has_entries(const struct mounted *m, const struct place *directory)
{
    for (const struct node *n = nodes; n->path; n++) {
        const struct place entry = entry_of(directory, n);

        if (node_is_in(n, directory->node) && !presence_is_absent(m, &entry))
            return true;
    }
    return false;
}

bool presence_is_absent(const struct mounted *m, const struct place *place)
{
    const struct node *node = place->node, *parent = node->parent;

    if (place->view && node->only_whole)
        return true;
    if (node->is_numbered && !node_has_numbers(parent) && is_past_entries(m, place))
        return true;
    if (!node_is_directory(node)) {
        const struct result *result = views_result(&m->views, place);

        return result && result->error == -ENOENT;
    }
    if (parent && node_has_numbers(parent))
        return place->number >=
               presence_entries(m, &(struct place){.view = place->view, .node = parent});
    if (node_has_numbers(node) && (node->after || node->only_whole))
        return !presence_entries(m, place);
    return node->after && !has_entries(m, place);
}

uint64_t presence_count(const struct mounted *m)
{
    uint64_t count = 0;

    for (const struct node *n = nodes; n->path; n++)
        if (n->is_numbered)
            count += presence_entries(m, &(struct place){.node = node_counter(n)});
        else
            count += !presence_is_absent(m, &(struct place){.node = n});
    return count;
}
