// SPDX-License-Identifier: Apache-2.0
/*
 * Compressed streams of one repeated byte. deflate: one block with the fixed codes, a literal and
 * then matches at distance 1. Zstandard: RLE blocks. Little endian.
 */
#include "make-stream.h"

#include <stdbool.h>
#include <string.h>

#include "maker.h"

/* deflate fills bytes from the least significant bit, but writes codes from their most significant
 * one. */
struct bits {
    uint8_t *bytes;
    size_t count;
};

static void put_code(struct bits *b, unsigned code, unsigned width)
{
    while (width--) {
        if (b->count % 8 == 0)
            b->bytes[b->count / 8] = 0;
        b->bytes[b->count / 8] |= (uint8_t)(((code >> width) & 1) << (b->count % 8));
        b->count++;
    }
}

size_t stream_deflate(uint8_t *out, uint64_t length, uint8_t byte)
{
    enum { MATCH_MAX = 258 };
    struct bits b = {.bytes = out};

    put_code(&b, 1, 1);            /* the last block */
    put_code(&b, 2, 2);            /* fixed codes: 01, least significant bit first */
    put_code(&b, 0x30u + byte, 8); /* literal */
    for (length--; length >= MATCH_MAX; length -= MATCH_MAX) {
        put_code(&b, 0xc5, 8); /* 285: 258 bytes */
        put_code(&b, 0, 5);    /* distance 1 */
    }
    while (length--)
        put_code(&b, 0x30u + byte, 8);
    put_code(&b, 0, 7); /* 256: end */
    return (b.count + 7) / 8;
}

size_t stream_zstd(uint8_t *out, uint64_t length, uint8_t byte)
{
    enum { BLOCK_MAX = 128 << 10, RLE = 1 };
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    size_t n = sizeof magic;

    memcpy(out, magic, n);
    out[n++] = 0xa0; /* the content's size follows, in 4 bytes; a single segment */
    maker_put(out, (uint32_t)n, 4, '<', length);
    n += 4;
    while (length) {
        uint64_t block = length < BLOCK_MAX ? length : BLOCK_MAX;
        bool last = block == length;

        maker_put(out, (uint32_t)n, 3, '<', (uint64_t)last | RLE << 1 | block << 3);
        out[n + 3] = byte;
        n += 4;
        length -= block;
    }
    return n;
}
