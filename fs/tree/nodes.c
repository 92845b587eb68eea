// SPDX-License-Identifier: Apache-2.0
/*
 * The table of the tree. A new file is a row here and a render function. The files in header/ are
 * rows of the formats' own tables; fields of several formats that are called alike are one file.
 */
#include "nodes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "formats/targets/options.h"
#include "render.h"

enum { PATH_BYTES = 128 }; /* no path is longer */

/* The two files of a target. */
#define FILES(directory, name, pass_, kind_, render_)                                              \
    {.path = directory name,                                                                       \
     .pass = (pass_),                                                                              \
     .kind = (kind_),                                                                              \
     .render = render_,                                                                            \
     .target = (name)},                                                                            \
    {                                                                                              \
        .path = directory name ".json", .pass = (pass_), .kind = KIND_JSON,                        \
        .render = render_##_json, .target = (name)                                                 \
    }
#define MEASURE(name, pass) FILES("measure/", name, pass, KIND_LINES, render_measure)
#define CONVERT(name, pass) FILES("convert_size/", name, pass, KIND_BYTES, render_convert_size)

static const struct node table[] = {
    {.path = "", .pass = PASS_DIRECTORY},
    {.path = "format", .pass = PASS_HEADER, .render = render_format},
    {.path = "subformat", .pass = PASS_HEADER, .render = render_subformat},
    {.path = "virtual_size",
     .pass = PASS_HEADER,
     .kind = KIND_BYTES,
     .render = render_virtual_size},
    {.path = "content", .pass = PASS_CONTENT, .render = render_content},
    {.path = "file_size", .pass = PASS_STATUS, .kind = KIND_BYTES, .render = render_file_size},
    {.path = "disk_size", .pass = PASS_STATUS, .kind = KIND_BYTES, .render = render_disk_size},
    {.path = "allocated_size",
     .pass = PASS_SCAN,
     .kind = KIND_BYTES,
     .render = render_allocated_size},
    {.path = "candidates", .pass = PASS_HEADER, .kind = KIND_LINES, .render = render_candidates},
    {.path = "measure", .pass = PASS_DIRECTORY, .parse = target_options_parse},
    MEASURE("raw", PASS_HEADER),
    MEASURE("qcow2", PASS_MEASURE),
    MEASURE("luks", PASS_HEADER),
    MEASURE("vmdk", PASS_MEASURE),
    MEASURE("vpc", PASS_MEASURE),
    MEASURE("vhdx", PASS_MEASURE),
    MEASURE("vdi", PASS_MEASURE),
    MEASURE("qed", PASS_MEASURE),
    MEASURE("parallels", PASS_MEASURE),
    MEASURE("qcow", PASS_SCAN),
    {.path = "convert_size", .pass = PASS_DIRECTORY, .parse = target_options_parse_conversion},
    CONVERT("raw", PASS_HEADER),
    CONVERT("qcow2", PASS_DATA),
    CONVERT("luks", PASS_HEADER),
    CONVERT("vmdk", PASS_DATA),
    CONVERT("vpc", PASS_DATA),
    CONVERT("vhdx", PASS_DATA),
    CONVERT("vdi", PASS_DATA),
    CONVERT("qed", PASS_DATA),
    CONVERT("parallels", PASS_DATA),
    CONVERT("qcow", PASS_DATA),
    {.path = "references", .pass = PASS_DIRECTORY, .count = count_references},
    {.path = "references/#", .pass = PASS_DIRECTORY, .after = "format"},
    {.path = "references/#/kind", .pass = PASS_HEADER, .render = render_reference_kind},
    {.path = "references/#/source", .pass = PASS_HEADER, .render = render_reference_source},
    {.path = "references/#/path", .pass = PASS_HEADER, .render = render_reference_path},
    {.path = "references/#/format", .pass = PASS_HEADER, .render = render_reference_format},
    {.path = "references/#/state", .pass = PASS_HEADER, .render = render_reference_state},
    {.path = "references/#/reason", .pass = PASS_HEADER, .render = render_reference_reason},
    {.path = "references/#/resolved", .pass = PASS_HEADER, .render = render_reference_resolved},
    {.path = "layers", .pass = PASS_DIRECTORY, .count = count_layers, .of_mount = true},
    {.path = "layers/#", .pass = PASS_DIRECTORY, .of_mount = true},
    {.path = "problems",
     .pass = PASS_STATUS,
     .kind = KIND_LINES,
     .render = render_problems,
     .after = "format"},
    {.path = "status", .pass = PASS_DIRECTORY, .of_mount = true},
    {.path = "status/version", .pass = PASS_STATUS, .render = render_version, .of_mount = true},
    {.path = "status/image", .pass = PASS_STATUS, .render = render_image, .of_mount = true},
    {.path = "status/options", .pass = PASS_STATUS, .render = render_options, .of_mount = true},
    {.path = "status/bytes_read",
     .pass = PASS_STATUS,
     .kind = KIND_BYTES,
     .render = render_bytes_read,
     .of_mount = true},
    {.path = "status/generation",
     .pass = PASS_STATUS,
     .kind = KIND_NUMBER,
     .render = render_generation,
     .of_mount = true},
    {.path = "status/in_use", .pass = PASS_STATUS, .render = render_in_use, .of_mount = true},
    {.path = "status/progress",
     .pass = PASS_STATUS,
     .kind = KIND_LINES,
     .render = render_lines,
     .of_mount = true},
    {.path = "status/jobs",
     .pass = PASS_STATUS,
     .kind = KIND_LINES,
     .render = render_lines,
     .of_mount = true},
    {.path = "status/passes",
     .pass = PASS_STATUS,
     .kind = KIND_LINES,
     .render = render_lines,
     .of_mount = true},
    {.path = "status/sandbox",
     .pass = PASS_STATUS,
     .kind = KIND_LINES,
     .render = render_lines,
     .of_mount = true},
    {.path = "header", .pass = PASS_DIRECTORY},
};

