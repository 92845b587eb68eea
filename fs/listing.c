// SPDX-License-Identifier: Apache-2.0
/* READDIR: the entries of a directory. */
#include "listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "presence.h"

/* The reply to one READDIR. */
struct listing {
    fuse_req_t req;
    bool is_eager; /* the directory is below .now/ */
    char *buffer;
    size_t size, used;
    bool fits; /* false: the buffer is full, the entry added last is not in it */
};

/* Adds an entry; next is the offset of the entry after it. */
static void add_entry(struct listing *l, const char *name, const struct place *place, off_t next)
{
    struct stat st = {
        .st_ino = inode_number(place, l->is_eager),
        .st_mode = node_is_directory(place->node) ? S_IFDIR : S_IFREG,
    };
    size_t room = l->size - l->used;
    size_t length = fuse_add_direntry(l->req, l->buffer + l->used, room, name, &st, next);

    l->fits = length <= room;
    if (l->fits)
        l->used += length;
}

/* Adds the entries of a directory of numbered entries (references/, layers/), beginning with number
 * from. */
static void add_numbers(struct front *front, struct listing *l, const struct place *directory,
                        uint64_t from)
{
    uint32_t count = presence_entries(&front->image, directory);
    char name[16];

    for (uint64_t i = from; l->fits && i < count; i++) {
        struct place place;

        snprintf(name, sizeof name, "%u", (unsigned)i);
        if (place_in(directory, name, &place))
            add_entry(l, name, &place, (off_t)i + 3);
    }
}

/* Adds the entries of any other directory, beginning with row from of nodes[]. */
static void add_nodes(struct front *front, struct listing *l, const struct place *directory,
                      uint64_t from)
{
    for (uint64_t i = from; l->fits && i < nodes_count(); i++) {
        const struct place place = {
            .view = directory->view, .number = directory->number, .node = &nodes[i]};

        if (node_is_in(&nodes[i], directory->node) && !presence_is_absent(&front->image, &place))
            add_entry(l, node_name(&nodes[i]), &place, (off_t)i + 3);
    }
}

/* Offsets: 1 follows ".", 2 follows "..", 3 + i follows nodes[i], or entry number i. */
void listing_reply(fuse_req_t req, struct front *front, const struct inode *directory, size_t size,
                   off_t offset)
{
    struct listing l = {.req = req,
                        .is_eager = directory->is_eager,
                        .buffer = malloc(size),
                        .size = size,
                        .fits = true};
    uint64_t from = offset < 3 ? 0 : (uint64_t)offset - 2;

    if (!l.buffer) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (offset < 1)
        add_entry(&l, ".", &directory->place, 1);
    if (l.fits && offset < 2)
        add_entry(&l, "..", &front->inodes.root.place, 2);
    if (node_has_numbers(directory->place.node))
        add_numbers(front, &l, &directory->place, from);
    else
        add_nodes(front, &l, &directory->place, from);
    fuse_reply_buf(req, l.buffer, l.used);
    free(l.buffer);
}
