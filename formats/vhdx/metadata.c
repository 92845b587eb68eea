// SPDX-License-Identifier: Apache-2.0
/*
 * The metadata region of VHDX (MS-VHDX 2.6), little endian: a table of items, each with a GUID, and
 * the items. Peculiar: offsets count from the start of the region.
 */
#include "metadata.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/image.h"
#include "locator.h"

enum { ENTRY_REQUIRED = 4 };

enum { /* 2.6.2.1 File Parameters */
       LEAVE_BLOCKS_ALLOCATED = 1,
       HAS_PARENT = 2,
       BLOCK_SIZE_MIN = 1 << 20,
       BLOCK_SIZE_MAX = 256 << 20,
};

#define DISK_SIZE_MAX (UINT64_C(64) << 40) /* 2.6.2.2 */

enum { CHUNK_SECTORS = 1 << 23 }; /* 2.5: sectors that one sector bitmap block of 1 MiB covers */

static const struct {
    const char *name;
    uint8_t guid[VHDX_GUID];
    uint32_t length; /* bytes that are read; 0: the item is not used */
} known[VHDX_ITEMS] = {
    [VHDX_FILE_PARAMETERS] = {"file parameters",
                              {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33,
                               0xf0, 0xaa, 0x44, 0xe7, 0x6b},
                              8},
    [VHDX_DISK_SIZE] = {"virtual disk size",
                        {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe,
                         0xd8, 0x3b, 0xf4, 0xb8},
                        8},
    [VHDX_DISK_ID] = {"virtual disk id",
                      {0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0,
                       0x00, 0xc7, 0x46},
                      0},
    [VHDX_LOGICAL_SECTOR] = {"logical sector size",
                             {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2,
                              0x33, 0xa8, 0xfa, 0xab, 0x5f},
                             4},
    [VHDX_PHYSICAL_SECTOR] = {"physical sector size",
                              {0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9,
                               0x88, 0x52, 0x51, 0xc5, 0x56},
                              0},
    [VHDX_PARENT_LOCATOR] = {"parent locator",
                             {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3,
                              0xd8, 0x48, 0x34, 0xab, 0x0c},
                             LOCATOR_BYTES},
};

/* Where an item of the image is in the metadata region. */
struct item {
    uint32_t offset, length;
};

enum vhdx_item vhdx_item_by_guid(const uint8_t *guid)
{
    enum vhdx_item k = 0;

    while (k < VHDX_ITEMS && memcmp(guid, known[k].guid, VHDX_GUID) != 0)
        k++;
    return k;
}

static int vhdx_take_item(struct image *img, const uint8_t *entry, uint16_t i, struct item *items,
                          bool *found)
{
    enum vhdx_item k = vhdx_item_by_guid(entry + METADATA_ITEM_ID);

    if (k == VHDX_ITEMS) {
        if (le32(entry + METADATA_FLAGS) & ENTRY_REQUIRED)
            return image_fail(img, ENOTSUP, "vhdx: metadata item %u is required, but not supported",
                              i);
        return 0;
    }
    if (found[k])
        return image_fail(img, EUCLEAN, "vhdx: the metadata has two items \"%s\"", known[k].name);
    found[k] = true;
    items[k] = (struct item){le32(entry + METADATA_OFFSET), le32(entry + METADATA_LENGTH)};
    return 0;
}

/* Finds the known items in the metadata table; sets items[k] where found[k]. */
static int vhdx_find_items(struct image *img, const struct vhdx *v, struct item *items, bool *found)
{
    const uint8_t *table, *entries;
    uint16_t count;
    int error =
        image_require(img, v->metadata.offset, METADATA_HEADER_BYTES, "vhdx: the metadata table");

    if (!error)
        error = image_get(img, v->metadata.offset, METADATA_HEADER_BYTES, &table);
    if (error)
        return error;
    if (memcmp(table, "metadata", 8) != 0)
        return image_fail(img, EUCLEAN, "vhdx: the metadata table has no signature");
    count = le16(table + METADATA_ENTRY_COUNT);
    if (count > VHDX_TABLE_ENTRIES)
        return image_fail(img, EUCLEAN, "vhdx: metadata table has %u entries: at most %d fit",
                          count, VHDX_TABLE_ENTRIES);
    error = image_get(img, v->metadata.offset + METADATA_HEADER_BYTES,
                      (size_t)count * METADATA_ENTRY_BYTES, &entries);
    for (uint16_t i = 0; !error && i < count; i++)
        error = vhdx_take_item(img, entries + (size_t)i * METADATA_ENTRY_BYTES, i, items, found);
    return error;
}

/* All items must be there, except for the parent locator, and those that are used must lie in the
 * region. */
