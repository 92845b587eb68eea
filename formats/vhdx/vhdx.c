// SPDX-License-Identifier: Apache-2.0
/*
 * VHDX (MS-VHDX), little endian: file type identifier, two headers and two region tables in the
 * first MiB, then log, BAT and metadata as regions anywhere.
 */
#include <errno.h>
#include <string.h>

#include "bat.h"
#include "fields.h"
#include "formats/disk.h"
#include "formats/format.h"
#include "formats/image.h"
#include "header.h"
#include "locator.h"
#include "metadata.h"
#include "regions.h"

#define VHDX_SIGNATURE "vhdxfile"

static int vhdx_open(struct disk *disk)
{
    struct vhdx *v = image_alloc(disk->img, sizeof *v);
    const uint8_t *head, *header;
    uint64_t header_at;
    int error;

    if (!v)
        return -ENOMEM;
    disk->state = v;
    error = image_head(disk->img, &head);
    if (error)
        return error;
    if (memcmp(head, VHDX_SIGNATURE, strlen(VHDX_SIGNATURE)) != 0)
        return image_fail(disk->img, EUCLEAN, "vhdx: the file does not begin with \"%s\"",
                          VHDX_SIGNATURE);
    error = vhdx_active_header(disk->img, &header_at);
    if (!error)
        error = image_get(disk->img, header_at, VHDX_HEADER_BYTES, &header);
    if (!error)
        error = vhdx_check_log(disk, v, header);
    if (!error)
        error = vhdx_read_regions(disk->img, v);
    if (!error)
        error = vhdx_read_metadata(disk, v);
    if (!error)
        error = vhdx_open_bat(disk, v);
    return error;
}

const struct format_driver vhdx_driver = {
    .name = "vhdx",
    .sections = vhdx_sections,
    .opaque_to_qemu = true, /* it has no block status for VHDX */
    .signatures = {{.anchor = HEAD, .magic = VHDX_SIGNATURE, .length = 8}},
    .open = vhdx_open,
    .extent_at = vhdx_extent_at,
    .check_parent = vhdx_check_parent,
};
