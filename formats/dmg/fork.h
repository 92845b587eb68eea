/* SPDX-License-Identifier: Apache-2.0 */
/* The resource fork of an older DMG, read as a sequence of byte strings: its resources. */
#ifndef FORMATS_DMG_FORK_H
#define FORMATS_DMG_FORK_H

#include "formats/image.h"

/* A position in a resource fork. A plain value: assigning a saved copy returns to its position. */
struct dmg_fork {
    struct image *img;
    struct image_window *window;
    uint64_t at, end; /* file offsets: of the next byte, of the end of the resource data */
    uint64_t left;    /* bytes of the current resource that are not yet read */
};

/* Reads the header of the fork: length bytes at offset. Returns 0 or -errno, reported. */
int dmg_fork_begin(struct dmg_fork *f, struct image *img, struct image_window *window,
                   uint64_t offset, uint64_t length);

/* Moves to the next resource. Returns 1; 0 at the end; -errno, reported. */
int dmg_fork_next(struct dmg_fork *f);

/*
 * Reads the next bytes of the resource. *got is less than wanted only at its end. Returns 0 or
 * -errno, reported.
 */
int dmg_fork_read(struct dmg_fork *f, uint8_t *bytes, size_t wanted, size_t *got);

#endif
