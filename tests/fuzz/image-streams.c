// SPDX-License-Identifier: Apache-2.0
/* What must hold of the extents and the bytes of a disk, whatever the image. */
#include "image-streams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "detect/detect.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/image.h"

enum {
    EXTENTS_LOOKED_AT = 500, /* of one walk */
    EXTENTS_READ = 16,
    READ_BYTES = 4096,
};

/* A disk with a session of its own, and a walk over it. */
struct walk {
    struct image *img, *below;
    struct disk disk,
        backing; /* an empty one, if the image is made on another: holes are told then */
    struct extents stream;
    struct extent now;
    unsigned left; /* extents that are still to be looked at */
    int found;     /* what the stream has said last */
};

static void refuse(const char *what, const struct extent *a, const struct extent *b)
{
    const struct extent *both[] = {a, b};

    fprintf(stderr, "extents: %s\n", what);
    for (size_t i = 0; i < 2 && both[i]; i++)
        fprintf(stderr,
                "  offset %" PRIu64 " length %" PRIu64 " kind %d host %" PRIx64 " flags %u\n",
                both[i]->offset, both[i]->length, both[i]->kind, both[i]->host, both[i]->flags);
    abort();
}

/* Puts an empty disk below an image that is made on another. 0 or -errno. */
static int put_below(struct walk *w)
{
    static int empty = -1;
    int error;

    if (!w->disk.backing_reference)
        return 0;
    if (empty < 0)
        empty = memfd_create("empty", MFD_CLOEXEC);
    error = image_open(&w->below, empty);
    if (!error)
        error = disk_open(&w->backing, w->below, &raw_driver, NULL);
    w->disk.backing = &w->backing;
    return error;
}

/* Begins a walk; 0 or -errno. walk_end() ends it in any case. */
static int walk_begin(struct walk *w, int fd, const struct open_options *options, unsigned want)
{
    struct detection detection;
    int error = image_open(&w->img, fd);

    w->below = NULL;
    if (!error)
        error = detect(w->img, options, &detection);
    if (!error)
        error = disk_open(&w->disk, w->img, detection.driver, options);
    if (!error)
        error = put_below(w);
    if (!error)
        extents_begin(&w->stream, &w->disk, want);
    w->now = (struct extent){.length = 0};
    w->left = EXTENTS_LOOKED_AT;
    return error;
}

static void walk_end(struct walk *w)
{
    image_close(w->img);
    image_close(w->below);
}

/* What each extent has, wherever it is. */
static void check_extent(const struct walk *w, const struct extent *e)
{
    if (!e->length || e->offset + e->length > w->disk.virtual_size)
        refuse("one is of no length, or beyond the end", e, NULL);
    if (e->flags & EXTENT_HOST_HOLES && e->kind == EXTENT_DATA && e->host == EXTENT_NO_HOST)
        refuse("holes of the host count, but it has no place there", e, NULL);
    if (e->layer || e->file > w->disk.references_count)
        refuse("it stands in another file than there is", e, NULL);
}

/* Goes on to the extent that has the offset, where the last one ends. */
static bool walk_to(struct walk *w, uint64_t offset)
{
    uint64_t end = w->now.offset + w->now.length;

    if (offset < end)
        return true;
    if (!w->left--)
        return false;
    w->found = extents_next(&w->stream, &w->now);
    if (w->found < 0)
        return false;
    if (w->found == 0 || w->now.offset != end)
        refuse("the stream ends before the disk, or has a gap", &w->now, NULL);
    check_extent(w, &w->now);
    return true;
}

/* Data behind the end of the file: who reads is told of it, to who counts it is a hole. */
static bool is_past_end(const struct walk *w, const struct extent *e)
{
    return e->flags & EXTENT_HOST_HOLES && e->host + e->length > image_size(w->img);
}

/* Both walks, as far as both go. */
static void compare(struct walk *read, struct walk *count)
{
    uint64_t offset = 0;

    while (offset < read->disk.virtual_size && walk_to(read, offset) && walk_to(count, offset)) {
        const struct extent *r = &read->now, *c = &count->now;

        if (r->kind != c->kind && !is_past_end(read, r))
            refuse("who reads and who counts is told other things", r, c);
        offset = min_u64(r->offset + r->length, c->offset + c->length);
    }
}

/* What is told in the middle of one of these extents, which follow each other, is what they are. */
static void check_middle(struct walk *w, const struct extent *some, const struct extent *end)
{
    uint64_t middle = some->offset + some->length / 2;
    struct extent rest;

    extents_seek(&w->stream, middle);
    if (extents_next(&w->stream, &rest) < 0)
        return;
    check_extent(w, &rest);
    if (rest.offset != middle)
        refuse("one begins elsewhere than where it was asked for", some, &rest);
    if ((w->stream.want & EXTENTS_WANT_HOST) && rest.kind == some->kind &&
        ((some->host != EXTENT_NO_HOST && rest.host != some->host + (middle - some->offset)) ||
         ((rest.flags ^ some->flags) & EXTENT_COMPRESSED)))
        refuse("in the middle of one is another place", some, &rest);
    for (; some < end && some->offset < middle + rest.length; some++)
        if (rest.kind != some->kind && !is_past_end(w, some))
            refuse("in the middle of one is something else", some, &rest);
}

/* The bytes of an extent, and the same once more in two halves. */
static void check_bytes(struct walk *w, const struct extent *e)
{
    static uint8_t once[READ_BYTES], twice[READ_BYTES];
    size_t length = (size_t)min_u64(e->length, READ_BYTES), half = length / 3;

    memset(once, 0x55, sizeof once);
    memset(twice, 0xaa, sizeof twice);
    if (disk_read(&w->disk, e->offset, once, length))
        return;
    if (disk_read(&w->disk, e->offset + half, twice + half, length - half) ||
        disk_read(&w->disk, e->offset, twice, half))
        refuse("the halves of what was read cannot be read", e, NULL);
    if (memcmp(once, twice, length) != 0)
        refuse("other bytes are read in halves", e, NULL);
    for (size_t i = 0; i < length && e->kind != EXTENT_DATA; i++)
        if (once[i])
            refuse("a byte of what is no data is not zero", e, NULL);
}

/* Looks at some extents from other sides. */
static void check_some(struct walk *read, struct walk *count)
{
    struct extent some[EXTENTS_READ];
    size_t n = 0;

    extents_begin(&read->stream, &read->disk, EXTENTS_WANT_HOST);
    while (n < EXTENTS_READ && extents_next(&read->stream, &some[n]) == 1)
        n++;
    for (size_t i = n; i-- > 0;) {
        check_middle(read, &some[i], &some[n]);
        check_middle(count, &some[i], &some[n]);
    }
    for (size_t i = n; i-- > 0;)
        check_bytes(read, &some[i]);
}

void check_streams(int fd, const struct open_options *options)
{
    struct open_options o = {.format = options->format, .name = options->name};
    struct walk read, count;
    int error = walk_begin(&read, fd, &o, EXTENTS_WANT_HOST);

    if (walk_begin(&count, fd, &o, 0) != error)
        refuse("it is opened once, and not another time", NULL, NULL);
    if (!error) {
        compare(&read, &count);
        check_some(&read, &count);
    }
    walk_end(&read);
    walk_end(&count);
}
