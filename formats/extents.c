// SPDX-License-Identifier: Apache-2.0
/*
 * The extent stream: extents that drivers return for single offsets, made into an ascending,
 * gap-free, joined sequence.
 */
#include "extents.h"

#include <assert.h>
#include <errno.h>

#include "checked.h"
#include "disk.h"
#include "format.h"
#include "image.h"

/* Skip ahead only if it saves at least this many extents: if they are needed later after all,
 * another walk has to read them. */
enum { SKIP_EXTENTS_MIN = 4 };

/* Sets *img to the session on the file that holds the bytes of an extent. Returns 0 or -errno,
 * reported. */
static int extent_file(struct disk *disk, const struct extent *e, struct image **img)
{
    void **state;

    *img = disk->img;
    return e->file ? disk_data_file(disk, e->file - 1, img, &state) : 0;
}

/*
 * Cuts a DATA extent with EXTENT_HOST_HOLES at the first change between data and hole. Past the end
 * of the file there is a hole; with EXTENTS_WANT_HOST, for consumers that read, it remains data.
 */
static int split_at_host_hole(struct extents *s, struct disk *disk, struct extent *e)
{
    struct image *img;
    uint64_t end, size;
    bool data;
    int error = extent_file(disk, e, &img);

    if (!error)
        error = image_host_range(img, e->host, &data, &end);
    if (error)
        return error;
    checked_round_up(image_size(img), SECTOR, &size);
    if (s->want & EXTENTS_WANT_HOST) {
        if (e->host >= size)
            return 0;
        end = min_u64(end, size);
    }
    e->length = min_u64(e->length, end - e->host);
    if (!data)
        e->kind = EXTENT_ZERO;
    if (e->host < size)
        s->host_bytes += min_u64(e->length, size - e->host);
    return disk_check_repeats(disk, s->host_bytes);
}

/* Whether the extents are to be those of a qemu to which all of the disk is data. No qemu opens
 * such a format with a backing image. */
static bool is_all_data_to_qemu(const struct extents *s, const struct disk *disk)
{
    return disk->qemu && disk->driver->opaque_to_qemu && !disk->backing_reference &&
           !(s->want & EXTENTS_WANT_HOST);
}

/* Sets *e to the extent of the layer's driver at s->offset, clipped and split. Returns 0 or -errno,
 * reported. */
static int driver_extent(struct extents *s, struct extent *e)
{
    struct disk *disk = s->layer_disk;
    int error = 0;

    *e = (struct extent){.offset = s->offset, .host = EXTENT_NO_HOST, .layer = s->layer};
    if (is_all_data_to_qemu(s, disk))
        e->length = disk->virtual_size - s->offset;
    else
        error = disk->driver->extent_at(disk, s->offset, s->want, e);
    if (!error) {
        assert(e->offset == s->offset && e->length > 0);
        e->length = min_u64(e->length, disk->virtual_size - s->offset);
        if (e->kind == EXTENT_DATA && (e->flags & EXTENT_HOST_HOLES))
            error = split_at_host_hole(s, disk, e);
    }
    if (error)
        e->length = 0;
    return error;
}

/* Returns the error of a hole whose backing image is not open. It is reported unless the consumer
 * skips past the hole. */
static int refuse_hole(const struct extents *s)
{
    const struct disk *disk = s->layer_disk;

    if (disk->backing_error)
        return disk->backing_error;
    if (disk->alone)
        return image_fail(disk->img, EACCES,
                          "%s: guest bytes are in the backing image, which is left out here",
                          disk->driver->name);
    return s->offset < s->wanted
               ? -EACCES
               : disk_refuse(disk, disk->backing_reference, disk->is_backing_missing);
}

/* Whether the bytes at s->offset come from the backing image of the layer, of which run is the
 * extent there. Returns 1, 0 or -errno. */
static int is_from_backing(const struct extents *s, const struct extent *run)
{
    const struct disk *disk = s->layer_disk;

    if (run->kind != EXTENT_HOLE || !disk->backing_reference)
        return 0;
    if (disk->backing)
        return s->offset < disk->backing->virtual_size;
    return disk->alone && !(s->want & EXTENTS_WANT_HOST) ? 0 : refuse_hole(s);
}

