// SPDX-License-Identifier: Apache-2.0
/*
 * vdi: VirtualBox disk image, version 1.1. Little endian.
 *
 * A header of 512 bytes, a map (bmap) of 4 bytes a block, and blocks of 1 MiB, each behind its
 * extra bytes, of which there are none in practice. A static image has all of its blocks from the
 * beginning on: what they hold is what the host has there.
 */
#include <errno.h>

#include "bytes.h"
#include "checked.h"
#include "format.h"

enum {
    SIGNATURE = 64,
    HEADER_VERSION = 68,
    HEADER_SIZE = 72,
    IMAGE_TYPE = 76,
    OFFSET_BMAP = 340,
    OFFSET_DATA = 344,
    SECTOR_SIZE = 360,
    DISK_SIZE = 368,
    BLOCK_SIZE = 376,
    BLOCK_EXTRA = 380,
    BLOCKS_IN_IMAGE = 384,
    UUID_LINK = 424,
    UUID_PARENT = 440,
    FIELDS_END = 456, /* of what every header has; header_size tells of more */
    LCHS_END = 472,

    TYPE_DYNAMIC = 1,
    TYPE_STATIC = 2,
    TYPE_UNDO = 3,
    TYPE_DIFFERENCING = 4,

    VERSION_1_1 = 0x00010001,
    SECTOR = 512,
    ENTRY_BYTES = 4,
    UUID_BYTES = 16,
};

#define SIGNATURE_MAGIC "\x7f\x10\xda\xbe"
#define BLOCK           (UINT64_C(1) << 20)

/* Entries from here on have no block: 0xfffffffe is zeros, 0xffffffff is free. */
#define NO_BLOCK UINT32_C(0xfffffffe)

/* As many as fit in a map of 2 GiB less a sector: qemu's limit, and with it that of the disk. */
#define BLOCKS_MAX UINT32_C(0x1fffff80)

struct vdi {
    uint64_t data; /* where block 0 stands in the file, with its extra bytes */
    uint64_t extra;
    bool is_static;
    struct image_table bmap;
};

static const char *type_name(uint32_t type)
{
    switch (type) {
    case TYPE_STATIC:
        return "static";
    case TYPE_UNDO:
        return "undo";
    case TYPE_DIFFERENCING:
        return "differencing";
    default: /* qemu looks for static alone */
        return "dynamic";
    }
}

/* The UUIDs that name the image below must be none: there is no path to it. */
static int check_parents(struct image *img, const uint8_t *header)
{
    static const uint8_t none[UUID_BYTES];
    uint32_t type = le32(header + IMAGE_TYPE);

    if (memcmp(header + UUID_LINK, none, UUID_BYTES) != 0)
        return image_fail(img, ENOTSUP, "vdi: %s image: it has a parent (uuid_link is set)",
                          type_name(type));
    if (memcmp(header + UUID_PARENT, none, UUID_BYTES) != 0)
        return image_fail(img, ENOTSUP, "vdi: %s image: it has a parent (uuid_parent is set)",
                          type_name(type));
    if (type < TYPE_DYNAMIC || type > TYPE_STATIC)
        image_note(img, "vdi: image type is %u, without a parent; read as dynamic (1)", type);
    return 0;
}

