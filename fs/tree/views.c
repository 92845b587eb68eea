// SPDX-License-Identifier: Apache-2.0
/* The views of an image that are in use: a sorted array. */
#include "views.h"

#include <stdlib.h>
#include <string.h>

#include "limits.h"

/* The index of the first entry whose name is not smaller. */
static size_t find_index(const struct views *views, uint32_t name)
{
    size_t low = 0, high = views->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (views->items[middle]->name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct view *views_find(const struct views *views, uint32_t name)
{
    size_t index = find_index(views, name);

    return index < views->count && views->items[index]->name == name ? views->items[index] : NULL;
}

static void forget(struct view *view)
{
    results_forget(&view->results);
    text_free(&view->problems);
    memset(view->failures, 0, sizeof view->failures);
}

/* The index of the least recently used entry that may be evicted; views->count: none may. The
 * whole image is kept, and so is a view with processes, which are counted in it until reaped. */
static size_t find_idle(const struct views *views)
{
    size_t found = views->count;

    for (size_t i = 0; i < views->count; i++) {
        const struct view *view = views->items[i];

        if (view->name && !view->holds && !view->processes &&
            (found == views->count || view->used < views->items[found]->used))
            found = i;
    }
    return found;
}

static void evict(struct views *views)
{
    while (views->count >= VIEWS_KEPT) {
        size_t index = find_idle(views);

        if (index == views->count)
            return;
        forget(views->items[index]);
        free(views->items[index]);
        views->count--;
        memmove(views->items + index, views->items + index + 1,
                (views->count - index) * sizeof *views->items);
    }
}

/* Makes room for one more entry. false: out of memory. */
static bool make_room(struct views *views)
{
    size_t room = views->room ? 2 * views->room : 4;
    struct view **items;

    evict(views);
    if (views->count < views->room)
        return true;
    items = realloc(views->items, room * sizeof(struct view *));
    if (!items)
        return false;
    views->items = items;
    views->room = room;
    return true;
}

struct view *views_get(struct views *views, uint32_t name)
{
    struct view *view = views_find(views, name);
    size_t index;

    if (!view) {
        view = make_room(views) ? calloc(1, sizeof *view) : NULL;
        if (!view)
            return NULL;
        index = find_index(views, name);
        memmove(views->items + index + 1, views->items + index,
                (views->count - index) * sizeof *views->items);
        views->items[index] = view;
        views->count++;
        view->name = name;
    }
    view->used = ++views->clock;
    return view;
}

struct result *views_result(const struct views *views, const struct place *place)
{
    const struct view *view = views_find(views, place->view);

    return view ? results_get(&view->results, place) : NULL;
}

bool views_know(const struct views *views, const struct place *place)
{
    return !place->node->pass || views_result(views, place);
}

void views_forget(struct views *views)
{
    for (size_t i = 0; i < views->count; i++)
        forget(views->items[i]);
}

void views_end(struct views *views)
{
    for (size_t i = 0; i < views->count; i++) {
        forget(views->items[i]);
        free(views->items[i]);
    }
    free(views->items);
    *views = (struct views){.items = NULL};
}

void view_add_problems(struct view *view, const struct text *lines, size_t most)
{
    if (view->problems.length + lines->length <= most)
        text_add_lines_once(&view->problems, lines->bytes, lines->length);
}

void view_forget_task(struct view *view, const struct task *task)
{
    for (const struct node *n = nodes; n->path; n++) {
        const struct place place = {
            .view = task->view, .set = n->target ? task->set : 0, .node = n};

        if (task_may_yield(task, &place) || (n->count && task_yields_headers(task)))
            results_forget_node(&view->results, n);
    }
}

uint64_t view_bytes_read(const struct view *view)
{
    uint64_t bytes = 0;

    for (enum pass_id pass = PASS_NONE; pass < PASSES; pass++)
        bytes += view->costs[pass].bytes;
    return bytes;
}
