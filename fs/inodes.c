// SPDX-License-Identifier: Apache-2.0
/* Inodes and the texts that they hold. */
#include "inodes.h"

#include <stdlib.h>
#include <string.h>

static bool is_same(const struct result *a, const struct result *b)
{
    return a == b || (a->error == b->error && a->length == b->length &&
                      memcmp(a->bytes, b->bytes, a->length) == 0);
}

void inodes_begin(struct inodes *inodes)
{
    *inodes = (struct inodes){.root = {.place = {.node = nodes}, .is_current = true}};
}

static struct inode **bucket_of(struct inodes *inodes, const struct place *place)
{
    return &inodes->buckets[place_ino(place) * UINT64_C(11400714819323198485) >> 54];
}

/* Frees an inode that the kernel has forgotten. */
static void inode_free(struct inodes *inodes, struct inode *inode)
{
    struct inode **link = bucket_of(inodes, &inode->place);

    while (*link != inode)
        link = &(*link)->next;
    *link = inode->next;
    result_drop(inode->result);
    free(inode->refused);
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
    for (size_t i = 0; i < INODE_BUCKETS; i++)
        while (inodes->buckets[i])
            inode_free(inodes, inodes->buckets[i]);
    free(inodes->root.refused);
    inodes->root.refused = NULL;
}

void inodes_forget_sets(struct inodes *inodes, const struct option_sets *sets)
{
    for (size_t i = 0; i < INODE_BUCKETS; i++)
        for (struct inode *inode = inodes->buckets[i]; inode; inode = inode->next) {
            const struct place *place = &inode->place;

            if (!place->set || option_sets_has(sets, place->set))
                continue;
            inode->is_stale = true;
            inode->is_current = false;
        }
}

void inode_refuse(struct inode *inode, const char *why)
{
    free(inode->refused);
    inode->refused = strdup(why);
}

_Static_assert(INODE_BUCKETS == 1 << (64 - 54), "the shift in bucket_of() fits INODE_BUCKETS");

static struct inode *inode_new(struct inodes *inodes, const struct place *place)
{
    struct inode **bucket = bucket_of(inodes, place);
    struct inode *inode = calloc(1, sizeof *inode);

    if (!inode)
        return NULL;
    inode->place = *place;
    inode->is_current = true;
    inode->generation = ++inodes->generation;
    inode->next = *bucket;
    *bucket = inode;
    return inode;
}

/* The current inode of the place, or NULL. */
static struct inode *find_current(struct inodes *inodes, const struct place *place, bool is_eager)
{
    uint64_t ino = place_ino(place);

    for (struct inode *i = *bucket_of(inodes, place); i; i = i->next)
        if (i->is_current && i->is_eager == is_eager && place_ino(&i->place) == ino)
            return i;
    return NULL;
}

struct inode *inodes_lookup(struct inodes *inodes, const struct place *place, bool is_eager,
                            struct result *result)
{
    struct inode *inode = find_current(inodes, place, is_eager);

    if (inode && inode->result && !(result && is_same(inode->result, result))) {
        inode->is_current = false;
        inode = NULL;
    }
    if (!inode)
        inode = inode_new(inodes, place);
    if (!inode)
        return NULL;
    inode->is_eager = is_eager;
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

uint64_t inode_number(const struct place *place, bool is_eager)
{
    return place_ino(place) | (uint64_t)is_eager << 62;
}
