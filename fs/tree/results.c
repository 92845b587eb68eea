// SPDX-License-Identifier: Apache-2.0
/* Results by node and number. */
#include "results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "option-sets.h"

/* What the allocator and the lists take per result, about. */
enum { OVERHEAD_BYTES = 32 };

size_t result_bytes(size_t length)
{
    return OVERHEAD_BYTES + sizeof(struct result) + length;
}

struct result *result_new(int error, const void *bytes, size_t length, uint64_t number)
{
    struct result *result = malloc(sizeof *result + length);

    if (!result)
        return NULL;
    *result = (struct result){.references = 1, .error = error, .number = number, .length = length};
    if (length)
        memcpy(result->bytes, bytes, length);
    return result;
}

struct result *result_hold(struct result *result)
{
    if (result)
        result->references++;
    return result;
}

void result_drop(struct result *result)
{
    if (result && --result->references == 0)
        free(result);
}

struct result *results_get(const struct results *results, const struct place *place)
{
    const struct result_list *list;

    if (!results->lists)
        return NULL;
    list = &results->lists[node_index(place->node)];
    return list->items && place_index(place) < list->count ? list->items[place_index(place)] : NULL;
}

/* Forgets one result; *item may be NULL. */
static void forget_item(struct results *results, struct result **item)
{
    if (*item)
        results->bytes -= result_bytes((*item)->length);
    result_drop(*item);
    *item = NULL;
}

/* The list of a node; NULL: out of memory. */
static struct result_list *list_of(struct results *results, const struct node *node)
{
    if (!results->lists)
        results->lists = calloc(nodes_count(), sizeof *results->lists);
    return results->lists ? &results->lists[node_index(node)] : NULL;
}

/* Makes room for an index. Most nodes have only index 0. Returns 0 or -ENOMEM. */
static int make_room(struct result_list *list, uint32_t index)
{
    uint32_t room = index ? 2 * index + 8 : 1;
    struct result **items;

    if (index < list->room)
        return 0;
    items = realloc(list->items, room * sizeof(struct result *));
    if (!items)
        return -ENOMEM;
    memset(items + list->room, 0, (room - list->room) * sizeof(struct result *));
    list->items = items;
    list->room = room;
    return 0;
}

int results_put(struct results *results, const struct place *place, struct result *result)
{
    struct result_list *list = list_of(results, place->node);
    uint32_t index = place_index(place);
    int error = list ? 0 : -ENOMEM;

    if (!place_is_possible(place) || node_is_directory(place->node))
        error = -EPROTO;
    if (!error)
        error = make_room(list, index);
    if (error) {
        result_drop(result);
        return error;
    }
    forget_item(results, &list->items[index]);
    list->items[index] = result;
    results->bytes += result_bytes(result->length);
    if (index >= list->count)
        list->count = index + 1;
    return 0;
}

uint32_t results_count(const struct results *results, const struct node *directory)
{
    return results->lists && directory->count ? results->lists[node_index(directory)].count : 0;
}

int results_set_count(struct results *results, const struct place *directory, uint32_t count)
{
    struct result_list *list = list_of(results, directory->node);

    if (!directory->node->count || count > NUMBERS_MAX)
        return -EPROTO;
    if (!list)
        return -ENOMEM;
    list->count = count;
    return 0;
}

static void forget_list(struct results *results, struct result_list *list)
{
    for (uint32_t i = 0; list->items && i < list->count; i++)
        forget_item(results, &list->items[i]);
    free(list->items);
    *list = (struct result_list){.items = NULL};
}

/* Moves the results of a node. Returns 0 or -ENOMEM. */
static int move_list(struct results *to, struct result_list *from, const struct node *node)
{
    int error = 0;

    if (node->count && from->count)
        return results_set_count(to, &(struct place){.node = node}, from->count);
    for (uint32_t i = 0; i < from->count && !error; i++) {
        const struct place place = {
            .number = node->is_numbered ? i : 0, .set = node->is_numbered ? 0 : i, .node = node};
        struct result *result = from->items[i];

        if (!result || (result->error && results_get(to, &place)))
            continue;
        from->items[i] = NULL;
        error = results_put(to, &place, result);
    }
    return error;
}

int results_move(struct results *to, struct results *from)
{
    int error = 0;

    for (size_t i = 0; from->lists && i < nodes_count() && !error; i++)
        error = move_list(to, &from->lists[i], &nodes[i]);
    results_forget(from);
    return error;
}

void results_forget_sets(struct results *results, const struct option_sets *sets)
{
    for (size_t i = 0; results->lists && i < nodes_count(); i++) {
        struct result_list *list = &results->lists[i];

        for (uint32_t k = 1; nodes[i].target && k < list->count; k++) {
            if (!option_sets_has(sets, k))
                forget_item(results, &list->items[k]);
        }
    }
}

void results_forget_node(struct results *results, const struct node *node)
{
    if (results->lists)
        forget_list(results, &results->lists[node_index(node)]);
}

void results_forget(struct results *results)
{
    for (size_t i = 0; results->lists && i < nodes_count(); i++)
        forget_list(results, &results->lists[i]);
    free(results->lists);
    *results = (struct results){.lists = NULL};
}
