/* SPDX-License-Identifier: Apache-2.0 */
/* The images below an image, opened for reading: what the extent stream goes down through. */
#ifndef DETECT_FILES_CHAIN_H
#define DETECT_FILES_CHAIN_H

#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/reference.h"
#include "layers.h"

/* How a disk comes to its parts. */
struct chain_files {
    const struct layers *layers;
    unsigned layer;
    const struct grant *grants; /* NULL: none */
    struct granted granted;
};

struct chain {
    unsigned count;
    struct disk disks[LAYERS_MAX]; /* those below: of layers 1 and on */
    struct chain_files files[LAYERS_MAX];
};

/*
 * Opens what is below top, which is open as the layer of that number, and gives it the parts that
 * were granted. What cannot be opened is what top says where it would be needed. Its sessions are
 * parts of top's. chain is filled in; alone: nothing is put below.
 */
void chain_open(struct chain *chain, struct disk *top, const struct layers *layers, unsigned layer,
                const struct open_options *options);

#endif
