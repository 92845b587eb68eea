// SPDX-License-Identifier: Apache-2.0
/* The tree: nodes[] is filled from the tables, and found by path and by name. */
#include "nodes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "detect/content.h"
#include "formats/format.h"

enum { PATH_BYTES = 128 }; /* no node's path is longer, with its terminator */

static struct node all[NODES_MAX + 1]; /* nodes[]; the last one stays empty */
static size_t count;
static char paths[NODES_MAX * 40]; /* strings: the paths of header fields */
static size_t paths_used;

/* Hash table with linear probing, by path: 1 + the index in all[], or 0. At most half full, so that
 * probing is short and ends. */
enum { SLOTS = 2048 };
static uint16_t slots[SLOTS];
_Static_assert(SLOTS >= 2 * NODES_MAX, "the hash table may be at most half full");

const struct node *const nodes = all;

/* The slot of the node with the path, or the empty slot for it. */
static uint16_t *find_slot(const char *path)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    size_t i;

    for (const char *c = path; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    for (i = hash % SLOTS; slots[i]; i = (i + 1) % SLOTS)
        if (strcmp(all[slots[i] - 1].path, path) == 0)
            break;
    return &slots[i];
}

/* Adds a node to the directory parent; slot: the empty slot for its path. */
static const struct node *add(const struct node *node, const struct node *parent, uint16_t *slot)
{
    struct node *added = &all[count++];

    assert(count <= NODES_MAX);
    *added = *node;
    added->parent = parent;
    added->is_numbered = strchr(node->path, '#') != NULL;
    *slot = (uint16_t)count;
    return added;
}

/* Adds a row of the table, whose directory has been added. */
static void add_row(const struct node *row)
{
    const char *slash = strrchr(row->path, '/');
    char parent[PATH_BYTES];

    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - row->path) : 0, row->path);
    add(row, count ? node_by_path(parent) : NULL, find_slot(row->path));
}

/* Adds a node called name to a directory, unless it has one. A field that is a number in some
 * formats and text in others becomes a string. */
static const struct node *add_header_node(const struct node *directory, const char *name,
                                          struct node node)
{
    char *path = paths + paths_used;
    size_t before = strlen(directory->path), length = strlen(name);
    uint16_t *slot;

    assert(before + length + 2 <= PATH_BYTES && paths_used + PATH_BYTES <= sizeof paths);
    memcpy(path, directory->path, before);
    path[before] = '/';
    memcpy(path + before + 1, name, length + 1);
    slot = find_slot(path);
    if (*slot) {
        struct node *known = &all[*slot - 1];

        if (known->kind != node.kind)
            known->kind = KIND_STRING;
        return known;
    }
    paths_used += before + length + 2;
    node.path = path;
    return add(&node, directory, slot);
}

static enum kind kind_of(const struct field *field)
{
    return field->print == field_be || field->print == field_le ? KIND_NUMBER : KIND_STRING;
}

/* Adds the fields of the sections as files like the template; after: the path of a file of the same
 * pass, for the directories. */
static void add_sections(const struct header_section *sections, const struct node *template,
                         const char *after)
{
    const struct node directory = {.after = after};
    struct node file = *template;

    for (const struct header_section *p = sections; p && p->fields; p++) {
        const struct node *in = node_by_path("header");

        assert(p - sections < HEADER_SECTIONS_MAX);
        if (*p->directory)
            in = add_header_node(in, p->directory, directory);
        for (size_t i = 0; i < p->count; i++) {
            file.kind = kind_of(&p->fields[i]);
            add_header_node(in, p->fields[i].name, file);
        }
    }
}

void nodes_begin(void)
{
    if (count)
        return;
    for (const struct node *row = node_table; row->path; row++)
        add_row(row);
    for (const struct format_driver *const *f = formats; *f; f++)
        add_sections((*f)->sections, &header_field_template, "format");
    add_sections(content_sections, &content_field_template, "content");
}

size_t nodes_count(void)
{
    return count;
}

