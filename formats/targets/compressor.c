// SPDX-License-Identifier: Apache-2.0
/*
 * Compressed sizes, by zlib and zstd. The output is dropped, but its buffer has exactly the size
 * that qemu gives it: whether the output fits, and how zstd compresses, depends on that size.
 */
#include "compressor.h"

#include <errno.h>
#include <zlib.h>
#include <zstd.h>

#include "formats/checked.h"
#include "formats/image.h"

enum { MEMORY_LEVEL_DEFLATE = 9, WINDOW_DEFLATE = -12 };

struct compressor {
    struct image *img;
    enum compression kind;
    z_stream z;
    ZSTD_CCtx *zstd;
    uint8_t *output; /* limit bytes */
    size_t limit;
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

struct compressor *compressor_begin(struct image *img, enum compression kind, size_t limit)
{
    struct compressor *c = image_alloc(img, sizeof *c);

    if (!c)
        return NULL;
    *c = (struct compressor){.img = img, .kind = kind, .limit = limit};
    c->output = image_alloc(img, limit);
    if (!c->output)
        return NULL;
    if (begin_library(c))
        return c;
    compressor_end(c);
    image_fail(img, ENOMEM, "compressor: out of memory");
    return NULL;
}

static int64_t deflate_size(struct compressor *c, const uint8_t *bytes, size_t length)
{
    if (deflateReset(&c->z) != Z_OK)
        return image_fail(c->img, ENOMEM, "compressor: out of memory");
    /* Cast away const: zlib only reads through next_in. */
    c->z.next_in = (z_const Bytef *)bytes;
    c->z.avail_in = (unsigned)length;
    c->z.next_out = c->output;
    c->z.avail_out = (unsigned)c->limit;
    return deflate(&c->z, Z_FINISH) == Z_STREAM_END ? (int64_t)c->z.total_out : 0;
}

static int64_t zstd_size(struct compressor *c, const uint8_t *bytes, size_t length)
{
    ZSTD_inBuffer in = {bytes, length, 0};
    ZSTD_outBuffer out = {c->output, c->limit, 0};
    size_t left;

    ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
    left = ZSTD_compressStream2(c->zstd, &out, &in, ZSTD_e_end);
    if (ZSTD_isError(left))
        return image_fail(c->img, ENOMEM, "zstd: %s", ZSTD_getErrorName(left));
    return left ? 0 : (int64_t)out.pos;
}

int64_t compressor_size(struct compressor *c, const uint8_t *bytes, size_t length)
{
    return c->kind == COMPRESSION_ZSTD ? zstd_size(c, bytes, length)
                                       : deflate_size(c, bytes, length);
}

void compressor_end(struct compressor *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->zstd);
    if (c->kind != COMPRESSION_ZSTD)
        deflateEnd(&c->z);
}
