// SPDX-License-Identifier: Apache-2.0
/*
 * The table of the tree. A new file is a row here and a render function. The files in header/ are
 * rows of the formats' own tables; fields of several formats that are called alike are one file.
 */
#include "nodes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "render.h"

enum { PATH_BYTES = 128 }; /* no path is longer */

static const struct node table[] = {
    {"", PASS_DIRECTORY, NULL, NULL, NULL, NULL},
    {"format", PASS_HEADER, render_format, NULL, NULL, NULL},
    {"subformat", PASS_HEADER, render_subformat, NULL, NULL, NULL},
    {"virtual_size", PASS_HEADER, render_virtual_size, NULL, NULL, NULL},
    {"content", PASS_CONTENT, render_content, NULL, NULL, NULL},
    {"file_size", PASS_STATUS, render_file_size, NULL, NULL, NULL},
    {"disk_size", PASS_STATUS, render_disk_size, NULL, NULL, NULL},
    {"allocated_size", PASS_SCAN, render_allocated_size, NULL, NULL, NULL},
    {"candidates", PASS_HEADER, render_candidates, NULL, NULL, NULL},
    {"measure", PASS_DIRECTORY, NULL, NULL, NULL, NULL},
    {"measure/raw", PASS_HEADER, render_measure, "raw", NULL, NULL},
    {"measure/raw.json", PASS_HEADER, render_measure_json, "raw", NULL, NULL},
    {"measure/qcow2", PASS_MEASURE, render_measure, "qcow2", NULL, NULL},
    {"measure/qcow2.json", PASS_MEASURE, render_measure_json, "qcow2", NULL, NULL},
    {"problems", PASS_STATUS, render_problems, NULL, "format", NULL},
    {"status", PASS_DIRECTORY, NULL, NULL, NULL, NULL},
    {"status/version", PASS_STATUS, render_version, NULL, NULL, NULL},
    {"status/image", PASS_STATUS, render_image, NULL, NULL, NULL},
    {"status/options", PASS_STATUS, render_options, NULL, NULL, NULL},
    {"status/bytes_read", PASS_STATUS, render_bytes_read, NULL, NULL, NULL},
    {"header", PASS_DIRECTORY, NULL, NULL, NULL, NULL},
};

static struct node all[NODES_MAX + 1]; /* the last ends them */
static size_t count;
static char paths[NODES_MAX * 40]; /* of the header fields, one behind the other */
static size_t paths_used;

/* Nodes by a hash of their paths: 1 + index, 0 where nothing is; twice the room that is needed, so
 * that a search ends soon. */
enum { SLOTS = 2048 };
static uint16_t slots[SLOTS];
_Static_assert(SLOTS >= 2 * NODES_MAX, "a search of the hash table might not end");

const struct node *const nodes = all;

/* The slot of the node with that path, or the empty one where it would be. */
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

/* Adds a node that is in parent; slot: the one of its path, where nothing is yet. */
static const struct node *add(const struct node *node, const struct node *parent, uint16_t *slot)
{
    struct node *added = &all[count++];

    assert(count <= NODES_MAX);
    *added = *node;
    added->parent = parent;
    *slot = (uint16_t)count;
    return added;
}

/* Adds a row of the table; its directory is there already. */
static void add_row(const struct node *row)
{
    const char *slash = strrchr(row->path, '/');
    char parent[PATH_BYTES];

    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - row->path) : 0, row->path);
    add(row, count ? node_by_path(parent) : NULL, find_slot(row->path));
}

/* Adds what is called name in directory, unless it is there. Returns it. */
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
    if (*slot)
        return &all[*slot - 1];
    paths_used += before + length + 2;
    node.path = path;
    return add(&node, directory, slot);
}

/* Adds the fields of the parts, all of which pass tells; after is a file that it tells, too. */
static void add_parts(const struct header_part *parts, enum pass pass, const char *after)
{
    const struct node directory = {.pass = PASS_DIRECTORY, .after = after};
    const struct node file = {
        .pass = pass,
        .render = pass == PASS_HEADER ? render_header_field : render_content_field,
    };

    for (const struct header_part *p = parts; p && p->fields; p++) {
        const struct node *in = node_by_path("header");

        assert(p - parts < HEADER_PARTS_MAX);
        if (*p->directory)
            in = add_header_node(in, p->directory, directory);
        for (size_t i = 0; i < p->count; i++)
            add_header_node(in, p->fields[i].name, file);
    }
}

void nodes_begin(void)
{
    if (count)
        return;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        add_row(&table[i]);
    for (const struct format_driver *const *f = formats; *f; f++)
        add_parts((*f)->parts, PASS_HEADER, "format");
    add_parts(content_parts, PASS_CONTENT, "content");
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

bool node_is_in(const struct node *node, const struct node *directory)
{
    return node->parent == directory;
}

const struct node *node_in(const struct node *directory, const char *name)
{
    char path[PATH_BYTES];
    int length =
        snprintf(path, sizeof path, "%s%s%s", directory->path, *directory->path ? "/" : "", name);

    if (!*name || strchr(name, '/') || (size_t)length >= sizeof path)
        return NULL;
    return node_by_path(path);
}
