/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate streams inside images (RFC 1950, RFC 1951), by zlib. */
#ifndef FORMATS_INFLATE_H
#define FORMATS_INFLATE_H

#include "image.h"

/* Window bits, as zlib has them: a zlib stream; raw deflate with a window of 4 KiB or of 32 KiB. */
enum { INFLATE_ZLIB = 15, INFLATE_RAW_4K = -12, INFLATE_RAW_32K = -15 };

/*
 * Inflates the stream that begins at offset and takes at most length bytes of the file, and gives
 * the wanted bytes that stand skip bytes into what it makes. format and what name it in errors. 0
 * or -errno, said: EUCLEAN: broken, or it ends too early; EIO: it is past the end of the file.
 */
int inflate_at(struct image *img, const char *format, const char *what, uint64_t offset,
               uint64_t length, int window_bits, uint64_t skip, uint8_t *bytes, size_t wanted);

#endif