static int vhdx_check_items(struct image *img, const struct vhdx *v, const struct item *items,
                            const bool *found)
{
    for (size_t k = 0; k < VHDX_ITEMS; k++) {
        if (!found[k] && k != VHDX_PARENT_LOCATOR)
            return image_fail(img, EUCLEAN, "vhdx: the metadata has no item \"%s\"", known[k].name);
        if (!found[k] || !known[k].length)
            continue;
        if (items[k].length < known[k].length || items[k].length > METADATA_ITEM_MAX)
            return image_fail(img, EUCLEAN,
                              "vhdx: metadata item \"%s\" has length %u, not %u to %d bytes",
                              known[k].name, items[k].length, known[k].length, METADATA_ITEM_MAX);
        if (items[k].offset < METADATA_TABLE_BYTES ||
            (uint64_t)items[k].offset + items[k].length > v->metadata.length)
            return image_fail(
                img, EUCLEAN,
                "vhdx: metadata item \"%s\" (%u bytes at offset %u) is not inside the "
                "metadata region after its table",
                known[k].name, items[k].length, items[k].offset);
    }
    return 0;
}

static int vhdx_check_block_size(struct image *img, uint32_t block_size)
{
    if (is_power_of_two(block_size) && block_size >= BLOCK_SIZE_MIN && block_size <= BLOCK_SIZE_MAX)
        return 0;
    return image_fail(img, EUCLEAN, "vhdx: block size %u is not a power of two from 1 to 256 MiB",
                      block_size);
}

static int vhdx_check_size(struct image *img, uint64_t size, uint32_t sector)
{
    if (sector != 512 && sector != 4096)
        return image_fail(img, EUCLEAN, "vhdx: logical sector size %u is neither 512 nor 4096",
                          sector);
    if (size == 0 || size > DISK_SIZE_MAX)
        return image_fail(img, EUCLEAN, "vhdx: virtual disk size %llu is not from 1 byte to 64 TiB",
                          (unsigned long long)size);
    if (size % sector)
        image_note(img,
                   "vhdx: virtual disk size %llu is not a multiple of the logical sector size %u",
                   (unsigned long long)size, sector);
    return 0;
}

/* There must be a locator if and only if there is a parent. */
static int vhdx_read_parent(struct disk *disk, struct vhdx *v, bool has_parent,
                            const struct item *locator, bool has_locator)
{
    if (has_parent && !has_locator)
        return image_fail(disk->img, EUCLEAN, "vhdx: the disk has a parent but no parent locator");
    if (!has_parent && has_locator)
        return image_fail(disk->img, EUCLEAN, "vhdx: the disk has a parent locator but no parent");
    if (!has_parent)
        return 0;
    return vhdx_read_locator(disk, v, v->metadata.offset + locator->offset, locator->length);
}

int vhdx_read_metadata(struct disk *disk, struct vhdx *v)
{
    struct image *img = disk->img;
    struct item items[VHDX_ITEMS] = {0};
    bool found[VHDX_ITEMS] = {false};
    const uint8_t *bytes[VHDX_ITEMS];
    uint32_t flags, sector;
    int error = vhdx_find_items(img, v, items, found);

    if (!error)
        error = vhdx_check_items(img, v, items, found);
    for (size_t k = 0; !error && k < VHDX_ITEMS; k++)
        if (known[k].length && k != VHDX_PARENT_LOCATOR) {
            uint64_t at = v->metadata.offset + items[k].offset;

            error = image_require(img, at, known[k].length, "vhdx: a metadata item");
            if (!error)
                error = image_get(img, at, known[k].length, &bytes[k]);
        }
    if (error)
        return error;
    v->block_size = le32(bytes[VHDX_FILE_PARAMETERS] + PARAMETERS_BLOCK_SIZE);
    flags = le32(bytes[VHDX_FILE_PARAMETERS] + PARAMETERS_FLAGS);
    v->size = le64(bytes[VHDX_DISK_SIZE]);
    sector = le32(bytes[VHDX_LOGICAL_SECTOR]);
    error = vhdx_check_block_size(img, (uint32_t)v->block_size);
    if (!error)
        error = vhdx_check_size(img, v->size, sector);
    if (error)
        return error;
    v->sector = sector;
    v->chunk_ratio = (uint64_t)CHUNK_SECTORS * sector / v->block_size;
    disk->virtual_size = v->size / SECTOR * SECTOR;
    disk->subformat = flags & HAS_PARENT               ? "differencing"
                      : flags & LEAVE_BLOCKS_ALLOCATED ? "fixed"
                                                       : "dynamic";
    return vhdx_read_parent(disk, v, flags & HAS_PARENT, &items[VHDX_PARENT_LOCATOR],
                            found[VHDX_PARENT_LOCATOR]);
}
