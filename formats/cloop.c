// SPDX-License-Identifier: Apache-2.0
/*
 * cloop: the compressed loop device of Knoppix, format V2.0 (cloop, cloop.h). Big endian.
 *
 * A shell script in 128 bytes, the block size, the number of blocks, and a table with the file
 * offset of each block and of the end of the last one. The blocks follow, each a zlib stream.
 */
#include <errno.h>

#include "bytes.h"
#include "checked.h"
#include "disk.h"
#include "extents.h"
#include "fields.h"
#include "format.h"
#include "image.h"
#include "unpack.h"

enum {
    HEADER_PREAMBLE_BYTES = 128,
    HEADER_BLOCK_SIZE = 128,
    HEADER_NUM_BLOCKS = 132,
    HEADER_BYTES = 136,

    /* qemu's limits: it keeps a block, its stream and all offsets in memory. */
    BLOCK_MAX = 64 << 20,
    STREAM_MAX = 2 * BLOCK_MAX,
    OFFSETS_BYTES_MAX = 512 << 20,
};

#define SCRIPT                                                                                     \
    "#!/bin/sh\n#V2.0 Format\n"                                                                    \
    "modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"

struct cloop {
    uint64_t block_size;
    uint64_t blocks;
    struct image_table offsets; /* one more than there are blocks */
};

/* Checks that the file holds the offset table, and reports a file that ends before its blocks. */
static int cloop_open_offsets(struct disk *disk, struct cloop *c)
{
    struct image *img = disk->img;
    const uint8_t *last;
    int error;

    if (c->offsets.entries * 8 > OFFSETS_BYTES_MAX)
        return image_fail(img, EFBIG,
                          "cloop: num_blocks %llu needs an offset table of more than %d bytes",
                          (unsigned long long)c->blocks, OFFSETS_BYTES_MAX);
    error = image_require(img, c->offsets.offset, c->offsets.entries * 8, "cloop: offset table");
    if (!error)
        error = image_get(img, c->offsets.offset + c->blocks * 8, 8, &last);
    if (!error && be64(last) > image_size(img))
        image_note(img,
                   "cloop: the last block ends at offset %llu, past the end of the file at %llu",
                   (unsigned long long)be64(last), (unsigned long long)image_size(img));
    return error;
}

static int cloop_open(struct disk *disk)
{
    struct cloop *c = image_alloc(disk->img, sizeof *c);
    const uint8_t *header;
    int error = c ? image_head(disk->img, &header) : -ENOMEM;

    if (error)
        return error;
    disk->state = c;
    c->block_size = be32(header + HEADER_BLOCK_SIZE);
    c->blocks = be32(header + HEADER_NUM_BLOCKS);
    c->offsets =
        (struct image_table){.offset = HEADER_BYTES, .entries = c->blocks + 1, .entry_bytes = 8};
    if (c->block_size == 0 || c->block_size % SECTOR)
        return image_fail(disk->img, EUCLEAN,
                          "cloop: block_size %llu is not a positive multiple of %d",
                          (unsigned long long)c->block_size, SECTOR);
    if (c->block_size > BLOCK_MAX)
        return image_fail(disk->img, EFBIG, "cloop: block_size %llu is more than %d",
                          (unsigned long long)c->block_size, BLOCK_MAX);
    error = cloop_open_offsets(disk, c);
    if (!error)
        disk->virtual_size = c->blocks * c->block_size;
    return error;
}

static bool cloop_is_stream_valid(uint64_t offset, uint64_t end)
{
    return offset <= end && end - offset <= STREAM_MAX;
}

/*
 * Sets *offset and *end to where the stream of a block begins and ends in the file. *run: in, the
 * maximum number of blocks of interest; out, the number of blocks from this one on, at least 1,
 * whose streams are valid, as far as the piece of the table in memory covers them.
 */
static int cloop_stream_at(struct disk *disk, uint64_t block, uint64_t *offset, uint64_t *end,
                           uint64_t *run)
{
    struct cloop *c = disk->state;
    const uint8_t *p = NULL;
    uint64_t n = 0, most = *run;
    int error = image_table_at(disk->img, &c->offsets, block, &p, &n);

    if (error)
        return error;
    *offset = be64(p);
    for (*run = 1; *run < most && *run + 1 < n; ++*run)
        if (!cloop_is_stream_valid(be64(p + 8 * *run), be64(p + 8 * (*run + 1))))
            break;
    /* The end of the last block of a piece is in the next piece. */
    if (n > 1)
        p += 8;
    else
        error = image_table_at(disk->img, &c->offsets, block + 1, &p, &n);
    if (error)
        return error;
    *end = be64(p);
    if (cloop_is_stream_valid(*offset, *end))
        return 0;
    return image_fail(
        disk->img, EUCLEAN,
        "cloop: block %llu from offset %llu to %llu is not between 0 and %d bytes long",
        (unsigned long long)block, (unsigned long long)*offset, (unsigned long long)*end,
        STREAM_MAX);
}

/* All blocks are compressed data. */
static int cloop_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct cloop *c = disk->state;
    uint64_t begin, end, run = want & EXTENTS_WANT_HOST ? 1 : c->blocks;
    int error = cloop_stream_at(disk, offset / c->block_size, &begin, &end, &run);

    extent->kind = EXTENT_DATA;
    extent->flags = EXTENT_COMPRESSED;
    extent->length = run * c->block_size - offset % c->block_size;
    return error;
}

static int cloop_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct cloop *c = disk->state;
    struct packed stream = {
        .format = "cloop", .what = "block", .packing = PACKED_ZLIB, .size = c->block_size};
    uint64_t end, run = 1;
    int error = cloop_stream_at(disk, offset / c->block_size, &stream.offset, &end, &run);

    if (error)
        return error;
    stream.length = end - stream.offset;
    return unpack_at(disk->img, &stream, offset % c->block_size, bytes, length);
}

/* The names are those of cloop's header file. */
static const struct field header_fields[] = {
    {"preamble", 0, HEADER_PREAMBLE_BYTES, field_text, NULL},
    {"block_size", HEADER_BLOCK_SIZE, 4, field_be, NULL},
    {"num_blocks", HEADER_NUM_BLOCKS, 4, field_be, NULL},
};

static int cloop_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    (void)disk;
    *offset = 0;
    *length = HEADER_BYTES;
    return 1;
}

static const struct header_section cloop_sections[] = {
    {"", FIELDS(header_fields), cloop_find_header},
    {.fields = NULL},
};

const struct format_driver cloop_driver = {
    .name = "cloop",
    .signatures = {{HEAD, 0, SCRIPT, sizeof SCRIPT - 1}},
    .sections = cloop_sections,
    .opaque_to_qemu = true,
    .open = cloop_open,
    .extent_at = cloop_extent_at,
    .decode = cloop_decode,
};
