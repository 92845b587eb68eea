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
    PACKED_DEFLATE, /* raw, with a window of up to 32 KiB */
    PACKED_ZSTD,    /* one or more frames, with windows of up to 2^UNPACK_WINDOW_LOG_MAX */
};

/* A limit of ours: no cluster is larger, and a stream that was compressed in one call needs no
 * larger window than its size. */
enum { UNPACK_WINDOW_LOG_MAX = 21 };

/* A compressed stream. format and what name it in problems, and are literals. */
struct packed {
    const char *format, *what;
    enum packing packing;
    uint64_t offset, length; /* in the file; length is the most that it may have */
    uint64_t size;           /* bytes decompressed; of deflate, what follows these is ignored */
};

/*
 * Decompresses the wanted bytes that begin skip bytes into the stream's output. Neither side of a
 * stream is held as a whole. A call continues where the session's last one ended, or copies what
 * that one left over; going back starts from the beginning of the stream. Returns 0 or -errno,
 * reported (EUCLEAN: the stream is damaged or ends too early; EIO: it is past the end of the file;
 * EFBIG: it needs too much memory or work).
 */
int unpack_at(struct image *img, const struct packed *stream, uint64_t skip, uint8_t *bytes,
              size_t wanted);

#endif