static const struct {
    const char *name;
    unsigned cpu_seconds;
} passes[PASSES] = {
    [PASS_HEADER] = {"header", 60},    [PASS_CONTENT] = {"content", 60},
    [PASS_MEASURE] = {"measure", 600}, [PASS_SCAN] = {"scan", 600},
    [PASS_DATA] = {"data", 6 * 3600}, /* some terabytes of compressed data */
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
static const struct node *layers_node; /* layers/# */

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
    added->is_numbered = strchr(node->path, '#') != NULL;
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

/* Adds what is called name in directory, unless it is there; a number in some formats and text in
 * others is a string. Returns it. */
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

/* Adds the fields of the sections, all of which pass tells; after is a file that it tells, too. */
static void add_sections(const struct header_section *sections, enum pass pass, const char *after)
{
    const struct node directory = {.pass = PASS_DIRECTORY, .after = after};
    struct node file = {
        .pass = pass,
        .render = pass == PASS_HEADER ? render_header_field : render_content_field,
    };

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
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        add_row(&table[i]);
    for (const struct format_driver *const *f = formats; *f; f++)
        add_sections((*f)->sections, PASS_HEADER, "format");
    add_sections(content_sections, PASS_CONTENT, "content");
    layers_node = node_by_path("layers/#");
}

const char *pass_name(enum pass pass)
{
    return passes[pass].name;
}

unsigned pass_cpu_seconds(enum pass pass)
{
    return passes[pass].cpu_seconds;
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

uint32_t node_numbers(const struct node *node)
{
    return node->is_numbered ? NUMBERS_MAX : node->target ? 1 + OPTION_SETS_MAX : 1;
}

const struct node *node_counter(const struct node *node)
{
    while (!node->count)
        node = node->parent;
    return node;
}

bool node_is_in(const struct node *node, const struct node *directory)
{
    return node->parent == directory;
}

/* The node called name in directory, or NULL. */
static const struct node *node_in(const struct node *directory, const char *name)
{
    char path[PATH_BYTES];
    int length =
        snprintf(path, sizeof path, "%s%s%s", directory->path, *directory->path ? "/" : "", name);

    if (!*name || strchr(name, '/') || (size_t)length >= sizeof path)
        return NULL;
    return node_by_path(path);
}

/* A number as it is written as an entry: without a sign, without zeros in front. */
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
    if (!node || (directory->view && node->of_mount))
        return false;
    *place = (struct place){directory->view, node->is_numbered ? number : 0, node};
    if (node == layers_node)
        *place = (struct place){.view = number + 1, .node = nodes};
    return place->view < VIEWS_MAX;
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
    int used = 0;

    if (place->view)
        used = snprintf(out, PLACE_PATH_BYTES, "layers/%u%s", place->view - 1, *path ? "/" : "");
    if (number)
        snprintf(out + used, (size_t)(PLACE_PATH_BYTES - used), "%.*s%u%s", (int)(number - path),
                 path, place->number, number + 1);
    else
        snprintf(out + used, (size_t)(PLACE_PATH_BYTES - used), "%s", path);
}

void place_name(const struct place *place, char *out)
{
    char path[PLACE_PATH_BYTES];
    const char *slash;

    place_path(place, path);
    slash = strrchr(path, '/');
    snprintf(out, PLACE_PATH_BYTES, "%s", slash ? slash + 1 : path);
}

/* With options of its own a file has a walk of its own, which leaves out what it need not know. */
struct task place_task(const struct place *place)
{
    const struct node *node = place->node;
    struct task task = {place->view, node->pass, node->target ? place->number : 0};

    if (task.set && task.pass == PASS_SCAN)
        task.pass = PASS_MEASURE;
    return task;
}

uint64_t place_ino(const struct place *place)
{
    return 1 + node_index(place->node) +
           NODES_MAX * (place->number + (uint64_t)NUMBERS_MAX * place->view);
}
