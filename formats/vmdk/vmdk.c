// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: VMware virtual disk (VMware, "Virtual Disk Format 5.0"). Little endian.
 *
 * A file is a sparse extent of one of three kinds, which its magic names, or a descriptor: text
 * that lists the extents of a disk. An extent may be a disk by itself if a descriptor is embedded
 * in it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cowd.h"
#include "descriptor.h"
#include "extents.h"
#include "fields.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "formats/image.h"
#include "hosted.h"
#include "sesparse.h"
#include "tables.h"

enum {
    /* For an extent that is the whole disk: 512 tables, which cover 16 GiB with usual grains. */
    TABLES_WINDOW_BYTES = 1 << 20,
};

/* A hosted header without capacity may carry the descriptor of a disk that is in other files. */
static int vmdk_open_without_capacity(struct disk *disk, const struct vmdk_hosted_header *h,
                                      bool *done)
{
    struct vmdk_text text;
    uint64_t offset;
    int error;

    *done = false;
    if (!h->descriptor_offset_sectors ||
        !checked_mul(h->descriptor_offset_sectors, SECTOR, &offset))
        return 0;
    error = vmdk_text_read(disk->img, offset, UINT64_MAX, &text);
    if (error || !vmdk_is_spread(&text))
        return error;
    *done = true;
    return vmdk_descriptor_open(disk, &text);
}

/* A hosted extent by itself: the embedded descriptor must state that it is the whole disk. */
static int vmdk_open_hosted(struct disk *disk, const uint8_t *head)
{
    struct vmdk_hosted_header front;
    bool done = false;
    int error = 0;

    vmdk_hosted_decode(&front, head);
    if (front.capacity_sectors == 0)
        error = vmdk_open_without_capacity(disk, &front, &done);
    if (error || done)
        return error;
    error = vmdk_hosted_open(disk, head);
    if (error)
        return error;
    return vmdk_embedded_open(disk, front.descriptor_offset_sectors, front.descriptor_size_sectors);
}

/* The same for a COWD extent. */
static int vmdk_open_cowd(struct disk *disk, const uint8_t *head)
{
    int error = vmdk_cowd_open(disk, head);

    return error ? error : vmdk_embedded_open(disk, 0, 0);
}

/* A seSparse extent by itself, which opens as a VMDK only where the user names the format. */
static int vmdk_open_sesparse(struct disk *disk, const uint8_t *head)
{
    int error = vmdk_sesparse_open(disk, head);

    if (!error)
        image_note(
            disk->img,
            "vmdk: seSparse: this is one extent of a disk: only the disk's descriptor states "
            "whether there is a parent");
    return error;
}

static int vmdk_open(struct disk *disk)
{
    struct vmdk *vmdk = image_alloc(disk->img, sizeof *vmdk);
    struct vmdk_text text;
    const uint8_t *head;
    int error = vmdk ? image_head(disk->img, &head) : -ENOMEM;

    if (error)
        return error;
    vmdk->window_bytes = TABLES_WINDOW_BYTES;
    disk->state = vmdk;
    if (memcmp(head, VMDK_MAGIC_HOSTED, 4) == 0)
        return vmdk_open_hosted(disk, head);
    if (memcmp(head, VMDK_MAGIC_COWD, 4) == 0)
        return vmdk_open_cowd(disk, head);
    if (memcmp(head, VMDK_MAGIC_SESPARSE, 8) == 0)
        return vmdk_open_sesparse(disk, head);
    error = vmdk_text_read(disk->img, 0, UINT64_MAX, &text);
    return error ? error : vmdk_descriptor_open(disk, &text);
}

static int vmdk_probe(struct image *img, const struct signature *signature, struct reason *why)
{
    const uint8_t *head;
    int error;

    if (signature->length == 4)
        return 1;
    if (signature->length) {
        snprintf(why->words, sizeof why->words,
                 "a seSparse extent is a disk only together with its descriptor");
        return 0;
    }
    error = image_head(img, &head);
    return error ? error : vmdk_descriptor_probe(head, why);
}

static int vmdk_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct vmdk *vmdk = disk->state;

    if (vmdk->tables)
        return vmdk_tables_extent_at(disk, offset, want, extent);
    if (vmdk->sesparse)
        return vmdk_sesparse_extent_at(disk, offset, want, extent);
    return vmdk_extents_extent_at(disk, offset, want, extent);
}

static int vmdk_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct vmdk *vmdk = disk->state;

    return vmdk->tables ? vmdk_tables_decode(disk, offset, bytes, length)
                        : vmdk_extents_decode(disk, offset, bytes, length);
}

const struct format_driver vmdk_driver = {
    .name = "vmdk",
    .signatures = {{HEAD, 0, VMDK_MAGIC_HOSTED, 4},
                   {HEAD, 0, VMDK_MAGIC_COWD, 4},
                   {HEAD, 0, VMDK_MAGIC_SESPARSE, 8},
                   {HEAD, 0, "", 0}},
    .sections = vmdk_sections,
    .probe = vmdk_probe,
    .is_extent_file_name = vmdk_is_flat_name,
    .open = vmdk_open,
    .extent_at = vmdk_extent_at,
    .decode = vmdk_decode,
    .check_parent = vmdk_check_parent,
};
