/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes a unit takes compressed, by the libraries and with the settings that qemu uses. */
#ifndef FORMATS_TARGETS_COMPRESSOR_H
#define FORMATS_TARGETS_COMPRESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

enum compression {
    COMPRESSION_ZLIB,    /* a zlib stream; vmdk */
    COMPRESSION_DEFLATE, /* raw deflate with a window of 4 KiB; qcow, qcow2 */
    COMPRESSION_ZSTD,    /* qcow2 */
};

struct compressor; /* holds what the library has allocated */

/* Begins one, for what takes at most limit bytes. NULL, said: out of memory. */
struct compressor *compressor_begin(struct image *img, enum compression kind, size_t limit);

/* The bytes that length bytes take; 0: more than the limit. -ENOMEM, said. */
int64_t compressor_size(struct compressor *c, const uint8_t *bytes, size_t length);

/* Gives the memory of the library back. NULL is allowed. */
void compressor_end(struct compressor *c);

#endif
