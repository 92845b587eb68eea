// SPDX-License-Identifier: Apache-2.0
/* What of the tree is there: the node table against what is known. */
#include "presence.h"

#include <errno.h>

struct result *tree_computed(const struct front *front, const struct place *place)
{
    return results_get(&front->jobs.views[place->view].results, place);
}

struct place tree_told_by(const struct place *place)
{
    const char *after = place->node->after;

    return after ? (struct place){.view = place->view, .node = node_by_path(after)} : *place;
}

/* That of its entries which is the latest. */
struct place tree_listed_after(const struct place *directory)
{
    struct place asked = *directory;

    for (const struct node *n = nodes; n->path; n++) {
        struct place teller = tree_told_by(&(struct place){directory->view, directory->number, n});

        if ((n->after || n->pass == PASS_HEADER) && node_is_in(n, directory->node) &&
            teller.node->pass > asked.node->pass)
            asked = teller;
    }
    return asked;
}

uint32_t tree_entries(const struct front *front, const struct place *directory)
{
    if (directory->node->of_mount) /* layers/: no pass tells */
        return front->layers.count > 1 ? front->layers.count : 0;
    return results_count(&front->jobs.views[directory->view].results, directory->node);
}

bool tree_is_absent(const struct front *front, const struct place *place)
{
    const struct node *node = place->node;

    if (place->view && node->of_mount)
        return true;
    if (node->is_numbered && !node->parent->count) {
        const struct place counter = {.view = place->view, .node = node_counter(node)};
        const struct place told = tree_told_by(&(struct place){place->view, 0, node->parent});

        if (jobs_is_known(&front->jobs, &told) && place->number >= tree_entries(front, &counter))
            return true;
    }
    if (node->pass != PASS_DIRECTORY) {
        const struct result *result = tree_computed(front, place);

        return result && result->error == -ENOENT;
    }
    if (node->parent && node->parent->count)
        return place->number >= tree_entries(front, &(struct place){place->view, 0, node->parent});
    if (node->count && (node->after || node->of_mount))
        return !tree_entries(front, place);
    if (!node->after)
        return false;
    for (const struct node *n = nodes; n->path; n++)
        if (node_is_in(n, node) &&
            !tree_is_absent(front, &(struct place){place->view, place->number, n}))
            return false;
    return true;
}

uint64_t tree_count(const struct front *front)
{
    uint64_t count = 0;

    for (const struct node *n = nodes; n->path; n++)
        if (n->is_numbered)
            count += tree_entries(front, &(struct place){.node = node_counter(n)});
        else
            count += !tree_is_absent(front, &(struct place){.node = n});
    return count;
}
