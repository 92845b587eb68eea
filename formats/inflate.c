// SPDX-License-Identifier: Apache-2.0
/* Deflate streams, a piece at a time: neither side of a stream is ever held as a whole. */
#include "inflate.h"

#include <errno.h>
#include <stdio.h>
#include <zlib.h>

#include "checked.h"

enum {
    PIECE = 16 << 10,

    /* Nanoseconds for a byte of the worst input, tables of codes for next to nothing; a byte of
       output takes about one. */
    INPUT_WORK = 100,
};

struct stream {
    struct image *img;
    const char *what;        /* for errors */
    uint64_t offset, length; /* what is left of it in the file */
    uint64_t skip;           /* what is to be dropped of what it makes */
    z_stream z;
    uint8_t in[PIECE], dropped[PIECE];
};

/* Reads on if all was used. 0 or -errno, said. */
static int refill(struct stream *s)
{
    size_t n = (size_t)min_u64(s->length, PIECE);
    int error = 0;

    if (s->z.avail_in || !n)
        return 0;
    error = image_work(s->img, n * INPUT_WORK, s->what);
    if (!error)
        error = image_read(s->img, s->offset, n, s->in);
    s->z.next_in = s->in;
    s->z.avail_in = (unsigned)n;
    s->offset += n;
    s->length -= n;
    return error;
}

/* Makes wanted bytes after what is skipped. 0; -errno, said; or -EUCLEAN, not said. */
static int run(struct stream *s, uint8_t *bytes, size_t wanted)
{
    while (s->skip || wanted) {
        size_t room = (size_t)min_u64(s->skip ? s->skip : wanted, s->skip ? PIECE : UINT32_MAX);
        size_t made;
        int error = refill(s), result;

        if (!error)
            error = image_work(s->img, room, s->what);
        if (error)
            return error;
        s->z.next_out = s->skip ? s->dropped : bytes;
        s->z.avail_out = (unsigned)room;
        result = inflate(&s->z, Z_NO_FLUSH);
        made = room - s->z.avail_out;
        if (s->skip) {
            s->skip -= made;
        } else {
            bytes += made;
            wanted -= made;
        }
        /* What does not go on now never will. */
        if (result == Z_MEM_ERROR)
            return image_fail(s->img, ENOMEM, "out of memory");
        if (result != Z_OK && (s->skip || wanted))
            return -EUCLEAN;
    }
    return 0;
}

int inflate_at(struct image *img, const char *format, const char *what, uint64_t offset,
               uint64_t length, int window_bits, uint64_t skip, uint8_t *bytes, size_t wanted)
{
    char label[64];
    struct stream s = {.img = img, .what = label, .offset = offset, .skip = skip};
    uint64_t size = image_size(img);
    int error;

    if (offset >= size)
        return image_fail(img, EIO, "%s: %s at offset %llu is past the end of the file", format,
                          what, (unsigned long long)offset);
    snprintf(label, sizeof label, "%s: inflating %s", format, what);
    s.length = min_u64(length, size - offset);
    if (inflateInit2(&s.z, window_bits) != Z_OK)
        return image_fail(img, ENOMEM, "%s: no memory to inflate %s", format, what);
    error = run(&s, bytes, wanted);
    inflateEnd(&s.z);
    if (error != -EUCLEAN)
        return error;
    return image_fail(img, EUCLEAN, "%s: %s at offset %llu is not a whole deflate stream", format,
                      what, (unsigned long long)offset);
}
