// SPDX-License-Identifier: Apache-2.0
/*
 * The walk over the guest data, slab by slab. Extents of data are read, adjacent ones with one read
 * where slab and file allow it, and searched for zeros. Extents that are not data cost nothing.
 *
 * qemu-img reads a run of data from its beginning in buffers of 2 MiB and looks for zeros in each
 * buffer, in blocks that are aligned on the disk. Where a run or a buffer does not begin with a
 * block, the piece that is examined is smaller than a block.
 */
#include "data-walk.h"

#include <errno.h>
#include <string.h>

#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/zeros.h"

enum {
    PROGRESS_EXTENTS = 64, /* a few milliseconds, even if each needs a table to be read */

    /* Runs in one read: only whole blocks are joined. */
    RUNS_MAX = DATA_WALK_SLAB / DATA_WALK_BLOCK,
};

/* Compressed data may expand to so many times the bytes of all files, and this many bytes more, if
 * the sink processes every byte (it may compress them). Ours; more needs repeated data. */
enum { UNPACKED_TIMES = 256 };
#define UNPACKED_BYTES (UINT64_C(4) << 30)

struct run {
    uint64_t offset, length;
};

struct walk {
    struct disk *disk;
    const struct data_walk_sink *sink;
    uint64_t plain;    /* bytes read without decoding */
    uint64_t unpacked; /* bytes decompressed */
    struct extents stream;

    uint64_t slab;        /* guest offset of the current slab */
    uint8_t *bytes;       /* its bytes, up to filled */
    size_t filled;        /* gaps between extents are zeros only if the sink takes slabs */
    bool is_written;      /* written() was called for it */
    uint64_t offset, end; /* the next call of written(); equal: none */

    struct extent pending;         /* an extent in the slab that is not read yet; length 0: none */
    uint64_t run;                  /* guest offset where its run begins */
    struct run runs[RUNS_MAX];     /* the runs that begin in it */
    size_t runs_begun, runs_count; /* runs_begun: for so many of them run() was called */
};

static int report_progress(const struct walk *w, uint64_t offset)
{
    return w->sink->progress ? w->sink->progress(w->sink->context, offset) : 0;
}

static int flush_written(struct walk *w)
{
    uint64_t offset = w->offset, length = w->end - offset;

    if (!length)
        return 0;
    w->is_written = true;
    w->offset = w->end;
    return w->sink->written(w->sink->context, offset, length);
}

/* Adds a piece that is written; joins it to the one before if they are adjacent. */
static int add_piece(struct walk *w, uint64_t offset, uint64_t end)
{
    int error = offset == w->end ? 0 : flush_written(w);

    if (w->offset == w->end)
        w->offset = offset;
    w->end = end;
    return error;
}

/* Returns the end of the piece that begins at offset. */
static uint64_t piece_end(const struct walk *w, uint64_t offset)
{
    uint64_t block = DATA_WALK_BLOCK - offset % DATA_WALK_BLOCK;
    uint64_t buffer = DATA_WALK_BUFFER - (offset - w->run) % DATA_WALK_BUFFER;

    return offset + min_u64(block, buffer);
}

/* Calls run() if a run begins at offset. Pieces before it belong to another run. */
static int begin_run(struct walk *w, uint64_t offset)
{
    const struct run *run = &w->runs[w->runs_begun];
    int error;

    if (w->runs_begun == w->runs_count || run->offset != offset)
        return 0;
    w->runs_begun++;
    error = flush_written(w);
    return error ? error : w->sink->run(w->sink->context, run->offset, run->length);
}

/* Finds the pieces of the pending extent, whose bytes have been read, that are not zeros. */
static int find_pieces(struct walk *w)
{
    uint64_t end = w->pending.offset + w->pending.length;
    int error = 0;

    for (uint64_t at = w->pending.offset, next; at < end && !error; at = next) {
        next = min_u64(piece_end(w, at), end);
        error = begin_run(w, at);
        if (!error && !are_zeros(w->bytes + (at - w->slab), (size_t)(next - at)))
            error = add_piece(w, at, next);
    }
    w->runs_begun = w->runs_count = 0;
    return error;
}

/* Fills the slab up to end with zeros, if the sink takes slabs. */
static void fill_zeros(struct walk *w, size_t end)
{
    if (w->sink->slab)
        memset(w->bytes + w->filled, 0, end - w->filled);
    w->filled = end;
}

static int check_unpacked(const struct walk *w)
{
    uint64_t all = image_total_size(w->disk->img), most;

    if (!w->sink->slab || !checked_mul(all, UNPACKED_TIMES, &most) ||
        !checked_add(most, UNPACKED_BYTES, &most) || w->unpacked <= most)
        return 0;
    return image_fail(w->disk->img, EFBIG,
                      "%s: compressed data expands to more than %d times the bytes of the file",
                      w->disk->driver->name, UNPACKED_TIMES);
}