/* What is not of this version of the format, or not as qemu wants it. */
static int check_kind(struct image *img, const uint8_t *header)
{
    if (memcmp(header + SIGNATURE, SIGNATURE_MAGIC, 4) != 0)
        return image_fail(img, EUCLEAN, "vdi: signature is 0x%08x, not 0xbeda107f",
                          le32(header + SIGNATURE));
    if (le32(header + HEADER_VERSION) != VERSION_1_1)
        return image_fail(img, ENOTSUP, "vdi: version %u.%u is not 1.1",
                          le32(header + HEADER_VERSION) >> 16,
                          le32(header + HEADER_VERSION) & 0xffff);
    if (le32(header + OFFSET_BMAP) % SECTOR)
        return image_fail(img, EUCLEAN, "vdi: offset_bmap %u is not a multiple of 512",
                          le32(header + OFFSET_BMAP));
    if (le32(header + OFFSET_DATA) % SECTOR)
        return image_fail(img, EUCLEAN, "vdi: offset_data %u is not a multiple of 512",
                          le32(header + OFFSET_DATA));
    if (le32(header + SECTOR_SIZE) != SECTOR)
        return image_fail(img, ENOTSUP, "vdi: sector_size %u is not 512",
                          le32(header + SECTOR_SIZE));
    /* VirtualBox makes no other, qemu takes no other. */
    if (le32(header + BLOCK_SIZE) != BLOCK)
        return image_fail(img, ENOTSUP, "vdi: block_size %u is not 1048576",
                          le32(header + BLOCK_SIZE));
    return 0;
}

/* The size of the disk, and a map that covers it. */
static int check_size(struct image *img, const uint8_t *header)
{
    uint64_t size = le64(header + DISK_SIZE), most = BLOCKS_MAX * BLOCK;
    uint32_t blocks = le32(header + BLOCKS_IN_IMAGE);

    if (size > most)
        return image_fail(img, EFBIG, "vdi: disk_size %llu is more than %llu",
                          (unsigned long long)size, (unsigned long long)most);
    if (blocks > BLOCKS_MAX)
        return image_fail(img, EFBIG, "vdi: blocks_in_image %u is more than %u", blocks,
                          BLOCKS_MAX);
    if (size > blocks * BLOCK)
        return image_fail(img, EUCLEAN,
                          "vdi: %u blocks of 1 MiB do not cover the disk of %llu bytes", blocks,
                          (unsigned long long)size);
    return 0;
}

/* Fills in what the checked header says. The file must hold the map: what is missing of it would
 * read as block 0. */
static int take_header(struct disk *disk, struct vdi *vdi, const uint8_t *header)
{
    uint32_t type = le32(header + IMAGE_TYPE);

    /* Odd sizes are made by VBoxManage convertfromraw; VirtualBox and qemu round them up. */
    checked_round_up(le64(header + DISK_SIZE), SECTOR, &disk->virtual_size);
    disk->subformat = type_name(type);
    vdi->is_static = type == TYPE_STATIC;
    vdi->data = le32(header + OFFSET_DATA);
    vdi->extra = le32(header + BLOCK_EXTRA);
    vdi->bmap = (struct image_table){.offset = le32(header + OFFSET_BMAP),
                                     .entries = div_up(disk->virtual_size, BLOCK),
                                     .entry_bytes = ENTRY_BYTES};
    if (!vdi->bmap.entries)
        return 0;
    return image_require(disk->img, vdi->bmap.offset, vdi->bmap.entries * ENTRY_BYTES,
                         "vdi: block map");
}

static int vdi_open(struct disk *disk)
{
    struct vdi *vdi = image_alloc(disk->img, sizeof *vdi);
    const uint8_t *header;
    int error = vdi ? image_head(disk->img, &header) : -ENOMEM;

    if (!error)
        error = check_kind(disk->img, header);
    if (!error)
        error = check_size(disk->img, header);
    if (!error)
        error = check_parents(disk->img, header);
    if (error)
        return error;
    disk->state = vdi;
    return take_header(disk, vdi, header);
}

/* Entries from the first on that have no block, as that has none. */
static uint64_t zero_run(const uint8_t *bmap, uint64_t count)
{
    uint64_t n = 1;

    while (n < count && le32(bmap + ENTRY_BYTES * n) >= NO_BLOCK)
        n++;
    return n;
}

/* Entries that have a block; contiguous: behind each other in the file. */
static uint64_t data_run(const uint8_t *bmap, uint64_t count, bool contiguous)
{
    uint64_t first = le32(bmap), n = 1;
    uint32_t entry;

    for (; n < count; n++) {
        entry = le32(bmap + ENTRY_BYTES * n);
        if (entry >= NO_BLOCK || (contiguous && entry != first + n))
            break;
    }
    return n;
}

