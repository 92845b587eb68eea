// SPDX-License-Identifier: Apache-2.0
/*
 * vdi: VirtualBox disk image, version 1.1. Little endian.
 *
 * A header of 512 bytes, a block map (bmap) with 4 bytes for each block, and blocks of 1 MiB, each
 * preceded by block_extra bytes, in practice none. In a static image all blocks are allocated from
 * the start; holes of the host file then are zeros. A differencing image also stores whole blocks;
 * it names its parent by UUIDs only.
 */
#include <errno.h>

#include "bytes.h"
#include "checked.h"
#include "disk.h"
#include "extents.h"
#include "fields.h"
#include "format.h"
#include "image.h"
#include "reference.h"
#include "unit-map.h"

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
    UUID_IMAGE = 392,
    UUID_LAST_SNAP = 408,
    UUID_LINK = 424,
    UUID_PARENT = 440,
    FIELDS_END = 456, /* of those in every header; a larger header_size has the LCHS fields */
    LCHS_END = 472,

    TYPE_DYNAMIC = 1,
    TYPE_STATIC = 2,
    TYPE_UNDO = 3,
    TYPE_DIFFERENCING = 4,

    VERSION_1_1 = 0x00010001,
    ENTRY_BYTES = 4,
    UUID_BYTES = 16,
    UUID_TEXT = 37,
};

#define SIGNATURE_MAGIC "\x7f\x10\xda\xbe"
#define BLOCK           (UINT64_C(1) << 20)

/* Entries without a block: from NO_BLOCK on. 0xfffffffe is a block of zeros; 0xffffffff is not
 * allocated: it reads from the parent, or as zeros without one. */
#define NO_BLOCK   UINT32_C(0xfffffffe)
#define FREE_BLOCK UINT32_MAX

/* qemu's limit: the entries of a map of 2 GiB less a sector. It also limits the disk's size. */
#define BLOCKS_MAX UINT32_C(0x1fffff80)

struct vdi {
    uint64_t data;  /* file offset of block 0 with its extra bytes */
    uint64_t extra; /* bytes before each block */
    bool is_static;
    struct image_table bmap;
    const uint8_t *header;
};

static const uint8_t null_uuid[16];

static const char *vdi_type_name(uint32_t type)
{
    switch (type) {
    case TYPE_STATIC:
        return "static";
    case TYPE_UNDO:
        return "undo";
    case TYPE_DIFFERENCING:
        return "differencing";
    default: /* as in qemu, which knows only static and dynamic */
        return "dynamic";
    }
}

static bool vdi_is_uuid_set(const uint8_t *uuid)
{
    return memcmp(uuid, null_uuid, UUID_BYTES) != 0;
}

/*
 * Adds the parent, which has no path, if one of the two UUIDs is set: uuid_link is the parent's
 * uuid_image, uuid_parent the uuid_last_snap that it had when this image was made (VDICore.h:
 * uuidLinkage, uuidParentModify).
 */
static int vdi_open_parent(struct disk *disk, const uint8_t *header)
{
    uint32_t type = le32(header + IMAGE_TYPE);
    bool has_link = vdi_is_uuid_set(header + UUID_LINK);

    if (has_link || vdi_is_uuid_set(header + UUID_PARENT))
        return disk_add_reference(
            disk, &(struct reference){.role = REFERENCE_BACKING,
                                      .kind = "parent",
                                      .source = has_link ? "uuid_link" : "uuid_parent",
                                      .format = "vdi",
                                      .path = ""});
    if (type < TYPE_DYNAMIC || type > TYPE_STATIC)
        image_note(disk->img, "vdi: image_type %u without a parent is read as dynamic (1)", type);
    return 0;
}

/* Checks signature, version, and the units and alignments that are fixed. */
static int vdi_check_layout(struct image *img, const uint8_t *header)
{
    if (memcmp(header + SIGNATURE, SIGNATURE_MAGIC, 4) != 0)
        return image_fail(img, EUCLEAN, "vdi: signature 0x%08x is not 0xbeda107f",
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
    /* VirtualBox writes, and qemu accepts, no other size. */
    if (le32(header + BLOCK_SIZE) != BLOCK)
        return image_fail(img, ENOTSUP, "vdi: block_size %u is not 1048576",
                          le32(header + BLOCK_SIZE));
    return 0;
}

/* Checks the disk's size, and that the block map covers it. */
static int vdi_check_size(struct image *img, const uint8_t *header)
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
                          "vdi: blocks_in_image %u (of 1 MiB) does not cover disk_size %llu",
                          blocks, (unsigned long long)size);
    return 0;
}

/* Takes over the checked header. The file must hold the whole block map: entries past its end would
 * read as 0, which is a block. */
static int vdi_open_layout(struct disk *disk, struct vdi *vdi, const uint8_t *header)
{
    uint32_t type = le32(header + IMAGE_TYPE);

    /* VBoxManage convertfromraw writes odd sizes; VirtualBox and qemu round them up. */
    checked_round_up(le64(header + DISK_SIZE), SECTOR, &disk->virtual_size);
    disk->qemu_run_unit = BLOCK;
    disk->subformat = vdi_type_name(type);
    vdi->is_static = type == TYPE_STATIC;
    vdi->header = header;
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
        error = vdi_check_layout(disk->img, header);
    if (!error)
        error = vdi_check_size(disk->img, header);
    if (!error)
        error = vdi_open_parent(disk, header);
    if (error)
        return error;
    disk->state = vdi;
    return vdi_open_layout(disk, vdi, header);
}

