// SPDX-License-Identifier: Apache-2.0
/* Options in the names of files. */
#include "option-sets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/targets/options.h"

static const char json[] = ".json";

/* Splits TARGET,OPTIONS[.json]: writes TARGET[.json] to out, returns OPTIONS, and sets *length to
 * their bytes. NULL: there are no options. */
static const char *split_name(const char *name, char out[OPTION_NAME_BYTES], size_t *length)
{
    size_t whole = strlen(name), target = strcspn(name, ",");
    bool is_json = whole > strlen(json) && strcmp(name + whole - strlen(json), json) == 0;

    if (!name[target] || whole >= OPTION_NAME_BYTES)
        return NULL;
    snprintf(out, OPTION_NAME_BYTES, "%.*s%s", (int)target, name, is_json ? json : "");
    *length = whole - (is_json ? strlen(json) : 0) - (target + 1);
    return name + target + 1;
}

static bool is_same_set(const struct option_set *a, const struct option_set *b)
{
    return a->directory == b->directory && a->target == b->target &&
           target_options_equal(&a->options, &b->options);
}

/* Makes room for one more set. Returns 0 or -ENOMEM. */
static int make_room(struct option_sets *sets)
{
    uint32_t room = sets->room ? 2 * sets->room : 16;
    struct option_set *items;

    if (sets->count < sets->room)
        return 0;
    items = realloc(sets->items, room * sizeof *items);
    if (!items)
        return -ENOMEM;
    sets->items = items;
    sets->room = room;
    return 0;
}

/* Puts the set at a free index, or at the end. Returns 0 or -ENOMEM. */
static int add_set(struct option_sets *sets, uint32_t index, const struct option_set *set,
                   const char *name)
{
    char *copy = strdup(name);

    if (!copy || (index == sets->count && make_room(sets))) {
        free(copy);
        return -ENOMEM;
    }
    sets->count += index == sets->count;
    sets->items[index] = *set;
    sets->items[index].name = copy;
    return 0;
}

/* Sets *number to that of the set, which is added if it is new. Returns 0, or -ENOSPC or -ENOMEM
 * with a message in why. */
static int number_of(struct option_sets *sets, const struct option_set *set, const char *name,
                     uint32_t *number, struct reason *why)
{
    uint32_t index = sets->count;

    for (uint32_t i = 0; i < sets->count; i++) {
        *number = i + 1;
        if (is_same_set(&sets->items[i], set))
            return 0;
        if (!sets->items[i].target && index == sets->count)
            index = i;
    }
    if (index >= OPTION_SETS_MAX)
        return target_refuse(why, ENOSPC, "all %d option sets are in use", OPTION_SETS_MAX);
    *number = index + 1;
    return add_set(sets, index, set, name) ? target_refuse(why, ENOMEM, "out of memory") : 0;
}

int option_sets_place(struct option_sets *sets, const struct place *directory, const char *name,
                      struct place *place, struct reason *why)
{
    struct option_set set = {.directory = directory->node};
    char plain[OPTION_NAME_BYTES], text[OPTION_NAME_BYTES];
    size_t length;
    const char *options = split_name(name, plain, &length);
    int error;

    if (!options || !place_in(directory, plain, place) || !place->node->target)
        return -ENOENT;
    set.target = place->node->target;
    snprintf(text, sizeof text, "%.*s", (int)length, options);
    error = directory->node->parse(set.target, text, &set.options, why);
    if (error || target_options_equal(&set.options, &set.target->defaults))
        return error;
    return number_of(sets, &set, name, &place->set, why);
}

int option_sets_path(struct option_sets *sets, const char *path, struct place *place,
                     struct reason *why)
{
    const char *slash = strrchr(path, '/');
    char parent[PLACE_PATH_BYTES];
    struct place directory;

    if (place_by_path(path, place))
        return 0;
    if (!slash || slash - path >= PLACE_PATH_BYTES)
        return -ENOENT;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    if (!place_by_path(parent, &directory))
        return -ENOENT;
    return option_sets_place(sets, &directory, slash + 1, place, why);
}

void option_sets_reclaim(struct option_sets *sets, bool (*is_used)(void *context, uint32_t number),
                         void *context)
{
    for (uint32_t i = 0; i < sets->count; i++) {
        if (is_used(context, i + 1))
            continue;
        free(sets->items[i].name);
        sets->items[i] = (struct option_set){.target = NULL};
    }
}

bool option_sets_has(const struct option_sets *sets, uint32_t number)
{
    return number && number <= sets->count && sets->items[number - 1].target;
}

const struct option_set *option_sets_get(const struct option_sets *sets, uint32_t number)
{
    return number ? &sets->items[number - 1] : NULL;
}

void option_sets_end(struct option_sets *sets)
{
    for (uint32_t i = 0; i < sets->count; i++)
        free(sets->items[i].name);
    free(sets->items);
    *sets = (struct option_sets){.items = NULL};
}
