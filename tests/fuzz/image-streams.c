// SPDX-License-Identifier: Apache-2.0
/* Invariants of extents and guest bytes, whatever the image. */
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
    EXTENTS_COMPARED = 500, /* per walk */
    EXTENTS_READ = 16,
    READ_BYTES = 4096,
};

/* A disk with a session of its own, and a walk over it. */
struct walk {
    struct image *img, *backing_img;
    struct disk disk,
        backing; /* an empty disk, if the image needs a backing image: holes are reported then */
    struct extents stream;
    struct extent now;
    unsigned left; /* extents still to be compared */
    int found;     /* the last result of the stream */
};

static void fail(const char *what, const struct extent *a, const struct extent *b)
{
    const struct extent *both[] = {a, b};

    fprintf(stderr, "extents: %s\n", what);
    for (size_t i = 0; i < 2 && both[i]; i++)
        fprintf(stderr,
                "  offset %" PRIu64 " length %" PRIu64 " kind %d host %" PRIx64 " flags %u\n",
                both[i]->offset, both[i]->length, both[i]->kind, both[i]->host, both[i]->flags);
    abort();
}

/* Adds an empty backing image if the image needs one. 0 or -errno. */
static int add_backing(struct walk *w)
{
    static int empty = -1;
    int error;

    if (!w->disk.backing_reference)
        return 0;
    if (empty < 0)
        empty = memfd_create("empty", MFD_CLOEXEC);
    error = image_open(&w->backing_img, empty);
    if (!error)
        error = disk_open(&w->backing, w->backing_img, &raw_driver, NULL);
    w->disk.backing = &w->backing;
    return error;
}

/* Returns 0 or -errno; in both cases walk_end() must follow. */
static int walk_begin(struct walk *w, int fd, const struct open_options *options, unsigned want)
{
    struct detection detection;
    int error = image_open(&w->img, fd);

    w->backing_img = NULL;
    if (!error)
        error = detect(w->img, options, &detection);
    if (!error)
        error = disk_open(&w->disk, w->img, detection.driver, options);
    if (!error)
        error = add_backing(w);
    if (!error)
        extents_begin(&w->stream, &w->disk, want);
    w->now = (struct extent){.length = 0};
    w->left = EXTENTS_COMPARED;
    return error;
}

static void walk_end(struct walk *w)
{
    image_close(w->img);
    image_close(w->backing_img);
}

static void check_extent(const struct walk *w, const struct extent *e)
{
    if (!e->length || e->offset + e->length > w->disk.virtual_size)
        fail("empty, or beyond the end of the disk", e, NULL);
    if (e->flags & EXTENT_HOST_HOLES && e->kind == EXTENT_DATA && e->host == EXTENT_NO_HOST)
        fail("EXTENT_HOST_HOLES without host offset", e, NULL);
    if (e->layer || e->file > w->disk.references_count)
        fail("in a file that does not exist", e, NULL);
}

/* Advances to the extent with that offset, at most one further. */
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
        fail("the stream ends early, or has a gap", &w->now, NULL);
    check_extent(w, &w->now);
    return true;
}

/* Data past the end of the file: an error with EXTENTS_WANT_HOST, a hole without. */
static bool is_past_end(const struct walk *w, const struct extent *e)
{
    return e->flags & EXTENT_HOST_HOLES && e->host + e->length > image_size(w->img);
}

static void compare(struct walk *read, struct walk *count)
{
    uint64_t offset = 0;

    while (offset < read->disk.virtual_size && walk_to(read, offset) && walk_to(count, offset)) {
        const struct extent *r = &read->now, *c = &count->now;

        if (r->kind != c->kind && !is_past_end(read, r))
            fail("walks with and without host offsets differ", r, c);
        offset = min_u64(r->offset + r->length, c->offset + c->length);
    }
}

/* Seeking to the middle of an extent, which others follow up to end, yields the rest of it. */
static void check_middle(struct walk *w, const struct extent *some, const struct extent *end)
{
    uint64_t middle = some->offset + some->length / 2;
    struct extent rest;

    extents_seek(&w->stream, middle);
    if (extents_next(&w->stream, &rest) < 0)
        return;
    check_extent(w, &rest);
    if (rest.offset != middle)
        fail("begins at another offset than that of the seek", some, &rest);
    if ((w->stream.want & EXTENTS_WANT_HOST) && rest.kind == some->kind &&
        ((some->host != EXTENT_NO_HOST && rest.host != some->host + (middle - some->offset)) ||
         ((rest.flags ^ some->flags) & EXTENT_COMPRESSED)))
        fail("another host offset after a seek", some, &rest);
    for (; some < end && some->offset < middle + rest.length; some++)
        if (rest.kind != some->kind && !is_past_end(w, some))
            fail("another kind after a seek", some, &rest);
}

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
        fail("parts of a range that could be read cannot be read", e, NULL);
    if (memcmp(once, twice, length) != 0)
        fail("parts of a range have other bytes", e, NULL);
    for (size_t i = 0; i < length && e->kind != EXTENT_DATA; i++)
        if (once[i])
            fail("a byte outside of data is not zero", e, NULL);
}

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
        fail("the image can be opened once, but not again", NULL, NULL);
    if (!error) {
        compare(&read, &count);
        check_some(&read, &count);
    }
    walk_end(&read);
    walk_end(&count);
}
