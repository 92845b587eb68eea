/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of disks: an image with its backing images, opened for reading. */
#ifndef DETECT_FILES_CHAIN_H
#define DETECT_FILES_CHAIN_H

#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/reference.h"
#include "layers.h"

/* Through which a disk opens its data files. */
struct chain_files {
    const struct layers *layers;
    unsigned layer;
    const struct grant *grants; /* NULL: none */
    struct granted granted;
};

struct chain {
    unsigned count;                       /* of disks */
    struct disk disks[LAYERS_MAX];        /* the backing images of top, nearest first */
    struct chain_files files[LAYERS_MAX]; /* of top, and of each disk */
};

/*
 * Opens the backing images of top, which is open as that layer, unless it is to be read alone; and
 * gives each disk the data files that were granted. An image that cannot be opened is an error only
 * of reads that need it. The sessions belong to the session of top.
 */
void chain_open(struct chain *chain, struct disk *top, const struct layers *layers, unsigned layer,
                const struct open_options *options);

#endif
