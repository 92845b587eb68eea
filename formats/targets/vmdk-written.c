// SPDX-License-Identifier: Apache-2.0
/*
 * The sizes of the files that `qemu-img convert -O vmdk` writes (Virtual Disk Format 5.0):
 * streamOptimized, where they depend on compression, and the subformats of several files.
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
    GRAIN_MARKER = 12, /* bytes in front of compressed data */
};

static int vmdk_out_of_memory(struct reason *why)
{
    return target_refuse(why, ENOMEM, "out of memory");
}

/* Sets *size to the size without data. Returns 0, or the error with which the target refuses. */
static int vmdk_empty_size(const struct conversion *c, uint64_t *size, struct reason *why)
{
    static const uint64_t none[TARGET_UNITS_MAX];
    struct target_size sizes = {0, 0};
    int error = c->target->size(c->options, c->virtual_size, none, &sizes, why);

    *size = sizes.required;
    return error;
}

/* streamOptimized: compressed grains, one behind the other. */
struct vmdk_stream_state {
    struct compressor *compressor;
    uint64_t next; /* file offset of the next grain */
    uint64_t end;  /* bytes of the file */
};

static int vmdk_stream_begin(struct conversion *c, struct reason *why)
{
    struct vmdk_stream_state *s = image_alloc(c->img, sizeof *s);
    int error;

    if (!s)
        return vmdk_out_of_memory(why);
    error = vmdk_empty_size(c, &s->end, why);
    if (error)
        return error;
    s->next = s->end;
    c->state = s;
    s->compressor = compressor_begin(c->img, COMPRESSION_ZLIB, 2 * VMDK_GRAIN);
    return s->compressor ? 0 : vmdk_out_of_memory(why);
}

/* qemu first zeroes a whole grain at that offset, so the file has at least that size. */
static int vmdk_stream_grain(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct vmdk_stream_state *s = context;
    int64_t packed = compressor_size(s->compressor, bytes, length);
    uint64_t stored;

    (void)offset;
    if (packed < 0)
        return (int)packed;
    stored = div_up(GRAIN_MARKER + (uint64_t)packed, SECTOR) * SECTOR;
    s->end = s->next + max_u64(stored, VMDK_GRAIN);
    s->next += stored;
    return 0;
}

static int vmdk_stream_slab(struct conversion *c, uint64_t offset, const uint8_t *bytes,
                            size_t length)
{
    return conversion_units(offset, bytes, length, VMDK_GRAIN, vmdk_stream_grain, c->state);
}

static int vmdk_stream_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    const struct vmdk_stream_state *s = c->state;

    (void)why;
    *size = s->end;
    return 0;
}

static void vmdk_stream_close(struct conversion *c)
{
    struct vmdk_stream_state *s = c->state;

    compressor_end(s->compressor);
}

const struct conversion_model vmdk_stream = {
    .begin = vmdk_stream_begin,
    .slab = vmdk_stream_slab,
    .size = vmdk_stream_size,
    .close = vmdk_stream_close,
};

/* A descriptor file, and extent files of 2 GiB each or, in monolithicFlat, a single one. */
struct vmdk_extents_state {
    struct unit_count grains; /* of all extents */
    uint32_t *written;        /* grains by extent */
    uint64_t disk;            /* bytes */
    uint64_t extent;          /* bytes of each extent but the last */
};

static bool vmdk_is_sparse(const struct conversion *c)
{
    return c->options->subformat == VMDK_SPLIT_SPARSE;
}

static int vmdk_extents_begin(struct conversion *c, struct reason *why)
{
    struct vmdk_extents_state *e = image_alloc(c->img, sizeof *e);
    uint64_t size;
    int error = vmdk_empty_size(c, &size, why);

    if (error)
        return error;
    if (!e)
        return vmdk_out_of_memory(why);
    e->disk = div_up(c->virtual_size, SECTOR) * SECTOR;
    e->extent = c->options->subformat == VMDK_FLAT ? e->disk : VMDK_SPLIT_BYTES;
    e->written = image_alloc(c->img, div_up(e->disk, e->extent) * sizeof *e->written);
    unit_count_begin(&e->grains, VMDK_GRAIN);
    c->state = e;
    return e->written ? 0 : vmdk_out_of_memory(why);
}

/* No grain spans two extents: all but the last hold whole grains. */
static int vmdk_extents_take_written(struct conversion *c, uint64_t offset, uint64_t length)
{
    struct vmdk_extents_state *e = c->state;

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

static uint64_t vmdk_extents_files(const struct conversion *c)
{
    const struct vmdk_extents_state *e = c->state;

    return 1 + div_up(e->disk, e->extent);
}

/* File 0 is the descriptor, which qemu pads to a whole sector when it writes the first data; the
 * extents follow. */
static void vmdk_extents_file(const struct conversion *c, uint64_t number,
                              struct conversion_file *file)
{
    const struct vmdk_extents_state *e = c->state;
    uint64_t n, bytes;

    if (!number) {
        bytes = vmdk_descriptor_bytes(c->options, e->disk, c->name);
        file->size = e->grains.touched ? div_up(bytes, SECTOR) * SECTOR : bytes;
        snprintf(file->name, sizeof file->name, "%s", c->name);
        return;
    }
    n = number - 1;
    bytes = min_u64(e->extent, e->disk - n * e->extent);
    file->size =
        vmdk_is_sparse(c) ? vmdk_overhead(bytes) + e->written[n] * (uint64_t)VMDK_GRAIN : bytes;
    vmdk_extent_name(c->options, c->name, n, file->name, sizeof file->name);
}

static int vmdk_extents_size(struct conversion *c, uint64_t *size, struct reason *why)
{
    struct conversion_file file;

    (void)why;
    *size = 0;
    for (uint64_t number = 0; number < vmdk_extents_files(c); number++) {
        vmdk_extents_file(c, number, &file);
        *size += file.size;
    }
    return 0;
}

const struct conversion_model vmdk_extents = {
    .begin = vmdk_extents_begin,
    .written = vmdk_extents_take_written,
    .size = vmdk_extents_size,
    .files = vmdk_extents_files,
    .file = vmdk_extents_file,
};
