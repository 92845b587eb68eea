// SPDX-License-Identifier: Apache-2.0
/* The table of the tree. A new file is a row here and a render function. */
#include "nodes.h"

#include <string.h>

#include "render.h"

const struct node nodes[] = {
    {"", PASS_DIRECTORY, NULL, NULL, NULL},
    {"format", PASS_HEADER, render_format, NULL, NULL},
    {"subformat", PASS_HEADER, render_subformat, NULL, NULL},
    {"virtual_size", PASS_HEADER, render_virtual_size, NULL, NULL},
    {"file_size", PASS_STATUS, render_file_size, NULL, NULL},
    {"disk_size", PASS_STATUS, render_disk_size, NULL, NULL},
    {"allocated_size", PASS_SCAN, render_allocated_size, NULL, NULL},
    {"candidates", PASS_HEADER, render_candidates, NULL, NULL},
    {"measure", PASS_DIRECTORY, NULL, NULL, NULL},
    {"measure/raw", PASS_HEADER, render_measure, "raw", NULL},
    {"measure/raw.json", PASS_HEADER, render_measure_json, "raw", NULL},
    {"measure/qcow2", PASS_MEASURE, render_measure, "qcow2", NULL},
    {"measure/qcow2.json", PASS_MEASURE, render_measure_json, "qcow2", NULL},
    {"problems", PASS_STATUS, render_problems, NULL, "format"},
    {"status", PASS_DIRECTORY, NULL, NULL, NULL},
    {"status/version", PASS_STATUS, render_version, NULL, NULL},
    {"status/image", PASS_STATUS, render_image, NULL, NULL},
    {"status/options", PASS_STATUS, render_options, NULL, NULL},
    {"status/bytes_read", PASS_STATUS, render_bytes_read, NULL, NULL},
    {NULL, PASS_DIRECTORY, NULL, NULL, NULL},
};

size_t nodes_count(void)
{
    return sizeof nodes / sizeof *nodes - 1;
}

size_t node_index(const struct node *node)
{
    return (size_t)(node - nodes);
}

const struct node *node_by_path(const char *path)
{
    for (const struct node *n = nodes; n->path; n++)
        if (strcmp(n->path, path) == 0)
            return n;
    return NULL;
}

const char *node_name(const struct node *node)
{
    const char *slash = strrchr(node->path, '/');

    return slash ? slash + 1 : node->path;
}

bool node_is_in(const struct node *node, const struct node *directory)
{
    size_t length = strlen(directory->path);

    if (node == directory || strncmp(node->path, directory->path, length) != 0)
        return false;
    if (length > 0 && node->path[length++] != '/')
        return false;
    return !strchr(node->path + length, '/');
}

const struct node *node_in(const struct node *directory, const char *name)
{
    for (const struct node *n = nodes; n->path; n++)
        if (node_is_in(n, directory) && strcmp(node_name(n), name) == 0)
            return n;
    return NULL;
}
