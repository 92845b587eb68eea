// SPDX-License-Identifier: Apache-2.0
/* Writing tables in bulk. */
#include "bench-images.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BULK = 1 << 20 }; /* bytes per write of a table */

static uint8_t bulk[BULK];

bool has_data(const struct bench_image *image, uint64_t i)
{
    return i % image->of >= image->skip;
}

uint64_t data_unit(const struct bench_image *image, uint64_t i)
{
    return image->in_order ? i : i ^ 7;
}

void die(const char *what)
{
    fprintf(stderr, "make-bench-images: %s: %s\n", what, strerror(errno));
    exit(1);
}

void write_at(int fd, uint64_t offset, const void *bytes, size_t length)
{
    while (length) {
        ssize_t n = pwrite(fd, bytes, length, (off_t)offset);

        if (n <= 0)
            die("write");
        bytes = (const uint8_t *)bytes + n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
}

void set_size(int fd, uint64_t size)
{
    if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0)
        die("cannot set the size");
}

void table_flush(struct table *t)
{
    write_at(t->fd, t->offset, bulk, t->length);
    t->offset += t->length;
    t->length = 0;
}

uint8_t *table_next(struct table *t, size_t width)
{
    if (t->length + width > BULK)
        table_flush(t);
    t->length += width;
    return bulk + t->length - width;
}