size_t node_index(const struct node *node)
{
    return (size_t)(node - nodes);
}

const struct node *node_by_path(const char *path)
{
    size_t slot = *find_slot(path);

    return slot ? &all[slot - 1] : NULL;
}

const char *node_name(const struct node *node)
{
    const char *slash = strrchr(node->path, '/');

    return slash ? slash + 1 : node->path;
}

bool node_is_directory(const struct node *node)
{
    return !node->render && !node->show;
}

bool node_has_numbers(const struct node *node)
{
    return node->count || node->lists != VIEW_WHOLE;
}

const struct node *node_counter(const struct node *node)
{
    while (!node_has_numbers(node))
        node = node->parent;
    return node;
}

bool node_is_in(const struct node *node, const struct node *directory)
{
    return node->parent == directory;
}

/* The node called name in a directory, or NULL. */
static const struct node *node_in(const struct node *directory, const char *name)
{
    char path[PATH_BYTES];
    int length =
        snprintf(path, sizeof path, "%s%s%s", directory->path, *directory->path ? "/" : "", name);

    if (!*name || strchr(name, '/') || (size_t)length >= sizeof path)
        return NULL;
    return node_by_path(path);
}

/* Parses the name of a numbered entry: decimal, without sign or leading zeros. */
static bool parse_number(const char *name, uint32_t *number)
{
    uint64_t value = 0;
    const char *c = name;

    for (; *c >= '0' && *c <= '9' && value < NUMBERS_MAX; c++)
        value = 10 * value + (uint64_t)(*c - '0');
    *number = (uint32_t)value;
    return *name && !*c && value < NUMBERS_MAX && (name[0] != '0' || !name[1]);
}

bool place_in(const struct place *directory, const char *name, struct place *place)
{
    uint32_t number = directory->number;
    const struct node *node = strcmp(name, "#") != 0 ? node_in(directory->node, name) : NULL;

    if (!node && parse_number(name, &number))
        node = node_in(directory->node, "#");
    if (!node || (directory->view && node->only_whole))
        return false;
    if (node->enters != VIEW_WHOLE)
        *place = (struct place){.view = view_named(node->enters, number), .node = nodes};
    else
        *place = (struct place){
            .view = directory->view, .number = node->is_numbered ? number : 0, .node = node};
    return true;
}

bool place_by_path(const char *path, struct place *place)
{
    char name[PATH_BYTES];

    *place = (struct place){.node = nodes};
    while (*path) {
        size_t length = strcspn(path, "/");
        const struct place directory = *place;

        if (length >= sizeof name)
            return false;
        memcpy(name, path, length);
        name[length] = '\0';
        if (!place_in(&directory, name, place))
            return false;
        path += length + (path[length] == '/');
    }
    return true;
}

void place_path(const struct place *place, char *out)
{
    const char *path = place->node->path, *number = strchr(path, '#');
    int used = (int)view_path(place->view, out, PLACE_PATH_BYTES);

    if (used && *path)
        out[used++] = '/';
    if (number)
        snprintf(out + used, (size_t)(PLACE_PATH_BYTES - used), "%.*s%u%s", (int)(number - path),
                 path, place->number, number + 1);
    else
        snprintf(out + used, (size_t)(PLACE_PATH_BYTES - used), "%s", path);
}

bool place_is_possible(const struct place *place)
{
    return place->number < (place->node->is_numbered ? NUMBERS_MAX : 1) &&
           place->set < (place->node->target ? 1 + OPTION_SETS_MAX : 1);
}

/* No node has both numbered entries and options. */
_Static_assert(OPTION_SETS_MAX < NUMBERS_MAX, "an index is less than NUMBERS_MAX");
uint32_t place_index(const struct place *place)
{
    return place->node->is_numbered ? place->number : place->set;
}

uint64_t place_ino(const struct place *place)
{
    return 1 + node_index(place->node) +
           NODES_MAX * (place_index(place) + (uint64_t)NUMBERS_MAX * view_index(place->view));
}
