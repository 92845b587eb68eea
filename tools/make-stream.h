/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed streams of one byte over and over, made without a library: the same on every machine.
 */
#ifndef TOOLS_MAKE_STREAM_H
#define TOOLS_MAKE_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that any of these may take for length bytes of content. */
#define STREAM_BYTES(length) ((length) / 100 + 512)

/* Raw deflate (RFC 1951) of length (> 0) times byte (< 144). Returns the stream's length. */
size_t stream_deflate(uint8_t *out, uint64_t length, uint8_t byte);

/* One Zstandard frame (RFC 8878) of length (> 0, < 4 GiB) times byte. Returns the stream's length.
 */
size_t stream_zstd(uint8_t *out, uint64_t length, uint8_t byte);

#endif