/* Reads the pending extent, if there is one, and finds what is written of it. */
static int read_pending(struct walk *w)
{
    const struct extent *e = &w->pending;
    size_t within = (size_t)(e->offset - w->slab), length = (size_t)e->length;
    int error = 0;

    if (!length)
        return 0;
    fill_zeros(w, within);
    if (e->flags & EXTENT_COMPRESSED) {
        w->unpacked += length;
        error = check_unpacked(w);
    } else {
        w->plain += length;
        error = disk_check_repeats(w->disk, w->plain);
    }
    if (!error)
        error = disk_read_extent(w->disk, e, w->bytes + within, length);
    if (error)
        return error;
    w->filled += length;
    error = find_pieces(w);
    w->pending.length = 0;
    return error;
}

/* Finishes the slab: reads what is pending, and passes on what is not passed on yet. */
static int end_slab(struct walk *w)
{
    size_t length = (size_t)min_u64(DATA_WALK_SLAB, w->disk->virtual_size - w->slab);
    int error = read_pending(w);

    if (!error)
        error = flush_written(w);
    if (!error && w->is_written && w->sink->slab) {
        fill_zeros(w, length);
        error = w->sink->slab(w->sink->context, w->slab, w->bytes, length);
    }
    return error;
}

/* Whether one read can cover the pending extent and e, and gives the same pieces as two. */
static bool can_join(const struct walk *w, const struct extent *e)
{
    const struct extent *p = &w->pending;

    return p->length && p->offset + p->length == e->offset && p->layer == e->layer &&
           p->file == e->file && !((p->flags | e->flags) & EXTENT_COMPRESSED) &&
           p->host + p->length == e->host && w->run % DATA_WALK_BLOCK == 0 &&
           e->offset % DATA_WALK_BLOCK == 0;
}

/* Adds an extent that lies in one slab: joins it to the pending one, or replaces that. */
static int add_extent(struct walk *w, const struct extent *e, uint64_t run)
{
    uint64_t slab = e->offset - e->offset % DATA_WALK_SLAB;
    int error;

    if (slab != w->slab) {
        error = end_slab(w);
        if (!error)
            error = report_progress(w, e->offset);
        w->slab = slab;
        w->filled = 0;
        w->is_written = false;
    } else if (can_join(w, e)) {
        w->pending.length += e->length;
        return 0;
    } else {
        error = read_pending(w);
    }
    w->pending = *e;
    w->run = run;
    return error;
}

/* Adds a run of data, cut at the borders of slabs. */
static int add_run(struct walk *w, struct extent e)
{
    const struct run run = {e.offset, e.length};
    uint64_t end = e.offset + e.length;
    int error = 0;

    while (e.offset < end && !error) {
        e.length = min_u64(end - e.offset, DATA_WALK_SLAB - e.offset % DATA_WALK_SLAB);
        error = add_extent(w, &e, run.offset);
        if (e.offset == run.offset && w->sink->run)
            w->runs[w->runs_count++] = run;
        e.offset += e.length;
        if (e.host != EXTENT_NO_HOST)
            e.host += e.length;
    }
    return error;
}

/* Returns the end of the run that begins at offset: the end of the extent, or of what qemu's block
 * driver reports at once. */
static uint64_t run_end(struct walk *w, const struct extent *e, uint64_t offset)
{
    uint64_t most = disk_layer(w->disk, e->layer)->qemu_run_unit, end = e->offset + e->length;

    return most ? min_u64(end, offset - offset % most + most) : end;
}

/* Adds an extent of data, which may be several runs in qemu. */
static int add_data(struct walk *w, const struct extent *e)
{
    int error = 0;

    for (uint64_t at = e->offset, next; at < e->offset + e->length && !error; at = next) {
        struct extent run = *e;

        next = run_end(w, e, at);
        run.offset = at;
        run.length = next - at;
        if (e->host != EXTENT_NO_HOST)
            run.host += at - e->offset;
        error = add_run(w, run);
    }
    return error;
}

static int walk_extents(struct walk *w)
{
    struct extent e;
    unsigned extents = 0;
    int found = 0, error = 0;

    extents_begin(&w->stream, w->disk, EXTENTS_WANT_HOST);
    while (!error && (found = extents_next(&w->stream, &e)) == 1) {
        if (e.kind == EXTENT_DATA)
            error = add_data(w, &e);
        if (!error && ++extents % PROGRESS_EXTENTS == 0)
            error = read_pending(w);
        if (!error && extents % PROGRESS_EXTENTS == 0)
            error = report_progress(w, w->stream.offset);
    }
    if (!error && found < 0)
        error = found;
    if (!error)
        error = end_slab(w);
    return error ? error : report_progress(w, w->disk->virtual_size);
}

int data_walk(struct disk *disk, const struct data_walk_sink *sink)
{
    struct walk w = {.disk = disk, .sink = sink};

    w.bytes = image_alloc(disk->img, DATA_WALK_SLAB);
    if (!w.bytes)
        return -ENOMEM;
    image_begin_walk(disk->img);
    return walk_extents(&w);
}
