// SPDX-License-Identifier: Apache-2.0
/* Inodes and the texts that they hold. */
#include "inodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct result *result_new(int error, const void *bytes, size_t length)
{
    struct result *result = malloc(sizeof *result + length);

    if (!result)
        return NULL;
    *result = (struct result){.references = 1, .error = error, .length = length};
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

static bool is_same(const struct result *a, const struct result *b)
{
    return a == b || (a->error == b->error && a->length == b->length &&
                      memcmp(a->bytes, b->bytes, a->length) == 0);
}

int inodes_begin(struct inodes *inodes)
{
    *inodes = (struct inodes){.root = {.node = nodes}};
    inodes->current = calloc(nodes_count(), sizeof(struct inode *));
    return inodes->current ? 0 : -ENOMEM;
}

/* Takes the inode, of which the kernel knows nothing more, away. */
static void inode_free(struct inodes *inodes, struct inode *inode)
{
    struct inode **current = &inodes->current[node_index(inode->node)];
    struct inode **link = &inodes->all;

    if (*current == inode)
        *current = NULL;
    while (*link != inode)
        link = &(*link)->next;
    *link = inode->next;
    result_drop(inode->result);
    free(inode);
}

struct open_file *inodes_open(struct inodes *inodes, struct result *result)
{
    struct open_file *file = malloc(sizeof *file);

    if (!file)
        return NULL;
    *file = (struct open_file){result_hold(result), inodes->open_files, &inodes->open_files};
    if (file->next)
        file->next->link = &file->next;
    inodes->open_files = file;
    return file;
}

void inodes_close(struct open_file *file)
{
    *file->link = file->next;
    if (file->next)
        file->next->link = file->link;
    result_drop(file->result);
    free(file);
}

void inodes_end(struct inodes *inodes)
{
    while (inodes->open_files)
        inodes_close(inodes->open_files);
    while (inodes->all)
        inode_free(inodes, inodes->all);
    free(inodes->current);
    inodes->current = NULL;
}

static struct inode *inode_new(struct inodes *inodes, const struct node *node)
{
    struct inode *inode = calloc(1, sizeof *inode);

    if (!inode)
        return NULL;
    inode->node = node;
    inode->generation = ++inodes->generation;
    inode->next = inodes->all;
    inodes->all = inode;
    inodes->current[node_index(node)] = inode;
    return inode;
}

struct inode *inodes_lookup(struct inodes *inodes, const struct node *node, struct result *result)
{
    struct inode *inode = inodes->current[node_index(node)];

    if (!inode || (inode->result && !(result && is_same(inode->result, result))))
        inode = inode_new(inodes, node);
    if (!inode)
        return NULL;
    if (!inode->result)
        inode->result = result_hold(result);
    inode->lookups++;
    return inode;
}

void inodes_forget(struct inodes *inodes, struct inode *inode, uint64_t count)
{
    if (inode == &inodes->root)
        return;
    inode->lookups -= count < inode->lookups ? count : inode->lookups;
    if (!inode->lookups)
        inode_free(inodes, inode);
}
