// SPDX-License-Identifier: Apache-2.0
/*
 * The walk over the guest's data, slab by slab: what the stream tells as data is read, in reads as
 * long as a slab and the file allow, and looked through for zeros. What is no data costs nothing.
 *
 * qemu-img reads a run of data in buffers of 2 MiB from its beginning on, and looks for zeros in
 * each of them, in blocks that are aligned on the disk. Where runs do not begin with a block, that
 * makes pieces that are smaller.
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
    PROGRESS_EXTENTS = 64, /* a few milliseconds, even if each takes a table to be read */
    RUNS_MAX = DATA_WALK_SLAB / DATA_WALK_BLOCK, /* that are read together: none is shorter then */
};

/* Compressed data may make so many times the bytes of all files, and this much more, if each of its
 * bytes is looked at again, as to compress it: ours. What makes more repeats itself. */
enum { UNPACKED_TIMES = 256 };
#define UNPACKED_BYTES (UINT64_C(4) << 30)

struct run {
    uint64_t offset, length;
};

struct walk {
    struct disk *disk;
    const struct data_walk_sink *sink;
    uint64_t plain; /* bytes that were read as they stand in files */
    uint64_t unpacked;
    struct extents stream;

    uint64_t slab;        /* where the one begins that is at hand */
    uint8_t *bytes;       /* of it, as far as they were read */
    size_t filled;        /* up to here, also zeros */
    bool is_written;      /* something of it was told */
    uint64_t offset, end; /* what is to be told next; both the same: nothing */

    struct extent part;           /* of the slab, that is to be read next; length 0: none */
    uint64_t run;                 /* where its run begins */
    struct run runs[RUNS_MAX];    /* that begin in the part: which, */
    size_t runs_told, runs_count; /* and how many were told */
};

static int tell_progress(const struct walk *w, uint64_t offset)
{
    return w->sink->progress ? w->sink->progress(w->sink->context, offset) : 0;
}

/* Tells what was found to be written. */
static int tell(struct walk *w)
{
    uint64_t offset = w->offset, length = w->end - offset;

    if (!length)
        return 0;
    w->is_written = true;
    w->offset = w->end;
    return w->sink->written(w->sink->context, offset, length);
}

/* A piece that is written: more of the last one, or another. */
static int take_piece(struct walk *w, uint64_t offset, uint64_t end)
{
    int error = offset == w->end ? 0 : tell(w);

    if (w->offset == w->end)
        w->offset = offset;
    w->end = end;
    return error;
}

/* Where the piece ends that begins there. */
static uint64_t piece_end(const struct walk *w, uint64_t offset)
{
    uint64_t block = DATA_WALK_BLOCK - offset % DATA_WALK_BLOCK;
    uint64_t buffer = DATA_WALK_BUFFER - (offset - w->run) % DATA_WALK_BUFFER;

    return offset + min_u64(block, buffer);
}

/* Tells of the run that begins there, if one does: what was found before is of another. */
static int tell_run(struct walk *w, uint64_t offset)
{
    const struct run *run = &w->runs[w->runs_told];
    int error;

    if (w->runs_told == w->runs_count || run->offset != offset)
        return 0;
    w->runs_told++;
    error = tell(w);
    return error ? error : w->sink->run(w->sink->context, run->offset, run->length);
}

/* Looks through the part, which has been read. */
static int look_through(struct walk *w)
{
    uint64_t end = w->part.offset + w->part.length;
    int error = 0;

    for (uint64_t at = w->part.offset, next; at < end && !error; at = next) {
        next = min_u64(piece_end(w, at), end);
        error = tell_run(w, at);
        if (!error && !are_zeros(w->bytes + (at - w->slab), (size_t)(next - at)))
            error = take_piece(w, at, next);
    }
    w->runs_told = w->runs_count = 0;
    return error;
}

/* Zeros from where the slab is filled up to there, if somebody is to see them. */
static void fill(struct walk *w, size_t end)
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
                      "%s: compressed data makes more than %d times the bytes of the file",
                      w->disk->driver->name, UNPACKED_TIMES);
}

/* Reads the part, if there is one, and looks through it. 0 or -errno. */
static int read_part(struct walk *w)
{
    const struct extent *e = &w->part;
    size_t within = (size_t)(e->offset - w->slab), length = (size_t)e->length;
    int error = 0;

    if (!length)
        return 0;
    fill(w, within);
    if (e->flags & EXTENT_COMPRESSED) {
        w->unpacked += length;
        error = check_unpacked(w);
    } else {
        w->plain += length;
        error = disk_check_told(w->disk, w->plain);
    }
    if (!error)
        error = disk_read_extent(w->disk, e, w->bytes + within, length);
    if (error)
        return error;
    w->filled += length;
    error = look_through(w);
    w->part.length = 0;
    return error;
}