static int vdi_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    struct vdi *vdi = disk->state;
    uint64_t within = offset % BLOCK, count, run;
    bool contiguous = vdi->is_static || (want & EXTENTS_WANT_HOST);
    const uint8_t *bmap = NULL;
    uint32_t entry;
    int error = image_table_at(disk->img, &vdi->bmap, offset / BLOCK, &bmap, &count);

    if (error)
        return error;
    entry = le32(bmap);
    if (entry >= NO_BLOCK) {
        extent->kind = EXTENT_ZERO;
        extent->length = zero_run(bmap, count) * BLOCK - within;
        return 0;
    }
    /* Extra bytes stand between the blocks. */
    run = contiguous && vdi->extra ? 1 : data_run(bmap, count, contiguous);
    extent->kind = EXTENT_DATA;
    extent->length = run * BLOCK - within;
    /* At most 2^32 blocks of less than 2^33 bytes: it fits. */
    extent->host = vdi->data + entry * (vdi->extra + BLOCK) + vdi->extra + within;
    extent->flags = vdi->is_static ? EXTENT_HOST_HOLES : 0;
    return 0;
}

static const struct field_word flag_words[] = {{0x100, "zero-expand"}, {0, NULL}};

static const struct field header_fields[] = {
    {"text", 0, 64, field_text, NULL},
    {"signature", SIGNATURE, 4, field_le, NULL},
    {"version", HEADER_VERSION, 4, field_le, NULL},
    {"header_size", HEADER_SIZE, 4, field_le, NULL},
    {"image_type", IMAGE_TYPE, 4, field_le, NULL},
    {"image_flags", 80, 4, field_flags_le, flag_words},
    {"description", 84, 256, field_text, NULL},
    {"offset_bmap", OFFSET_BMAP, 4, field_le, NULL},
    {"offset_data", OFFSET_DATA, 4, field_le, NULL},
    {"cylinders", 348, 4, field_le, NULL},
    {"heads", 352, 4, field_le, NULL},
    {"sectors", 356, 4, field_le, NULL},
    {"sector_size", SECTOR_SIZE, 4, field_le, NULL},
    {"disk_size", DISK_SIZE, 8, field_le, NULL},
    {"block_size", BLOCK_SIZE, 4, field_le, NULL},
    {"block_extra", BLOCK_EXTRA, 4, field_le, NULL},
    {"blocks_in_image", BLOCKS_IN_IMAGE, 4, field_le, NULL},
    {"blocks_allocated", 388, 4, field_le, NULL},
    {"uuid_image", 392, UUID_BYTES, field_guid, NULL},
    {"uuid_last_snap", 408, UUID_BYTES, field_guid, NULL},
    {"uuid_link", UUID_LINK, UUID_BYTES, field_guid, NULL},
    {"uuid_parent", UUID_PARENT, UUID_BYTES, field_guid, NULL},
    /* The geometry that the BIOS shows: VirtualBox alone writes it. */
    {"lchs_cylinders", 456, 4, field_le, NULL},
    {"lchs_heads", 460, 4, field_le, NULL},
    {"lchs_sectors", 464, 4, field_le, NULL},
    {"lchs_sector_size", 468, 4, field_le, NULL},
};

/* The header's own size counts from that field on; of what it says only this much is believed. */
static int find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
{
    const uint8_t *header;
    int error = image_head(disk->img, &header);

    if (error)
        return error;
    *offset = 0;
    *length =
        min_u64(LCHS_END, max_u64(FIELDS_END, HEADER_SIZE + (uint64_t)le32(header + HEADER_SIZE)));
    return 1;
}

static const struct header_part vdi_parts[] = {
    {"", FIELDS(header_fields), find_header},
    {.fields = NULL},
};

const struct format_driver vdi_driver = {
    .name = "vdi",
    .signatures = {{HEAD, SIGNATURE, SIGNATURE_MAGIC, 4}},
    .parts = vdi_parts,
    .open = vdi_open,
    .extent_at = vdi_extent_at,
};
