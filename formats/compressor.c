// SPDX-License-Identifier: Apache-2.0
/* Compressed sizes, by zlib and zstd. What is made is dropped; only zstd has to have a place for
 * it, since what it makes depends on how large that is. */
#include "compressor.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#include "checked.h"
#include "image.h"

enum { PIECE = 64 << 10, MEMORY_LEVEL_DEFLATE = 9, WINDOW_DEFLATE = -12 };

struct compressor {
    struct image *img;
    enum compression kind;
    z_stream z;
    ZSTD_CCtx *zstd;
    uint8_t *made; /* PIECE bytes; for zstd a unit */
};

static bool begin_library(struct compressor *c)
{
    switch (c->kind) {
    case COMPRESSION_ZSTD:
        c->zstd = ZSTD_createCCtx();
        return c->zstd;
    case COMPRESSION_DEFLATE:
        return deflateInit2(&c->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_DEFLATE,
                            MEMORY_LEVEL_DEFLATE, Z_DEFAULT_STRATEGY) == Z_OK;
    case COMPRESSION_ZLIB:
        break;
    }
    return deflateInit(&c->z, Z_DEFAULT_COMPRESSION) == Z_OK;
}

struct compressor *compressor_begin(struct image *img, enum compression kind, size_t unit)
{
    struct compressor *c = image_alloc(img, sizeof *c);

    if (!c)
        return NULL;
    *c = (struct compressor){.img = img, .kind = kind};
    c->made = image_alloc(img, kind == COMPRESSION_ZSTD ? unit : PIECE);
    if (!c->made)
        return NULL;
    if (begin_library(c))
        return c;
    compressor_end(c);
    image_fail(img, ENOMEM, "no memory to compress");
    return NULL;
}

static int64_t deflated(struct compressor *c, const uint8_t *bytes, size_t length, size_t limit)
{
    uint64_t made = 0;
    int result;

    if (deflateReset(&c->z) != Z_OK)
        return image_fail(c->img, ENOMEM, "no memory to compress");
    /* zlib takes no pointer to const, and does not write there. */
    c->z.next_in = (z_const Bytef *)bytes;
    c->z.avail_in = (unsigned)length;
    do {
        c->z.next_out = c->made;
        c->z.avail_out = PIECE;
        result = deflate(&c->z, Z_FINISH);
        made += PIECE - c->z.avail_out;
    } while (result == Z_OK && made <= limit);
    return result == Z_STREAM_END && made <= limit ? (int64_t)made : 0;
}

static int64_t zstd_made(struct compressor *c, const uint8_t *bytes, size_t length, size_t limit)
{
    ZSTD_inBuffer in = {bytes, length, 0};
    ZSTD_outBuffer out = {c->made, limit, 0};
    size_t left;

    ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
    left = ZSTD_compressStream2(c->zstd, &out, &in, ZSTD_e_end);
    if (ZSTD_isError(left))
        return image_fail(c->img, ENOMEM, "zstd: %s", ZSTD_getErrorName(left));
    return left ? 0 : (int64_t)out.pos;
}

int64_t compressor_size(struct compressor *c, const uint8_t *bytes, size_t length, size_t limit)
{
    return c->kind == COMPRESSION_ZSTD ? zstd_made(c, bytes, length, limit)
                                       : deflated(c, bytes, length, limit);
}

void compressor_end(struct compressor *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->zstd);
    if (c->kind != COMPRESSION_ZSTD)
        deflateEnd(&c->z);
}
