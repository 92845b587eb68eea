// SPDX-License-Identifier: Apache-2.0
/* Opening of backing images, and of data files for the disks. */
#include "chain.h"

#include <errno.h>

#include "formats/disk.h"
#include "formats/image.h"
#include "formats/reference.h"

static int find_data_file(void *context, size_t reference, size_t *number)
{
    const struct chain_files *files = context;

    if (!files->grants)
        return -EACCES;
    if (files->grants[reference].state != GRANT_OPENED)
        return grant_is_lost(&files->grants[reference]) ? -ENOENT : -EACCES;
    *number = files->grants[reference].number;
    return 0;
}

static int open_data_file(void *context, size_t reference, int *fd, bool *takes_fd)
{
    const struct chain_files *files = context;
    const struct layers *layers = files->layers;

    *fd = files->grants[files->grants[reference].number].fd;
    *takes_fd = *fd < 0;
    if (*fd < 0)
        *fd = layers->fetch ? layers->fetch(layers, files->layer, reference)
                            : layers_open_data_file(layers, files->layer, reference);
    return *fd < 0 ? *fd : 0;
}

/* Lets a disk open the data files that were granted to it. */
static void give_files(struct chain_files *files, struct disk *disk, const struct layers *layers,
                       unsigned layer)
{
    *files = (struct chain_files){
        .layers = layers,
        .layer = layer,
        .grants = layers_grants(layers, layer, disk->references, disk->references_count),
        .granted = {.context = files, .find = find_data_file, .open = open_data_file},
    };
    disk->granted = &files->granted;
    for (size_t i = 0; files->grants && i < disk->references_count; i++)
        disk->is_backing_missing |=
            disk->references[i].role == REFERENCE_BACKING && grant_is_lost(&files->grants[i]);
}

/* Opens a layer as the backing image of disk. Returns 0 or -errno, already reported. */
static int open_backing(struct image *top, struct disk *disk, struct disk *backing,
                        const struct layers *layers, unsigned number,
                        const struct open_options *options)
{
    const struct layer *layer = &layers->items[number];
    struct image *img;
    char name[32];
    int error;

    snprintf(name, sizeof name, "layer %u", number);
    error = image_open_owned(&img, top, layer->fd, false, true, name);
    if (error)
        return image_fail(disk->img, EIO, "%s: cannot be read", name);
    error = disk_open(backing, img, layer->format, options);
    return error ? error : disk_set_backing(disk, backing, options);
}

void chain_open(struct chain *chain, struct disk *top, const struct layers *layers, unsigned layer,
                const struct open_options *options)
{
    struct disk *disk = top;

    chain->count = 0;
    give_files(&chain->files[0], top, layers, layer);
    image_share_windows(top->img, top->alone ? 1 : layers->count - layer);
    while (!top->alone && disk->backing_reference && ++layer < layers->count) {
        struct disk *backing = &chain->disks[chain->count++];
        int error;

        if (!chain->files[chain->count - 1].grants) {
            disk->backing_error = image_fail(disk->img, EACCES,
                                             "%s: the references have changed since they were "
                                             "granted: mount the image again",
                                             disk->driver->name);
            return;
        }
        error = open_backing(top->img, disk, backing, layers, layer, options);
        disk->backing_error = error;
        if (error)
            return;
        give_files(&chain->files[chain->count], backing, layers, layer);
        disk = backing;
    }
}
