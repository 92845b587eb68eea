// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the qcow file that `qemu-img convert -c` writes: compressed clusters at the next
 * sector, clusters that do not get smaller and L2 tables at the next multiple of a cluster.
 */
#include "qcow.h"

#include <errno.h>
#include <string.h>

#include "compressor.h"
#include "conversion.h"
#include "formats/checked.h"
#include "formats/image.h"

enum { SECTOR = 512 };

struct writer {
    struct compressor *compressor;
    uint64_t end;    /* bytes of the file */
    uint64_t ranges; /* L2 tables before this one are there, or not needed any more */
};

/* Puts bytes at the next multiple of unit behind the sector where the file ends. */
static void append(struct writer *w, uint64_t unit, uint64_t bytes)
{
    w->end = div_up(w->end, unit) * unit + bytes;
}

static int begin(struct conversion *c, struct reason *why)
{
    static const uint64_t none[TARGET_UNITS_MAX];
    struct target_size size;
    struct writer *w = image_alloc(c->img, sizeof *w);
    int error = c->target->size(c->options, c->virtual_size, none, &size, why);

    if (error)
        return error;
    if (!w)
        return target_refuse(why, ENOMEM, "out of memory");
    w->end = size.required;
    c->state = w;
    w->compressor = compressor_begin(c->img, COMPRESSION_DEFLATE, QCOW_CLUSTER - 1);
    return w->compressor ? 0 : target_refuse(why, ENOMEM, "out of memory");
}

static int take_cluster(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct writer *w = context;
    uint8_t padded[QCOW_CLUSTER] = {0};
    int64_t made;

    memcpy(padded, bytes, length);
    made = compressor_size(w->compressor, padded, QCOW_CLUSTER);
    if (made < 0)
        return (int)made;
    if (offset / QCOW_RANGE >= w->ranges) {
        append(w, QCOW_CLUSTER, QCOW_CLUSTER);
        w->ranges = offset / QCOW_RANGE + 1;
    }
    if (made)
        append(w, SECTOR, (uint64_t)made);
    else
        append(w, QCOW_CLUSTER, QCOW_CLUSTER);
    return 0;
}

static int slab(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length)
{
    return conversion_units(offset, bytes, length, QCOW_CLUSTER, take_cluster, c->state);
}

static int size(struct conversion *c, uint64_t *size, struct reason *why)
{
    const struct writer *w = c->state;

    (void)why;
    *size = w->end;
    return 0;
}

static void close_writer(struct conversion *c)
{
    struct writer *w = c->state;

    compressor_end(w->compressor);
}

const struct conversion_model qcow_compressed = {
    .begin = begin,
    .slab = slab,
    .size = size,
    .close = close_writer,
};
