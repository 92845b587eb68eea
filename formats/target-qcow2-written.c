// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the qcow2 file that `qemu-img convert` writes: what stands in it when it is made, and
 * L2 tables and data clusters in the order in which they come. Of data that is not compressed, what
 * is written at once gets clusters in a row where it can.
 */
#include "target-qcow2.h"

#include <errno.h>

#include "checked.h"
#include "conversion.h"
#include "qcow2-space.h"

enum {
    SLICE = 65536,       /* bytes of an L2 table that are looked at together */
    CRYPT_CLUSTERS = 32, /* that are encrypted together */
    NO_CLUSTER = 0,      /* a host cluster that holds no data: the header's */
};

#define REQUEST_MAX (UINT64_C(1) << 31) /* bytes, less a cluster, that are preallocated at once */

struct writer {
    struct qcow2_space space;
    uint64_t cluster;       /* bytes */
    uint64_t subcluster;    /* bytes; written whole */
    uint64_t table_entries; /* of an L2 table, */
    uint64_t slice_entries; /* and of a slice of it */
    uint64_t request_max;   /* clusters that are written at once */
    uint64_t tables;        /* L2 tables up to this one are not needed any more, or there */
    uint64_t last;          /* guest clusters before this one are not needed any more, or there, */
    uint64_t last_host;     /* and where the last of them is */

    uint64_t run;         /* guest bytes where the run begins */
    uint64_t offset, end; /* what is written at once, as far as is known */
};

/* The L2 table of a guest cluster, unless it is there. */
static void need_table(struct writer *w, uint64_t cluster)
{
    uint64_t table = cluster / w->table_entries;

    if (table < w->tables)
        return;
    qcow2_space_written(&w->space, (qcow2_space_take(&w->space, 1) + 1) * w->cluster);
    w->tables = table + 1;
}

/*
 * Takes host clusters for guest clusters from number cluster on: at most count, and of one slice;
 * at wanted if that is one, as far as they are free there. Returns how many.
 */
static uint64_t take(struct writer *w, uint64_t cluster, uint64_t count, uint64_t wanted)
{
    uint64_t host = wanted;

    count = min_u64(count, w->slice_entries - cluster % w->slice_entries);
    need_table(w, cluster);
    if (wanted == NO_CLUSTER)
        host = qcow2_space_take(&w->space, count);
    else
        count = qcow2_space_take_at(&w->space, wanted, count);
    if (count) {
        w->last = cluster + count;
        w->last_host = host + count - 1;
    }
    return count;
}

/*
 * Places guest bytes from offset on, until they cannot be in a row any more. Returns how many, and
 * *end is the end of them in the file.
 */
static uint64_t place(struct writer *w, uint64_t offset, uint64_t length, uint64_t *end)
{
    uint64_t placed = 0, wanted = NO_CLUSTER;

    while (placed < length) {
        uint64_t at = offset + placed, cluster = at / w->cluster, within = at % w->cluster,
                 count = 1;

        /* The first may be one of which something was written before. */
        if (cluster >= w->last)
            count = take(w, cluster, div_up(within + length - placed, w->cluster), wanted);
        if (!count)
            break;
        placed += min_u64(length - placed, count * w->cluster - within);
        wanted = w->last_host + 1;
        *end = w->last_host * w->cluster + (offset + placed - 1) % w->cluster + 1;
    }
    return placed;
}

/* Writes guest bytes, and what belongs to them, which reads as zeros. */
static void write_request(struct writer *w, uint64_t offset, uint64_t length)
{
    uint64_t end = 0, most = w->request_max * w->cluster;

    while (length) {
        uint64_t placed = place(w, offset, min_u64(length, most - offset % w->cluster), &end);

        qcow2_space_written(&w->space, div_up(end, w->subcluster) * w->subcluster);
        offset += placed;
        length -= placed;
    }
}

static void preallocate_tables(struct writer *w, uint64_t virtual_size)
{
    uint64_t most = (REQUEST_MAX - 1) / w->cluster * w->cluster, end = 0;

    for (uint64_t at = 0; at < virtual_size;)
        at += place(w, at, min_u64(virtual_size - at, most), &end);
    qcow2_space_written(&w->space, div_up(end, w->subcluster) * w->subcluster);
}

