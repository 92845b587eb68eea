// SPDX-License-Identifier: Apache-2.0
/*
 * The size of the files that `qemu-img convert -O vmdk` writes (Virtual Disk Format 5.0): of
 * streamOptimized the compressed grains, and of the formats in several files each of them.
 */
#include "vmdk.h"

#include <errno.h>
#include <stdio.h>

#include "compressor.h"
#include "conversion.h"
#include "formats/checked.h"
#include "formats/format.h"
#include "formats/image.h"

enum {
    SECTOR = 512,
    MARKER = 12, /* bytes in front of a grain's */
};

static int out_of_memory(struct reason *why)
{
    return target_refuse(why, ENOMEM, "out of memory");
}

/* What the target refuses, and the size without any data. */
static int empty_size(const struct conversion *c, uint64_t *size, struct reason *why)
{
    static const uint64_t none[TARGET_UNITS_MAX];
    struct target_size sizes = {0, 0};
    int error = c->target->size(c->options, c->virtual_size, none, &sizes, why);

    *size = sizes.required;
    return error;
}

/* streamOptimized: a file of compressed grains, one behind the other. */
struct stream {
    struct compressor *compressor;
    uint64_t next; /* where the next grain goes */
    uint64_t end;  /* bytes of the file */
};

static int stream_begin(struct conversion *c, struct reason *why)
{
    struct stream *s = image_alloc(c->img, sizeof *s);
    int error;

    if (!s)
        return out_of_memory(why);
    error = empty_size(c, &s->end, why);
    if (error)
        return error;
    s->next = s->end;
    c->state = s;
    s->compressor = compressor_begin(c->img, COMPRESSION_ZLIB, 2 * VMDK_GRAIN);
    return s->compressor ? 0 : out_of_memory(why);
}

/* A whole grain is zeroed first, so that the file ends there if not behind. */
static int stream_grain(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct stream *s = context;
    int64_t made = compressor_size(s->compressor, bytes, length);
    uint64_t stored;

    (void)offset;
    if (made < 0)
        return (int)made;
    stored = div_up(MARKER + (uint64_t)made, SECTOR) * SECTOR;
    s->end = s->next + max_u64(stored, VMDK_GRAIN);
    s->next += stored;
    return 0;
}

static int stream_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes, size_t length)
{
    return conversion_units(offset, bytes, length, VMDK_GRAIN, stream_grain, c->state);
}

static int stream_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    const struct stream *s = c->state;

    (void)why;
    *size = s->end;
    return 0;
}

static void stream_close(struct conversion *c)
{
    struct stream *s = c->state;

    compressor_end(s->compressor);
}

const struct conversion_model vmdk_stream = {
    .begin = stream_begin,
    .slab = stream_slab,
    .size = stream_size,
    .close = stream_close,
};

/* A descriptor, and extents of at most 2 GiB each, or one. */
struct extents_written {
    struct unit_count grains; /* of all */
    uint32_t *written;        /* grains, by extent */
    uint64_t disk;            /* bytes */
    uint64_t extent;          /* of each extent but the last */
};

static bool is_sparse(const struct conversion *c)
{
    return c->options->subformat == VMDK_SPLIT_SPARSE;
}

static int extents_begin_files(struct conversion *c, struct reason *why)
{
    struct extents_written *e = image_alloc(c->img, sizeof *e);
    uint64_t size;
    int error = empty_size(c, &size, why);

    if (error)
        return error;
    if (!e)
        return out_of_memory(why);
    e->disk = div_up(c->virtual_size, SECTOR) * SECTOR;
    e->extent = c->options->subformat == VMDK_FLAT ? e->disk : VMDK_SPLIT_BYTES;
    e->written = image_alloc(c->img, div_up(e->disk, e->extent) * sizeof *e->written);
    unit_count_begin(&e->grains, VMDK_GRAIN);
    c->state = e;
    return e->written ? 0 : out_of_memory(why);
}

/* All extents but the last hold whole grains. */
static int extents_written(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct extents_written *e = c->state;

    while (length) {
        uint64_t n = offset / e->extent, before = e->grains.touched;
        uint64_t piece = min_u64(length, (n + 1) * e->extent - offset);

        unit_count_range(&e->grains, offset, piece);
        e->written[n] += (uint32_t)(e->grains.touched - before);
        offset += piece;
        length -= piece;
    }
    return 0;
}

static uint64_t extents_files(const struct conversion *c)
{
    const struct extents_written *e = c->state;

    return 1 + div_up(e->disk, e->extent);
}

/* The descriptor, which is filled up to a sector when the first data is written; then the extents.
 */
static void extents_file(const struct conversion *c, uint64_t number, struct conversion_file *file)
{
    const struct extents_written *e = c->state;
    uint64_t n, bytes;

    if (!number) {
        bytes = vmdk_descriptor_bytes(c->options, e->disk, c->name);
        file->size = e->grains.touched ? div_up(bytes, SECTOR) * SECTOR : bytes;
        snprintf(file->name, sizeof file->name, "%s", c->name);
        return;
    }
    n = number - 1;
    bytes = min_u64(e->extent, e->disk - n * e->extent);
    file->size = is_sparse(c) ? vmdk_overhead(bytes) + e->written[n] * (uint64_t)VMDK_GRAIN : bytes;
    vmdk_extent_name(c->options, c->name, n, file->name, sizeof file->name);
}

static int extents_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct conversion_file file;

    (void)why;
    *size = 0;
    for (uint64_t number = 0; number < extents_files(c); number++) {
        extents_file(c, number, &file);
        *size += file.size;
    }
    return 0;
}

const struct conversion_model vmdk_extents = {
    .begin = extents_begin_files,
    .written = extents_written,
    .size = extents_size,
    .files = extents_files,
    .file = extents_file,
};