/* Reads and tells what there is of the slab still to be read and told. */
static int end_slab(struct walk *w)
{
    size_t length = (size_t)min_u64(DATA_WALK_SLAB, w->disk->virtual_size - w->slab);
    int error = read_part(w);

    if (!error)
        error = tell(w);
    if (!error && w->is_written && w->sink->slab) {
        fill(w, length);
        error = w->sink->slab(w->sink->context, w->slab, w->bytes, length);
    }
    return error;
}

/* Whether the part can be read together with what follows it on the disk, and has the same pieces
 * then. */
static bool can_join(const struct walk *w, const struct extent *e)
{
    const struct extent *part = &w->part;

    return part->length && part->offset + part->length == e->offset && part->layer == e->layer &&
           part->part == e->part && !((part->flags | e->flags) & EXTENT_COMPRESSED) &&
           part->host + part->length == e->host && w->run % DATA_WALK_BLOCK == 0 &&
           e->offset % DATA_WALK_BLOCK == 0;
}

/* The part that follows, or more of the one that is to be read: what of a run of data lies in one
 * slab. */
static int take_part(struct walk *w, const struct extent *e, uint64_t run)
{
    uint64_t slab = e->offset - e->offset % DATA_WALK_SLAB;
    int error;

    if (slab != w->slab) {
        error = end_slab(w);
        if (!error)
            error = tell_progress(w, e->offset);
        w->slab = slab;
        w->filled = 0;
        w->is_written = false;
    } else if (can_join(w, e)) {
        w->part.length += e->length;
        return 0;
    } else {
        error = read_part(w);
    }
    w->part = *e;
    w->run = run;
    return error;
}

/* A run of data, in parts. */
static int take_run(struct walk *w, struct extent e)
{
    const struct run run = {e.offset, e.length};
    uint64_t end = e.offset + e.length;
    int error = 0;

    while (e.offset < end && !error) {
        e.length = min_u64(end - e.offset, DATA_WALK_SLAB - e.offset % DATA_WALK_SLAB);
        error = take_part(w, &e, run.offset);
        if (e.offset == run.offset && w->sink->run)
            w->runs[w->runs_count++] = run;
        e.offset += e.length;
        if (e.host != EXTENT_NO_HOST)
            e.host += e.length;
    }
    return error;
}

/* Where the run ends that begins there: with the extent, or where qemu tells no more at once. */
static uint64_t run_end(struct walk *w, const struct extent *e, uint64_t offset)
{
    uint64_t most = disk_layer(w->disk, e->layer)->told_at_once, end = e->offset + e->length;

    return most ? min_u64(end, offset - offset % most + most) : end;
}

/* What the stream tells, which qemu may be told in several runs. */
static int take_data(struct walk *w, const struct extent *e)
{
    int error = 0;

    for (uint64_t at = e->offset, next; at < e->offset + e->length && !error; at = next) {
        struct extent run = *e;

        next = run_end(w, e, at);
        run.offset = at;
        run.length = next - at;
        if (e->host != EXTENT_NO_HOST)
            run.host += at - e->offset;
        error = take_run(w, run);
    }
    return error;
}

/* The stream to its end. */
static int walk(struct walk *w)
{
    struct extent e;
    unsigned extents = 0;
    int found = 0, error = 0;

    extents_begin(&w->stream, w->disk, EXTENTS_WANT_HOST);
    while (!error && (found = extents_next(&w->stream, &e)) == 1) {
        if (e.kind == EXTENT_DATA)
            error = take_data(w, &e);
        if (!error && ++extents % PROGRESS_EXTENTS == 0)
            error = read_part(w);
        if (!error && extents % PROGRESS_EXTENTS == 0)
            error = tell_progress(w, w->stream.offset);
    }
    if (!error && found < 0)
        error = found;
    if (!error)
        error = end_slab(w);
    return error ? error : tell_progress(w, w->disk->virtual_size);
}

int data_walk(struct disk *disk, const struct data_walk_sink *sink)
{
    struct walk w = {.disk = disk, .sink = sink};

    w.bytes = image_alloc(disk->img, DATA_WALK_SLAB);
    if (!w.bytes)
        return -ENOMEM;
    image_begin_walk(disk->img);
    return walk(&w);
}