/* The kind of extent that an entry without a block is. */
static enum extent_kind vdi_empty_kind(const struct disk *disk, uint32_t entry)
{
    return disk->backing_reference && entry == FREE_BLOCK ? EXTENT_HOLE : EXTENT_ZERO;
}

/* Counts the entries from the first on that have no block and are of the same kind. */
static uint64_t vdi_empty_run(const struct disk *disk, const uint8_t *bmap, uint64_t count)
{
    enum extent_kind kind = vdi_empty_kind(disk, le32(bmap));
    uint64_t n = 1;

    while (n < count && le32(bmap + ENTRY_BYTES * n) >= NO_BLOCK &&
           vdi_empty_kind(disk, le32(bmap + ENTRY_BYTES * n)) == kind)
        n++;
    return n;
}

/* Counts the entries from the first on that have a block; contiguous: only adjacent blocks. */
static uint64_t vdi_data_run(const uint8_t *bmap, uint64_t count, bool contiguous)
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
        extent->kind = vdi_empty_kind(disk, entry);
        extent->length = vdi_empty_run(disk, bmap, count) * BLOCK - within;
        return 0;
    }
    /* With extra bytes between them, blocks are never contiguous. */
    run = contiguous && vdi->extra ? 1 : vdi_data_run(bmap, count, contiguous);
    extent->kind = EXTENT_DATA;
    extent->length = run * BLOCK - within;
    /* No overflow: at most 2^32 blocks of less than 2^33 bytes. */
    extent->host = vdi->data + entry * (vdi->extra + BLOCK) + vdi->extra + within;
    extent->flags = vdi->is_static ? EXTENT_HOST_HOLES : 0;
    return 0;
}

static inline enum unit_bits vdi_classify(const void *context, const uint8_t *entry)
{
    (void)context;
    return le32(entry) < NO_BLOCK ? UNIT_DATA : UNIT_EMPTY;
}

/* Of a static image, holes of the file count, so that each block has to be looked at. */
static int vdi_map_units(struct disk *disk, uint64_t offset, struct unit_map *map)
{
    struct vdi *vdi = disk->state;
    const uint8_t *bmap;
    uint64_t count;
    int error;

    if (offset % BLOCK || vdi->is_static)
        return 0;
    error = image_table_at(disk->img, &vdi->bmap, offset / BLOCK, &bmap, &count);
    if (error)
        return error;
    map->unit = BLOCK;
    unit_map_fill(map, bmap, ENTRY_BYTES, (uint32_t)min_u64(count, UNIT_MAP_UNITS), vdi_classify,
                  NULL);
    return 1;
}

/* Whether a UUID of the parent is the one that this image expects, in the field called name. All
 * are right if that is not set. */
static int vdi_check_uuid(struct disk *disk, const char *name, const uint8_t *expected,
                          const char *parents_name, const uint8_t *actual)
{
    char words[2][UUID_TEXT];

    if (!vdi_is_uuid_set(expected) || memcmp(expected, actual, UUID_BYTES) == 0)
        return 0;
    field_guid(NULL, actual, UUID_BYTES, words[0], UUID_TEXT);
    field_guid(NULL, expected, UUID_BYTES, words[1], UUID_TEXT);
    return image_fail(disk->img, EUCLEAN,
                      "vdi: %s of the parent is %s, but %s is %s; -o any-parent accepts it anyway",
                      parents_name, words[0], name, words[1]);
}

static int vdi_check_parent(struct disk *disk, struct disk *parent)
{
    const struct vdi *vdi = disk->state, *parents = parent->state;
    int error;

    if (parent->driver != &vdi_driver)
        return image_fail(disk->img, EUCLEAN,
                          "vdi: the parent is %s, not vdi; -o any-parent accepts it anyway",
                          parent->driver->name);
    error = vdi_check_uuid(disk, "uuid_link", vdi->header + UUID_LINK, "uuid_image",
                           parents->header + UUID_IMAGE);
    if (error)
        return error;
    return vdi_check_uuid(disk, "uuid_parent", vdi->header + UUID_PARENT, "uuid_last_snap",
                          parents->header + UUID_LAST_SNAP);
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
    {"uuid_image", UUID_IMAGE, UUID_BYTES, field_guid, NULL},
    {"uuid_last_snap", UUID_LAST_SNAP, UUID_BYTES, field_guid, NULL},
    {"uuid_link", UUID_LINK, UUID_BYTES, field_guid, NULL},
    {"uuid_parent", UUID_PARENT, UUID_BYTES, field_guid, NULL},
    /* The geometry that the guest's BIOS reports. Only VirtualBox writes it. */
    {"lchs_cylinders", 456, 4, field_le, NULL},
    {"lchs_heads", 460, 4, field_le, NULL},
    {"lchs_sectors", 464, 4, field_le, NULL},
    {"lchs_sector_size", 468, 4, field_le, NULL},
};

/* header_size counts from its own field on. Only its values between the two known sizes matter. */
static int vdi_find_header(struct disk *disk, uint64_t *offset, uint64_t *length)
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

static const struct header_section vdi_sections[] = {
    {"", FIELDS(header_fields), vdi_find_header},
    {.fields = NULL},
};

const struct format_driver vdi_driver = {
    .name = "vdi",
    .signatures = {{HEAD, SIGNATURE, SIGNATURE_MAGIC, 4}},
    .sections = vdi_sections,
    .open = vdi_open,
    .extent_at = vdi_extent_at,
    .map_units = vdi_map_units,
    .check_parent = vdi_check_parent,
};
