// SPDX-License-Identifier: Apache-2.0
/*
 * Compressed streams, a piece at a time. All sessions of a root share one unpacker, which keeps its
 * place in the last stream: a stream of any size that is read in order is decompressed once,
 * however small the steps are.
 */
#include "unpack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

/* For decoders in memory that the caller allocates. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "budget.h"
#include "checked.h"

enum {
    INPUT_BYTES = 16 << 10,
    PIECE_BYTES = 64 << 10, /* decompressed at once, and kept, if fewer are wanted */
    ZLIB_WINDOW_BITS = 15,
};

struct unpacker {
    /* The stream, and the place in it. */
    struct image *img;
    unsigned number; /* of img */
    struct packed stream;
    uint64_t taken, made; /* bytes of input and of output so far */
    bool is_ended;        /* the output may end here */
    int error;            /* of the bytes that follow */
    char label[64];       /* for image_work() */

    struct image_window in;
    uint8_t piece[PIECE_BYTES]; /* kept bytes of output, from kept_offset on */
    uint64_t kept_offset;
    size_t kept;

    z_stream z;
    ZSTD_DStream *zstd; /* NULL: not needed so far */
};

/* One step of a decoder: its remaining input and room for output. */
struct step {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
};

static void *zlib_alloc(void *root, unsigned count, unsigned size)
{
    uint64_t bytes;

    return checked_mul(count, size, &bytes) ? image_alloc(root, bytes) : NULL;
}

/* Session memory is freed with the session. */
static void zlib_free(void *root, void *memory)
{
    (void)root;
    (void)memory;
}

/* Sets *u to the unpacker of the root. Returns 0 or -ENOMEM, reported. */
static int find_unpacker(struct image *img, struct unpacker **u)
{
    struct unpacker **kept = image_unpacker(img);
    struct image *root = image_root(img);
    struct unpacker *new;
    int error;

    *u = *kept;
    if (*u)
        return 0;
    new = image_alloc(root, sizeof *new);
    if (!new)
        return -ENOMEM;
    error = image_window_begin(root, &new->in, INPUT_BYTES);
    if (error)
        return error;
    new->z = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = root};
    if (inflateInit2(&new->z, ZLIB_WINDOW_BITS) != Z_OK)
        return image_fail(img, ENOMEM, "no memory to inflate");
    *u = *kept = new;
    return 0;
}

/* Prepares for the beginning of a deflate stream. Returns 0. */
static int begin_zlib(struct unpacker *u, const struct packed *stream)
{
    inflateReset2(&u->z, stream->packing == PACKED_ZLIB ? ZLIB_WINDOW_BITS : -ZLIB_WINDOW_BITS);
    return 0;
}

/* The same for zstd. Returns 0 or -ENOMEM, reported. */
static int begin_zstd(struct unpacker *u, struct image *img)
{
    if (!u->zstd) {
        size_t size = ZSTD_estimateDStreamSize((size_t)1 << UNPACK_WINDOW_LOG_MAX);
        void *memory = image_alloc(image_root(img), size);

        u->zstd = memory ? ZSTD_initStaticDStream(memory, size) : NULL;
        if (!u->zstd)
            return image_fail(img, ENOMEM, "no memory to decode zstd");
        ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, UNPACK_WINDOW_LOG_MAX);
    }
    ZSTD_DCtx_reset(u->zstd, ZSTD_reset_session_only);
    return 0;
}

/* Moves to the beginning of a stream. Returns 0 or -errno, reported. */
static int begin(struct unpacker *u, struct image *img, const struct packed *stream)
{
    int error;

    if (stream->offset >= image_size(img))
        return image_fail(img, EIO, "%s: %s at offset %llu is past the end of the file",
                          stream->format, stream->what, (unsigned long long)stream->offset);
    error = stream->packing == PACKED_ZSTD ? begin_zstd(u, img) : begin_zlib(u, stream);
    if (error)
        return error;
    if (u->number != image_number(img))
        u->in.length = 0;
    u->img = img;
    u->number = image_number(img);
    u->stream = *stream;
    u->taken = u->made = u->kept = 0;
    u->error = 0;
    snprintf(u->label, sizeof u->label, "%s: decompressing %s", stream->format, stream->what);
    return 0;
}

/* Whether the place of u is in that stream. */
static bool is_in(const struct unpacker *u, const struct image *img, const struct packed *stream)
{
    return u->number == image_number(img) && u->stream.packing == stream->packing &&
           u->stream.offset == stream->offset && u->stream.length == stream->length &&
           u->stream.size == stream->size;
}

/* Sets the input of a step to the next bytes of the file; none if the stream ends. Returns 0 or
 * -errno, reported. */
static int find_input(struct unpacker *u, struct step *step)
{
    uint64_t at = u->stream.offset + u->taken, rest = u->stream.length - u->taken;
    int error;

    rest = min_u64(rest, image_size(u->img) - at);
    step->in_left = 0;
    if (!rest)
        return 0;
    error = image_window_ahead(u->img, &u->in, at, 1, rest, &step->in);
    if (!error)
        step->in_left = (size_t)min_u64(rest, u->in.length - (at - u->in.offset));
    return error;
}

