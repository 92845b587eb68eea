/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the virtual disk holds, as a stream: the one walk that every consumer of allocation reads.
 */
#ifndef FORMATS_EXTENTS_H
#define FORMATS_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

struct disk;

enum {
    LAYERS_MAX = 64, /* images one below the other; ours, as each takes its windows */
};

enum extent_kind {
    EXTENT_DATA, /* guest bytes that may be anything */
    EXTENT_ZERO, /* known to read as zeros */
    EXTENT_HOLE, /* this file says nothing: ask the layer below; without one, and beyond its end, it
                    reads as zeros */
};

enum extent_flags {
    EXTENT_COMPRESSED = 1, /* DATA whose bytes must be decoded */
    EXTENT_HOST_HOLES = 2, /* holes of the host file below count as zeros: host must be set and the
                              run contiguous */
};

#define EXTENT_NO_HOST UINT64_MAX

struct extent {
    uint64_t offset, length; /* guest bytes */
    enum extent_kind kind;
    uint64_t host; /* where the bytes stand in their file, or EXTENT_NO_HOST */
    unsigned flags;
    uint32_t file;  /* 0: their file is the image; else 1 + the number of a reference, a PART */
    unsigned layer; /* 0: the image that was asked tells so; 1: the one below it ... */
};

/* What a consumer wants. Without WANT_HOST runs are longer, and host and flags mean nothing. */
enum { EXTENTS_WANT_HOST = 1, EXTENTS_WANT_JOINED = 2 };

struct extents {
    struct disk *disk;
    unsigned want;
    uint64_t offset; /* the next to be asked of the driver */
    bool asked_host; /* the last answer was cut at a hole of the host file, or might have been */
    uint64_t last_length; /* guest bytes of the last answer */
    uint64_t host_bytes;  /* bytes of host files whose holes were asked for */
    uint64_t wanted;      /* nothing before is of interest */
    bool skipped;         /* some guest bytes were not told */
    struct extent ahead;  /* asked already, not yet given; length 0: none */

    /* The layers above this one say nothing from the last offset up to above_end. */
    unsigned layer;
    struct disk *layer_disk;
    uint64_t above_end;
    struct extent runs[LAYERS_MAX]; /* by layer: what it told last; length 0: nothing */
};

/* Begins the stream over [0, virtual_size) of the disk and what is below it. Nothing to end. */
void extents_begin(struct extents *s, struct disk *disk, unsigned want);

/*
 * The next extent: ascending, without gaps, clipped to the virtual size, split at holes of the host
 * file where these count, with EXTENTS_WANT_JOINED joined with its like. What a layer has a hole
 * for the layer below it tells. Returns 1, 0 at the end, or -errno, said (EACCES at a hole that a
 * file below would fill that is not granted).
 */
int extents_next(struct extents *s, struct extent *extent);

/* Goes to offset, at most the virtual size, where the next extent then begins. */
void extents_seek(struct extents *s, uint64_t offset);

/*
 * Tells a stream that is not joined that nothing before offset is of interest. What would fail
 * there is left out, and so is what takes questions to the host file system, or many answers as
 * short as the last one; s->skipped is then set. Else what the image's tables tell is told all the
 * same, as it costs nothing.
 */
void extents_skip(struct extents *s, uint64_t offset);

#endif
