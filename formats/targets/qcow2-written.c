// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the qcow2 file that `qemu-img convert` writes, with or without compression.
 * Compressed clusters are packed without padding, also across the border of two contiguous host
 * clusters.
 */
#include "qcow2.h"

#include <errno.h>
#include <string.h>

#include "compressor.h"
#include "formats/checked.h"
#include "formats/image.h"
#include "qcow2-writer.h"

/* The state without compression. */
struct qcow2_request {
    struct qcow2_writer writer;
    uint64_t run;         /* guest offset of the current run of data */
    uint64_t offset, end; /* the write request so far: guest bytes [offset, end) */
};

/* Allocates a state of so many bytes, and begins the writer that is its first field. */
static int qcow2_begin_state(struct conversion *c, size_t bytes, struct reason *why)
{
    c->state = image_alloc(c->img, bytes);
    if (!c->state)
        return target_refuse(why, ENOMEM, "out of memory");
    return qcow2_writer_begin(c->state, c->img, c->options, c->virtual_size, why);
}

static int qcow2_begin(struct conversion *c, struct reason *why)
{
    return qcow2_begin_state(c, sizeof(struct qcow2_request), why);
}

static int qcow2_take_run(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct qcow2_request *r = c->state;

    (void)length;
    r->run = offset;
    return 0;
}

/* qemu-img writes adjacent blocks of one buffer in one request. */
static int qcow2_take_written(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct qcow2_request *r = c->state;

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

static int qcow2_written_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct qcow2_request *r = c->state;

    qcow2_writer_write(&r->writer, r->offset, r->end - r->offset);
    r->offset = r->end;
    return qcow2_writer_size(&r->writer, size, why);
}

const struct conversion_model qcow2_written = {
    .begin = qcow2_begin,
    .run = qcow2_take_run,
    .written = qcow2_take_written,
    .size = qcow2_written_size,
};

/* All data clusters exist before the first is written: the data does not change the size. */
const struct conversion_model qcow2_preallocated = {
    .begin = qcow2_begin,
    .size = qcow2_written_size,
};

/* The state with compression. */
struct qcow2_packer {
    struct qcow2_writer writer;
    struct compressor *compressor;
    uint64_t free;         /* file offset behind the last compressed cluster; 0: its host cluster is
                              full */
    uint64_t refcount;     /* compressed clusters that have bytes in that host cluster */
    uint64_t refcount_max; /* what refcount_bits can count */
    uint8_t *padded;       /* one cluster */
};

/* Allocates space for so many compressed bytes; they are fewer than a cluster. */
static void qcow2_pack(struct qcow2_packer *p, uint64_t bytes)
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
        p->free = 0; /* if claim adds a refcount block, the next cluster is not contiguous */
    } while (!qcow2_space_claim(space, next, 1));
    qcow2_space_written(space, at + bytes);
    p->free = (at + bytes) % cluster ? at + bytes : 0;
}

static int qcow2_write_cluster(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct qcow2_packer *p = context;
    size_t cluster = (size_t)p->writer.cluster;
    int64_t packed;

    if (length < cluster) {
        memcpy(p->padded, bytes, length);
        memset(p->padded + length, 0, cluster - length);
        bytes = p->padded;
    }
    packed = compressor_size(p->compressor, bytes, cluster);
    if (packed < 0)
        return (int)packed;
    if (!packed) {
        qcow2_writer_write(&p->writer, offset, length);
        return 0;
    }
    qcow2_writer_need_table(&p->writer, offset);
    qcow2_pack(p, (uint64_t)packed);
    return 0;
}

static int qcow2_compressed_begin(struct conversion *c, struct reason *why)
{
    const struct target_options *o = c->options;
    size_t cluster = (size_t)o->cluster_size;
    struct qcow2_packer *p;
    int error = qcow2_begin_state(c, sizeof *p, why);

    if (error)
        return error;
    p = c->state;
    p->refcount_max = o->refcount_bits < 64 ? (UINT64_C(1) << o->refcount_bits) - 1 : UINT64_MAX;
    p->padded = image_alloc(c->img, cluster);
    p->compressor =
        compressor_begin(c->img, o->is_zstd ? COMPRESSION_ZSTD : COMPRESSION_DEFLATE, cluster - 1);
    return p->padded && p->compressor ? 0 : target_refuse(why, ENOMEM, "out of memory");
}

static int qcow2_compress_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes,
                               size_t length)
{
    const struct qcow2_packer *p = c->state;

    return conversion_units(offset, bytes, length, p->writer.cluster, qcow2_write_cluster,
                            c->state);
}

/* qemu pads the file to a whole sector. */
static int qcow2_compressed_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct qcow2_packer *p = c->state;
    int error = qcow2_writer_size(&p->writer, size, why);

    *size = div_up(*size, SECTOR) * SECTOR;
    return error;
}

static void qcow2_compressed_close(struct conversion *c)
{
    struct qcow2_packer *p = c->state;

    compressor_end(p->compressor);
}

const struct conversion_model qcow2_compressed = {
    .begin = qcow2_compressed_begin,
    .slab = qcow2_compress_slab,
    .size = qcow2_compressed_size,
    .close = qcow2_compressed_close,
};
