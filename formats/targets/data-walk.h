/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over the guest data that `qemu-img convert` would write. It reads all data of the disk
 * and, like qemu-img, leaves out blocks of 4 KiB that are all zeros.
 */
#ifndef FORMATS_TARGETS_DATA_WALK_H
#define FORMATS_TARGETS_DATA_WALK_H

#include <stddef.h>
#include <stdint.h>

struct disk;

enum {
    DATA_WALK_BLOCK = 4096,     /* bytes; qemu-img looks for zeros in blocks of this size */
    DATA_WALK_BUFFER = 2 << 20, /* bytes; qemu-img reads a run in buffers of this size */
    DATA_WALK_SLAB = 2 << 20,   /* bytes; at least the largest unit that a model needs whole */
};

/*
 * Receives what the walk finds, in ascending order. A function that returns -errno ends the walk.
 * All except written may be NULL.
 */
struct data_walk_sink {
    void *context;
    /*
     * A run of data begins: guest bytes [offset, offset + length). qemu-img reads it from its start
     * in buffers of DATA_WALK_BUFFER and writes each buffer by itself. Called before written() for
     * the bytes of the run; written() then never joins bytes of two runs.
     */
    int (*run)(void *context, uint64_t offset, uint64_t length);
    /*
     * Guest bytes [offset, offset + length) are written: of each aligned block of DATA_WALK_BLOCK,
     * the piece in one run of data has a byte that is not zero. Adjacent pieces of one slab come in
     * one call.
     */
    int (*written)(void *context, uint64_t offset, uint64_t length);
    /*
     * All guest bytes of a slab in which something is written: from a multiple of DATA_WALK_SLAB to
     * the next one or to the end of the disk. Called after written() for its bytes.
     */
    int (*slab)(void *context, uint64_t offset, const uint8_t *bytes, size_t length);
    /* Everything before offset is done. Called now and then, and at the end. */
    int (*progress)(void *context, uint64_t offset);
};

/*
 * Walks over the disk and its backing images. Returns 0 or -errno, already reported. Where bytes
 * cannot be read, the walk ends, and nothing behind them is passed on.
 */
int data_walk(struct disk *disk, const struct data_walk_sink *sink);

#endif
