// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the qcow2 file that `qemu-img convert` writes, plainly or compressed. Compressed
 * clusters are packed, byte by byte, into host clusters as long as these are in a row.
 */
#include "qcow2.h"

#include <errno.h>
#include <string.h>

#include "compressor.h"
#include "formats/checked.h"
#include "formats/image.h"
#include "qcow2-writer.h"

/* Data that is not compressed. */
struct request {
    struct qcow2_writer writer;
    uint64_t run;         /* guest bytes where the run begins */
    uint64_t offset, end; /* what is written at once, as far as is known */
};

/* Begins the writer that a state of so many bytes begins with. */
static int begin_state(struct conversion *c, size_t bytes, struct reason *why)
{
    c->state = image_alloc(c->img, bytes);
    if (!c->state)
        return target_refuse(why, ENOMEM, "out of memory");
    return qcow2_writer_begin(c->state, c->img, c->options, c->virtual_size, why);
}

static int begin(struct conversion *c, struct reason *why)
{
    return begin_state(c, sizeof(struct request), why);
}

static int run(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct request *r = c->state;

    (void)length;
    r->run = offset;
    return 0;
}

/* Pieces of one buffer that are neighbours are written together. */
static int written(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct request *r = c->state;

    while (length) {
        uint64_t within = (offset - r->run) % DATA_WALK_BUFFER;
        uint64_t piece = min_u64(length, DATA_WALK_BUFFER - within);

        if (offset != r->end || within == 0) {
            qcow2_writer_write(&r->writer, r->offset, r->end - r->offset);
            r->offset = offset;
        }
        r->end = offset + piece;
        offset += piece;
        length -= piece;
    }
    return 0;
}

static int size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct request *r = c->state;

    qcow2_writer_write(&r->writer, r->offset, r->end - r->offset);
    r->offset = r->end;
    return qcow2_writer_size(&r->writer, size, why);
}

const struct conversion_model qcow2_written = {
    .begin = begin,
    .run = run,
    .written = written,
    .size = size,
};

/* Data clusters that are all there before the first is written. */
const struct conversion_model qcow2_preallocated = {
    .begin = begin,
    .size = size,
};

/* Compressed data. */
struct packer {
    struct qcow2_writer writer;
    struct compressor *compressor;
    uint64_t free; /* where the last one ends in the file, inside a cluster; 0: at its end */
    uint64_t refcount, refcount_max; /* how many that cluster holds parts of, and may */
    uint8_t *padded;                 /* a cluster */
};

/* Finds a place for so many compressed bytes, fewer than a cluster. */
static void pack(struct packer *p, uint64_t bytes)
{
    struct qcow2_space *space = &p->writer.space;
    uint64_t cluster = p->writer.cluster, at, next;

    do {
        uint64_t room = p->free % cluster ? cluster - p->free % cluster : 0;

        at = p->refcount < p->refcount_max ? p->free : 0;
        if (at && room >= bytes) {
            p->refcount++;
            break;
        }
        p->refcount = 1;
        next = qcow2_space_search(space, 1);
        if (!at || at + room != next * cluster)
            at = next * cluster;
        p->free = 0; /* should a refcount block come between */
    } while (!qcow2_space_claim(space, next, 1));
    qcow2_space_written(space, at + bytes);
    p->free = (at + bytes) % cluster ? at + bytes : 0;
}

static int take_cluster(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct packer *p = context;
    size_t cluster = (size_t)p->writer.cluster;
    int64_t made;

    if (length < cluster) {
        memcpy(p->padded, bytes, length);
        memset(p->padded + length, 0, cluster - length);
        bytes = p->padded;
    }
    made = compressor_size(p->compressor, bytes, cluster);
    if (made < 0)
        return (int)made;
    if (!made) {
        qcow2_writer_write(&p->writer, offset, length);
        return 0;
    }
    qcow2_writer_need_table(&p->writer, offset);
    pack(p, (uint64_t)made);
    return 0;
}

static int compressed_begin(struct conversion *c, struct reason *why)
{
    const struct target_options *o = c->options;
    size_t cluster = (size_t)o->cluster_size;
    struct packer *p;
    int error = begin_state(c, sizeof *p, why);

    if (error)
        return error;
    p = c->state;
    p->refcount_max = o->refcount_bits < 64 ? (UINT64_C(1) << o->refcount_bits) - 1 : UINT64_MAX;
    p->padded = image_alloc(c->img, cluster);
    p->compressor =
        compressor_begin(c->img, o->zstd ? COMPRESSION_ZSTD : COMPRESSION_DEFLATE, cluster - 1);
    return p->padded && p->compressor ? 0 : target_refuse(why, ENOMEM, "out of memory");
}

static int compressed_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes,
                           size_t length)
{
    const struct packer *p = c->state;

    return conversion_units(offset, bytes, length, p->writer.cluster, take_cluster, c->state);
}

/* The file is filled up to a sector. */
static int compressed_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct packer *p = c->state;
    int error = qcow2_writer_size(&p->writer, size, why);

    *size = div_up(*size, 512) * 512;
    return error;
}

static void compressed_close(struct conversion *c)
{
    struct packer *p = c->state;

    compressor_end(p->compressor);
}

const struct conversion_model qcow2_compressed = {
    .begin = compressed_begin,
    .slab = compressed_slab,
    .size = compressed_size,
    .close = compressed_close,
};
