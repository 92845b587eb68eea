// SPDX-License-Identifier: Apache-2.0
/*
 * The extent stream: what drivers answer for one offset, made into an ascending, gap-free, joined
 * sequence.
 */
#include "extents.h"

#include <assert.h>
#include <errno.h>

#include "checked.h"
#include "format.h"

/* So many extents are worth another walk, should somebody want to know of them after all. */
enum { MANY_ANSWERS = 4, SECTOR = 512 };

/* Host bytes may be told twice that often, over the whole file: then the same few stand for ever
 * more of the disk, and small files make long walks. */
#define TOLD_TWICE_BYTES (UINT64_C(64) << 20)

/*
 * Cuts a DATA extent where holes of the host file count at the first change between data and hole.
 * What is past the end of the file is a hole to who counts, and unknown to who reads.
 */
static int split_at_host_hole(struct extents *s, struct extent *e)
{
    struct image *img = s->disk->img;
    uint64_t end, size;
    bool data;
    int error = image_host_range(img, e->host, &data, &end);

    if (error)
        return error;
    checked_round_up(image_size(img), SECTOR, &size);
    if (e->host >= size && (s->want & EXTENTS_WANT_HOST))
        return 0;
    e->length = min_u64(e->length, end - e->host);
    if (!data)
        e->kind = EXTENT_ZERO;
    if (e->host < size)
        s->host_told += e->length;
    if (s->host_told <= size + TOLD_TWICE_BYTES)
        return 0;
    return image_fail(img, EFBIG,
                      "%s: the same bytes of the file stand for many places of the disk",
                      s->disk->driver->name);
}

static int refuse(const struct disk *disk, const struct reference *reference)
{
    return image_fail(disk->img, EACCES,
                      "%s: guest bytes are in a file that is not granted, the %s \"%s\"",
                      disk->driver->name, reference->kind, reference->path);
}

/* Whether the numbers of a qemu are wanted that does not know what of this format is data. */
static bool is_all_data_to_qemu(const struct extents *s)
{
    return s->disk->qemu && s->disk->driver->opaque_to_qemu && !(s->want & EXTENTS_WANT_HOST);
}

/* The driver's answer at s->offset, clipped and split, not joined. */
static int ask(struct extents *s, struct extent *e)
{
    struct disk *disk = s->disk;
    int error = 0;

    *e = (struct extent){.offset = s->offset, .host = EXTENT_NO_HOST};
    if (is_all_data_to_qemu(s))
        e->length = disk->virtual_size - s->offset;
    else
        error = disk->driver->extent_at(disk, s->offset, s->want, e);
    if (error)
        return error;
    assert(e->offset == s->offset && e->length > 0);
    e->length = min_u64(e->length, disk->virtual_size - s->offset);
    /* A hole that only another file would fill. Nobody hears of it where nobody wants to know. */
    if (e->kind == EXTENT_HOLE && disk->below)
        return s->offset < s->wanted ? -EACCES : refuse(disk, disk->below);
    s->asked_host = e->kind == EXTENT_DATA && (e->flags & EXTENT_HOST_HOLES);
    if (s->asked_host) {
        error = split_at_host_hole(s, e);
        if (error)
            return error;
    }
    s->offset += e->length;
    s->told = e->length;
    return 0;
}

/* Whether b, which follows a, is more of the same for this consumer. */
static bool is_like(const struct extents *s, const struct extent *a, const struct extent *b)
{
    if (a->kind != b->kind)
        return false;
    if (!(s->want & EXTENTS_WANT_HOST))
        return true;
    if (a->flags != b->flags || (a->host == EXTENT_NO_HOST) != (b->host == EXTENT_NO_HOST))
        return false;
    return a->host == EXTENT_NO_HOST || a->host + a->length == b->host;
}

int extents_begin(struct extents *s, struct disk *disk, unsigned want)
{
    *s = (struct extents){.disk = disk, .want = want};
    return disk->beside ? refuse(disk, disk->beside) : 0;
}

/* Joins to *extent what follows and is like it. */
static int join(struct extents *s, struct extent *extent)
{
    struct extent more;

    while (s->offset < s->disk->virtual_size) {
        int error = ask(s, &more);

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

/* Goes on to what is wanted, if that is further on. */
static bool skip(struct extents *s)
{
    if (s->wanted <= s->offset)
        return false;
    s->offset = min_u64(s->wanted, s->disk->virtual_size);
    s->skipped = true;
    return true;
}

/* The next answer of the driver. As extents_next(). */
static int next_answer(struct extents *s, struct extent *extent)
{
    int error;

    do {
        if (s->offset >= s->disk->virtual_size)
            return 0;
        error = ask(s, extent);
    } while (error && skip(s));
    return error ? error : 1;
}

int extents_next(struct extents *s, struct extent *extent)
{
    int found;

    if (!(s->want & EXTENTS_WANT_JOINED))
        return next_answer(s, extent);
    if (s->ahead.length)
        *extent = s->ahead;
    found = s->ahead.length ? 1 : next_answer(s, extent);
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
    s->ahead.length = 0;
}

void extents_skip(struct extents *s, uint64_t offset)
{
    assert(!(s->want & EXTENTS_WANT_JOINED));
    s->wanted = offset;
    if (s->asked_host || (offset > s->offset && (offset - s->offset) / MANY_ANSWERS >= s->told))
        skip(s);
}