static int fail_stream(const struct unpacker *u)
{
    const struct packed *p = &u->stream;

    return image_fail(u->img, EUCLEAN, "%s: %s at offset %llu is not a whole %s stream", p->format,
                      p->what, (unsigned long long)p->offset,
                      p->packing == PACKED_ZSTD ? "zstd" : "deflate");
}

/* Returns 0 or -errno, reported. As in qemu, input after the last byte of output is ignored. */
static int step_zlib(struct unpacker *u, struct step *step)
{
    int result;

    u->z.next_in = step->in;
    u->z.avail_in = (unsigned)step->in_left;
    u->z.next_out = step->out;
    u->z.avail_out = (unsigned)min_u64(step->out_left, UINT32_MAX);
    result = inflate(&u->z, Z_NO_FLUSH);
    step->in_left = u->z.avail_in;
    step->out_left -= (size_t)(u->z.next_out - step->out);
    u->is_ended = true;
    if (result == Z_MEM_ERROR)
        return image_fail(u->img, ENOMEM, "out of memory");
    return result < 0 && result != Z_BUF_ERROR ? fail_stream(u) : 0;
}

/* The same. As in qemu, a frame that has more output is an error. */
static int step_zstd(struct unpacker *u, struct step *step)
{
    ZSTD_inBuffer in = {step->in, step->in_left, 0};
    ZSTD_outBuffer out = {step->out, step->out_left, 0};
    size_t result = ZSTD_decompressStream(u->zstd, &out, &in);

    step->in_left -= in.pos;
    step->out_left -= out.pos;
    u->is_ended = result == 0;
    if (!ZSTD_isError(result))
        return 0;
    if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
        return image_fail(u->img, EFBIG, "%s: %s at offset %llu has a zstd window of more than %d",
                          u->stream.format, u->stream.what, (unsigned long long)u->stream.offset,
                          1 << UNPACK_WINDOW_LOG_MAX);
    return fail_stream(u);
}

/* The work of the stream so far. Deflate produces no more than BUDGET_UNPACK_OUTPUT_WORK bytes from
 * a byte of input; zstd does only where it repeats one byte, which costs next to nothing. */
static uint64_t work_of(const struct unpacker *u)
{
    return u->taken * BUDGET_UNPACK_INPUT_WORK +
           min_u64(u->made, u->taken * BUDGET_UNPACK_OUTPUT_WORK);
}

/* Decompresses n more bytes. Returns 0 or -errno, reported. */
static int decompress(struct unpacker *u, uint8_t *bytes, size_t n)
{
    while (n || (u->made == u->stream.size && !u->is_ended)) {
        uint64_t work = work_of(u);
        struct step step = {.out = bytes, .out_left = n};
        int error = find_input(u, &step);
        size_t taken = step.in_left, made = n;

        if (error)
            return error;
        error = u->stream.packing == PACKED_ZSTD ? step_zstd(u, &step) : step_zlib(u, &step);
        taken -= step.in_left;
        made -= step.out_left;
        u->taken += taken;
        u->made += made;
        bytes += made;
        n -= made;
        if (!error)
            error = image_work(u->img, work_of(u) - work, u->label);
        if (!error && !taken && !made)
            error = fail_stream(u);
        if (error)
            return error;
    }
    return 0;
}

/* The same, and keeps an error for all later calls about these bytes. */
static int decompress_next(struct unpacker *u, uint8_t *bytes, size_t n)
{
    uint64_t made = u->made;

    u->error = decompress(u, bytes, n);
    if (u->error)
        u->made = made;
    return u->error;
}

/* Decompresses the next piece and keeps it. */
static int decompress_piece(struct unpacker *u)
{
    size_t n = (size_t)min_u64(PIECE_BYTES, u->stream.size - u->made);
    int error;

    u->kept = 0;
    u->kept_offset = u->made;
    error = decompress_next(u, u->piece, n);
    if (!error)
        u->kept = n;
    return error;
}

int unpack_at(struct image *img, const struct packed *stream, uint64_t skip, uint8_t *bytes,
              size_t wanted)
{
    struct unpacker *u;
    int error = find_unpacker(img, &u);

    assert(skip <= stream->size && wanted <= stream->size - skip);
    if (!error && !is_in(u, img, stream))
        error = begin(u, img, stream);
    while (!error && wanted) {
        bool is_kept = skip >= u->kept_offset && skip - u->kept_offset < u->kept;
        size_t n = wanted;

        if (is_kept) {
            n = (size_t)min_u64(n, u->kept - (skip - u->kept_offset));
            memcpy(bytes, u->piece + (skip - u->kept_offset), n);
        } else if (skip < u->made) {
            error = begin(u, img, stream);
            continue;
        } else if (u->error) {
            return u->error;
        } else if (skip == u->made && (n >= PIECE_BYTES || n == stream->size)) {
            error = decompress_next(u, bytes, n);
        } else {
            error = decompress_piece(u);
            continue;
        }
        skip += n;
        bytes += n;
        wanted -= n;
    }
    return error;
}
