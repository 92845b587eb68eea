/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams inside images: deflate (RFC 1950, RFC 1951) by zlib, zstd (RFC 8878) by
 * libzstd.
 */
#ifndef FORMATS_UNPACK_H
#define FORMATS_UNPACK_H

#include "image.h"

enum packing {
    PACKED_ZLIB,    /* deflate with zlib's header */
    PACKED_DEFLATE, /* raw; its window may have 32 KiB */
    PACKED_ZSTD,    /* frames, one behind the other, of windows of up to 2^UNPACK_WINDOW_LOG_MAX */
};

/* Ours: no cluster is larger, and what is written in one go needs no larger window than itself. */
enum { UNPACK_WINDOW_LOG_MAX = 21 };

/* A stream. format and what name it in errors and are literals. */
struct packed {
    const char *format, *what;
    enum packing packing;
    uint64_t offset, length; /* where it begins, and of how many bytes of the file it is at most */
    uint64_t size;           /* what it makes; if that is more, of deflate the rest is left alone */
};

/*
 * Gives the wanted bytes that stand skip bytes into what the stream makes, of which there are so
 * many. Neither side of a stream is held as a whole: who reads on in it goes on where the last one
 * of the session ended, or finds the last few bytes still there; who goes back begins again. 0 or
 * -errno, said: EUCLEAN: it is broken, or ends too early; EIO: it is past the end of the file;
 * EFBIG: it needs too much memory, or too long.
 */
int unpack_at(struct image *img, const struct packed *stream, uint64_t skip, uint8_t *bytes,
              size_t wanted);

#endif
