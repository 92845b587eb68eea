/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed sizes, by the libraries and with the settings that qemu uses. */
#ifndef FORMATS_TARGETS_COMPRESSOR_H
#define FORMATS_TARGETS_COMPRESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

enum compression {
    COMPRESSION_ZLIB,    /* a zlib stream; vmdk */
    COMPRESSION_DEFLATE, /* a raw deflate stream with a window of 4 KiB; qcow, qcow2 */
    COMPRESSION_ZSTD,    /* qcow2 */
};

struct compressor; /* owns memory of the library: must be ended */

/* Begins a compressor with an output buffer of limit bytes. Returns NULL, already reported, if
 * there is no memory. */
struct compressor *compressor_begin(struct image *img, enum compression kind, size_t limit);

/* Returns the compressed size of length bytes, 0 if the output does not fit in the limit, or
 * -ENOMEM, already reported. */
int64_t compressor_size(struct compressor *c, const uint8_t *bytes, size_t length);

/* Frees the memory of the library. c may be NULL. */
void compressor_end(struct compressor *c);

#endif
