/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a conversion of the virtual disk writes: the walk that reads the guest's data, for what only
 * that can tell. As qemu-img has it, data that is all zeros is left out, in pieces of 4 KiB.
 */
#ifndef FORMATS_TARGETS_DATA_WALK_H
#define FORMATS_TARGETS_DATA_WALK_H

#include <stddef.h>
#include <stdint.h>

struct disk;

enum {
    DATA_WALK_BLOCK = 4096,     /* bytes; zeros are left out in whole blocks of this size */
    DATA_WALK_BUFFER = 2 << 20, /* bytes of a run that are read at once */
    DATA_WALK_SLAB = 2 << 20,   /* bytes; the largest unit of any target lies in one */
};

/* Takes what the walk finds, in ascending order. Each returns 0 or -errno, which ends the walk. */
struct data_walk_sink {
    void *context;
    /*
     * A run of data begins, guest bytes [offset, offset + length): from its start on it is read in
     * buffers of DATA_WALK_BUFFER, and what is written of one buffer is written by itself. Told in
     * front of its pieces, which then are not told as one with those of another run. NULL: nobody
     * wants to know.
     */
    int (*run)(void *context, uint64_t offset, uint64_t length);
    /*
     * Guest bytes [offset, offset + length) are written: each piece of them that lies in one run of
     * data and in one block (DATA_WALK_BLOCK, aligned) has a byte that is not zero. Neighbouring
     * pieces of one slab are told as one.
     */
    int (*written)(void *context, uint64_t offset, uint64_t length);
    /*
     * All guest bytes of a slab of which something is written: from a multiple of DATA_WALK_SLAB to
     * the next, or to the end of the disk. Told behind its pieces. NULL: nobody wants them.
     */
    int (*slab)(void *context, uint64_t offset, const uint8_t *bytes, size_t length);
    /* Everything before offset has been looked at. Told now and then. NULL: nobody wants it. */
    int (*progress)(void *context, uint64_t offset);
};

/*
 * Walks over the disk and what is below it. 0 or -errno, said: where bytes cannot be known, nothing
 * is told of what is behind them.
 */
int data_walk(struct disk *disk, const struct data_walk_sink *sink);

#endif
