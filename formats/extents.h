/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocation of a virtual disk as a stream of extents: the one walk that every consumer of
 * allocation reads.
 */
#ifndef FORMATS_EXTENTS_H
#define FORMATS_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

struct disk;

enum {
    LAYERS_MAX = 64, /* images in a chain; a limit of ours, because each layer needs its windows */
};

enum extent_kind {
    EXTENT_DATA, /* guest bytes of any value */
    EXTENT_ZERO, /* known to read as zeros */
    EXTENT_HOLE, /* not in this image: the backing image supplies the bytes; without one, and beyond
                    its end, they read as zeros */
};

enum extent_flags {
    EXTENT_COMPRESSED = 1, /* DATA whose bytes must be decoded */
    EXTENT_HOST_HOLES = 2, /* holes of the host file count as zeros: host must be set and the run be
                              contiguous in the file */
};

#define EXTENT_NO_HOST UINT64_MAX

struct extent {
    uint64_t offset, length; /* guest bytes */
    enum extent_kind kind;
    uint64_t host; /* offset of the bytes in their file, or EXTENT_NO_HOST */
    unsigned flags;
    uint32_t file;  /* 0: the image file; else 1 + the number of a reference with REFERENCE_DATA */
    unsigned layer; /* which image has the extent: 0: the disk itself; 1: its backing image, ... */
};

/* What a consumer wants. Without WANT_HOST runs are longer, and host and flags are meaningless. */
enum { EXTENTS_WANT_HOST = 1, EXTENTS_WANT_JOINED = 2 };

struct extents {
    struct disk *disk;
    unsigned want;
    uint64_t offset; /* of the next extent to be asked of the driver */
    bool asked_host; /* the last extent was cut at a hole of the host file, or might have been */
    uint64_t last_length; /* guest bytes of the last extent */
    uint64_t host_bytes;  /* bytes of host files that were looked at for holes */
    uint64_t wanted;      /* the consumer ignores everything before */
    bool skipped;         /* some guest bytes were skipped */
    struct extent ahead;  /* read but not yet returned, when joining; length 0: none */

    /* The layers above this one have holes from the last offset up to above_end. */
    unsigned layer;
    struct disk *layer_disk;
    uint64_t above_end;
    struct extent runs[LAYERS_MAX]; /* by layer: its last extent; length 0: none */
};

/* Begins the stream over [0, virtual_size) of the disk and its backing images. There is nothing to
 * end. */
void extents_begin(struct extents *s, struct disk *disk, unsigned want);

/*
 * Returns the next extent. Extents are ascending, without gaps, clipped to the virtual size, split
 * at holes of the host file where these count, and joined with their like if EXTENTS_WANT_JOINED.
 * Holes of a layer are replaced by the extents of its backing image. Returns 1; 0 at the end;
 * -errno, reported (EACCES at a hole whose backing image is not granted).
 */
int extents_next(struct extents *s, struct extent *extent);

/* Moves to offset, at most the virtual size: the next extent begins there. */
void extents_seek(struct extents *s, uint64_t offset);

/*
 * Hint, for a stream that is not joined: the consumer ignores everything before offset. Errors
 * there are not returned. The stream skips the range (s->skipped) if that saves looking for holes
 * of the host file, or many extents as short as the last one; else it still returns the extents,
 * which cost next to nothing.
 */
void extents_skip(struct extents *s, uint64_t offset);

#endif
