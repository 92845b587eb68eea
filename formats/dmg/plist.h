/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XML property list of a DMG, read as a sequence of byte strings: its data elements, decoded
 * from base64.
 */
#ifndef FORMATS_DMG_PLIST_H
#define FORMATS_DMG_PLIST_H

#include "formats/image.h"

enum { DMG_PLIST_DEPTH_MAX = 32 }; /* a limit of ours; block tables are 6 elements deep */

/* A position in a property list. A plain value: assigning a saved copy returns to its position. */
struct dmg_plist {
    struct image *img;
    struct image_window *window;
    uint64_t at, end; /* file offsets: of the next byte, of the end of the list */
    bool is_begun;    /* the root element has begun */
    bool is_in_data;  /* inside the text of a data element */
    uint8_t depth;
    uint8_t elements[DMG_PLIST_DEPTH_MAX]; /* the open elements, outermost first */
    uint8_t keys[DMG_PLIST_DEPTH_MAX];     /* of each that is a dict: its latest key */
    uint32_t bits;                         /* base64 bits that are not yet a byte */
    uint8_t bit_count, digits, padding;    /* digits: their count modulo 4 */
};

/* Starts at the beginning of the list: length bytes at offset. */
void dmg_plist_begin(struct dmg_plist *p, struct image *img, struct image_window *window,
                     uint64_t offset, uint64_t length);

/*
 * Moves to the next data element. Sets *is_blkx if it is the value of the key Data in an entry of
 * the array blkx. Returns 1; 0 at the end of the list; -errno, reported.
 */
int dmg_plist_next(struct dmg_plist *p, bool *is_blkx);

/*
 * Reads the next bytes of the data element. *got is less than wanted only at its end. Returns 0 or
 * -errno, reported.
 */
int dmg_plist_read(struct dmg_plist *p, uint8_t *bytes, size_t wanted, size_t *got);

#endif