/* Moves down to the layer that supplies the bytes at s->offset. s->runs[s->layer] is then their
 * extent. */
static int find_layer(struct extents *s)
{
    int from_backing = 1;

    if (s->offset >= s->above_end) {
        s->layer = 0;
        s->layer_disk = s->disk;
        s->above_end = s->disk->virtual_size;
    }
    for (;;) {
        struct extent *run = &s->runs[s->layer];

        if (s->offset < run->offset || s->offset - run->offset >= run->length) {
            int error = driver_extent(s, run);

            if (error)
                return error;
        }
        from_backing = is_from_backing(s, run);
        if (from_backing <= 0)
            return from_backing;
        s->above_end = min_u64(s->above_end, run->offset + run->length);
        s->layer_disk = s->layer_disk->backing;
        s->above_end = min_u64(s->above_end, s->layer_disk->virtual_size);
        s->layer++;
        assert(s->layer < LAYERS_MAX);
    }
}

/* Sets *e to the extent at s->offset, not joined, and moves past it. Returns 0 or -errno. */
static int read_extent(struct extents *s, struct extent *e)
{
    int error = find_layer(s);
    const struct extent *run = &s->runs[s->layer];
    uint64_t done = s->offset - run->offset;

    if (error)
        return error;
    *e = *run;
    e->offset = s->offset;
    e->length = min_u64(run->length - done, s->above_end - s->offset);
    if (e->host != EXTENT_NO_HOST)
        e->host += done;
    s->asked_host = e->flags & EXTENT_HOST_HOLES;
    s->offset += e->length;
    s->last_length = e->length;
    return 0;
}

/* Whether b, which follows a, can be joined to it for this consumer. */
static bool is_like(const struct extents *s, const struct extent *a, const struct extent *b)
{
    if (a->kind != b->kind)
        return false;
    if (!(s->want & EXTENTS_WANT_HOST))
        return true;
    if (a->flags != b->flags || a->layer != b->layer || a->file != b->file ||
        (a->host == EXTENT_NO_HOST) != (b->host == EXTENT_NO_HOST))
        return false;
    return a->host == EXTENT_NO_HOST || a->host + a->length == b->host;
}

void extents_begin(struct extents *s, struct disk *disk, unsigned want)
{
    *s = (struct extents){.disk = disk, .want = want};
}

/* Joins the following extents that are alike to *extent. */
static int join(struct extents *s, struct extent *extent)
{
    struct extent more;

    while (s->offset < s->disk->virtual_size) {
        int error = read_extent(s, &more);

        if (error)
            return error;
        if (!is_like(s, extent, &more)) {
            s->ahead = more;
            break;
        }
        extent->length += more.length;
    }
    return 0;
}

/* Skips to what the consumer wants. Returns false if that is not further on. */
static bool skip(struct extents *s)
{
    if (s->wanted <= s->offset)
        return false;
    s->offset = min_u64(s->wanted, s->disk->virtual_size);
    s->skipped = true;
    return true;
}

/* As extents_next(), not joined. */
static int next_extent(struct extents *s, struct extent *extent)
{
    int error;

    do {
        if (s->offset >= s->disk->virtual_size)
            return 0;
        error = read_extent(s, extent);
    } while (error && skip(s));
    return error ? error : 1;
}

int extents_next(struct extents *s, struct extent *extent)
{
    int found;

    if (!(s->want & EXTENTS_WANT_JOINED))
        return next_extent(s, extent);
    if (s->ahead.length)
        *extent = s->ahead;
    found = s->ahead.length ? 1 : next_extent(s, extent);
    s->ahead.length = 0;
    if (found == 1) {
        int error = join(s, extent);

        return error ? error : 1;
    }
    return found;
}

void extents_seek(struct extents *s, uint64_t offset)
{
    s->offset = offset;
    s->above_end = 0;
    s->ahead.length = 0;
}

void extents_skip(struct extents *s, uint64_t offset)
{
    assert(!(s->want & EXTENTS_WANT_JOINED));
    s->wanted = offset;
    if (s->asked_host ||
        (offset > s->offset && (offset - s->offset) / SKIP_EXTENTS_MIN >= s->last_length))
        skip(s);
}