/* All clusters behind what there is, then the L2 tables wherever there is room. */
static void preallocate_data(struct writer *w, uint64_t virtual_size)
{
    uint64_t clusters = div_up(virtual_size, w->cluster);

    qcow2_space_extend(&w->space, clusters, div_up(clusters, w->table_entries) + 1);
    for (uint64_t at = 0; at < clusters; at += w->table_entries)
        need_table(w, at);
}

/* What is made before the first data: the L1 table, what is preallocated, and a LUKS header. */
static void make(struct writer *w, const struct target_options *o, uint64_t virtual_size)
{
    uint64_t l1 = div_up(div_up(virtual_size, w->cluster), w->table_entries) * QCOW2_L1_ENTRY;
    uint64_t header = div_up(o->header_size, w->cluster);

    if (l1)
        qcow2_space_written(&w->space,
                            qcow2_space_take(&w->space, div_up(l1, w->cluster)) * w->cluster + l1);
    if (o->preallocation == QCOW2_PREALLOCATION_METADATA)
        preallocate_tables(w, virtual_size);
    else if (o->preallocation != QCOW2_PREALLOCATION_OFF)
        preallocate_data(w, virtual_size);
    if (header)
        qcow2_space_written(&w->space, (qcow2_space_take(&w->space, header) + header) * w->cluster);
    qcow2_space_reopen(&w->space);
}

static int begin(struct conversion *c, struct reason *why)
{
    const struct target_options *o = c->options;
    uint64_t entry = o->extended_l2 ? 16 : 8, disk;
    struct writer *w;
    int error;

    if (!checked_round_up(c->virtual_size, o->cluster_size, &disk) || disk > (uint64_t)INT64_MAX)
        return target_too_large(why, c->virtual_size);
    if (div_up(disk / o->cluster_size, o->cluster_size / entry) > QCOW2_L1_MAX / QCOW2_L1_ENTRY)
        return target_refuse(why, EFBIG,
                             "Could not resize image: Failed to grow the L1 table: File too large");
    w = image_alloc(c->img, sizeof *w);
    if (!w)
        return target_refuse(why, ENOMEM, "out of memory");
    w->cluster = o->cluster_size;
    w->subcluster = o->extended_l2 ? o->cluster_size / 32 : o->cluster_size;
    w->table_entries = o->cluster_size / entry;
    w->slice_entries = min_u64(o->cluster_size, SLICE) / entry;
    w->request_max = o->encrypted ? CRYPT_CLUSTERS : REQUEST_MAX / o->cluster_size;
    error = qcow2_space_begin(&w->space, c->img, o->cluster_size, o->refcount_bits);
    if (error)
        return target_refuse(why, -error, "out of memory");
    c->state = w;
    make(w, o, c->virtual_size);
    return 0;
}

static int run(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct writer *w = c->state;

    (void)length;
    w->run = offset;
    return 0;
}

/* Pieces of one buffer that are neighbours are written together. */
static int written(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct writer *w = c->state;

    while (length) {
        uint64_t within = (offset - w->run) % CONTENTS_BUFFER;
        uint64_t piece = min_u64(length, CONTENTS_BUFFER - within);

        if (offset != w->end || within == 0) {
            write_request(w, w->offset, w->end - w->offset);
            w->offset = offset;
        }
        w->end = offset + piece;
        offset += piece;
        length -= piece;
    }
    return 0;
}

static int size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct writer *w = c->state;

    write_request(w, w->offset, w->end - w->offset);
    w->offset = w->end;
    if (w->space.free.overflowed || w->space.missing.overflowed)
        return target_refuse(why, EFBIG, "the file has more holes than can be kept in mind");
    if (w->space.too_large)
        return target_refuse(why, EFBIG, "error while writing: File too large");
    *size = w->space.end;
    return 0;
}

const struct conversion_model qcow2_written = {
    .begin = begin,
    .run = run,
    .written = written,
    .size = size,
};

/* Data clusters that are all preallocated, and written in place. */
const struct conversion_model qcow2_preallocated = {
    .begin = begin,
    .size = size,
};
const struct conversion_model qcow2_compressed = {.begin = begin, .size = size};
