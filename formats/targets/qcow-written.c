// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the qcow file that `qemu-img convert -c` writes. Compressed clusters begin at the
 * next sector; L2 tables, and clusters that compression does not shrink, at the next multiple of
 * the cluster size.
 */
#include "qcow.h"

#include <errno.h>
#include <string.h>

#include "compressor.h"
#include "conversion.h"
#include "formats/checked.h"
#include "formats/image.h"

struct qcow_writer {
    struct compressor *compressor;
    uint64_t end;    /* bytes of the file */
    uint64_t tables; /* L2 tables with a smaller number exist, or are not needed any more */
};

/* Appends bytes at the next multiple of unit. */
static void qcow_append(struct qcow_writer *w, uint64_t unit, uint64_t bytes)
{
    w->end = div_up(w->end, unit) * unit + bytes;
}

static int qcow_begin_compressed(struct conversion *c, struct reason *why)
{
    static const uint64_t none[TARGET_UNITS_MAX];
    struct target_size size;
    struct qcow_writer *w = image_alloc(c->img, sizeof *w);
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

static int qcow_write_cluster(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct qcow_writer *w = context;
    uint8_t padded[QCOW_CLUSTER] = {0};
    int64_t packed;

    memcpy(padded, bytes, length);
    packed = compressor_size(w->compressor, padded, QCOW_CLUSTER);
    if (packed < 0)
        return (int)packed;
    if (offset / QCOW_RANGE >= w->tables) {
        qcow_append(w, QCOW_CLUSTER, QCOW_CLUSTER);
        w->tables = offset / QCOW_RANGE + 1;
    }
    if (packed)
        qcow_append(w, SECTOR, (uint64_t)packed);
    else
        qcow_append(w, QCOW_CLUSTER, QCOW_CLUSTER);
    return 0;
}

static int qcow_write_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes,
                           size_t length)
{
    return conversion_units(offset, bytes, length, QCOW_CLUSTER, qcow_write_cluster, c->state);
}

static int qcow_compressed_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    const struct qcow_writer *w = c->state;

    (void)why;
    *size = w->end;
    return 0;
}

static void qcow_close_compressed(struct conversion *c)
{
    struct qcow_writer *w = c->state;

    compressor_end(w->compressor);
}

const struct conversion_model qcow_compressed = {
    .begin = qcow_begin_compressed,
    .slab = qcow_write_slab,
    .size = qcow_compressed_size,
    .close = qcow_close_compressed,
};
