// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: disks whose extents are files of their own, as lines of a descriptor list them (VMware,
 * "Virtual Disk Format 5.0", "The Extent Description").
 *
 * The extents are a table by guest offset. Flat ones are bytes of their file. Sparse ones are
 * opened, when asked for the first time, as a disk of this format on the file's session, which
 * keeps it: so what is known of an extent goes when its file is closed, and is read again when it
 * is opened again.
 */
#include "extents.h"

#include <errno.h>
#include <string.h>

#include "cowd.h"
#include "formats/checked.h"
#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "hosted.h"
#include "sesparse.h"
#include "tables.h"

enum {
    /* Ours. VMware's programs stop at 2 GiB each; a descriptor has room for twice as many lines. */
    EXTENTS_MAX = 32768,
    EXTENTS_FIRST = 16,

    /* Grain tables of a file: those of 2 GiB take half of it. Several files are open at a time. */
    PART_WINDOW_BYTES = 256 << 10,
};

_Static_assert(sizeof(struct vmdk_extent) <= 32, "tens of thousands of them must fit");

struct vmdk_extents {
    struct vmdk_extent *rows;
    size_t count, room;
    size_t last; /* asked for */
};

/* What the session on a file keeps of the sparse extent that it is. */
struct sparse_part {
    struct disk disk;
    struct vmdk vmdk;
    int error; /* it could not be opened, as was said */
};

/* Makes room for one extent more; what was there stays in the session's memory. */
static int make_room(struct disk *disk, struct vmdk_extents *x)
{
    size_t room = x->room ? 2 * x->room : EXTENTS_FIRST;
    struct vmdk_extent *rows;

    if (x->count < x->room)
        return 0;
    rows = image_alloc(disk->img, room * sizeof *rows);
    if (!rows)
        return -ENOMEM;
    if (x->count)
        memcpy(rows, x->rows, x->count * sizeof *rows);
    x->rows = rows;
    x->room = room;
    return 0;
}

int vmdk_extents_add(struct disk *disk, const struct vmdk_extent *extent)
{
    struct vmdk *vmdk = disk->state;
    struct vmdk_extents *x = vmdk->extents;
    int error;

    if (!x)
        x = vmdk->extents = image_alloc(disk->img, sizeof *x);
    if (!x)
        return -ENOMEM;
    if (x->count == EXTENTS_MAX)
        return image_fail(disk->img, EFBIG, "vmdk: the descriptor has more than %d extents",
                          EXTENTS_MAX);
    error = make_room(disk, x);
    if (error)
        return error;
    x->rows[x->count] = *extent;
    x->rows[x->count++].start = disk->virtual_size;
    disk->virtual_size += extent->length;
    return 0;
}

static bool covers(const struct vmdk_extent *row, uint64_t offset)
{
    return offset >= row->start && offset - row->start < row->length;
}

/* The extent that holds offset, which is on the disk: walks ask for the last one again, or for the
 * next. */
static const struct vmdk_extent *row_at(struct vmdk_extents *x, uint64_t offset)
{
    size_t low = 0, high = x->count;

    for (size_t i = x->last; i < x->count && i < x->last + 2; i++)
        if (covers(&x->rows[i], offset)) {
            x->last = i;
            return &x->rows[i];
        }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (x->rows[middle].start <= offset)
            low = middle;
        else
            high = middle;
    }
    x->last = low;
    return &x->rows[low];
}

/* Reads the header of a sparse extent, by its magic. */
static int open_sparse(struct disk *part)
{
    const uint8_t *head;
    int error = image_head(part->img, &head);

    if (error)
        return error;
    if (memcmp(head, VMDK_MAGIC_HOSTED, 4) == 0)
        return vmdk_hosted_open(part, head);
    if (memcmp(head, VMDK_MAGIC_COWD, 4) == 0)
        return vmdk_cowd_open(part, head);
    if (memcmp(head, VMDK_MAGIC_SESPARSE, 8) == 0)
        return vmdk_sesparse_open(part, head);
    return image_fail(part->img, EUCLEAN, "vmdk: the file is no sparse extent");
}

/* The sparse extent that a file is, as its session keeps it. NULL, said: out of memory. */
static struct sparse_part *part_of(struct image *img, const struct format_driver *driver,
                                   void **state)
{
    struct sparse_part *part = *state;

    if (part)
        return part;
    part = image_alloc(img, sizeof *part);
    if (!part)
        return NULL;
    part->vmdk.window_bytes = PART_WINDOW_BYTES;
    part->disk = (struct disk){.img = img, .driver = driver, .state = &part->vmdk};
    part->error = open_sparse(&part->disk);
    *state = part;
    return part;
}

/* The disk that a sparse extent is by itself; it must be what the descriptor's line says of it. */
static int find_part(struct disk *disk, const struct vmdk_extent *row, struct disk **part_disk)
{
    struct sparse_part *part;
    struct image *img;
    void **state;
    int error = disk_part(disk, row->reference, &img, &state);

    if (error)
        return error;
    part = part_of(img, disk->driver, state);
    if (!part || part->error)
        return part ? part->error : -ENOMEM;
    if ((part->vmdk.sesparse != NULL) != (row->kind == VMDK_EXTENT_SESPARSE))
        return image_fail(
            img, EUCLEAN,
            "vmdk: the file is %s seSparse extent, the descriptor's line says otherwise",
            part->vmdk.sesparse ? "a" : "no");
    if (part->disk.virtual_size != row->length)
        return image_fail(
            img, EUCLEAN,
            "vmdk: the capacity is %llu sectors, of which the descriptor's line has %llu",
            (unsigned long long)(part->disk.virtual_size / VMDK_SECTOR),
            (unsigned long long)(row->length / VMDK_SECTOR));
    *part_disk = &part->disk;
    return 0;
}

/* What the tables of a sparse extent say; its holes are those of the disk. */
static int sparse_extent_at(struct disk *disk, const struct vmdk_extent *row, uint64_t within,
                            unsigned want, struct extent *extent)
{
    struct disk *part;
    int error = find_part(disk, row, &part);

    if (error)
        return error;
    error = row->kind == VMDK_EXTENT_SESPARSE ? vmdk_sesparse_extent_at(part, within, want, extent)
                                              : vmdk_tables_extent_at(part, within, want, extent);
    if (!error && extent->kind == EXTENT_DATA)
        extent->part = row->reference + 1;
    return error;
}

static int fail_other(struct disk *disk, const struct reference *r)
{
    return image_fail(disk->img, ENOTSUP,
                      "vmdk: guest bytes are in the extent \"%.*s\", whose line has a type or an "
                      "offset that is not handled",
                      (int)r->length, r->path);
}

int vmdk_extents_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct vmdk *vmdk = disk->state;
    const struct vmdk_extent *row = row_at(vmdk->extents, offset);
    uint64_t within = offset - row->start;
    int error = 0;

    extent->kind = EXTENT_ZERO;
    extent->length = row->length - within;
    switch (row->kind) {
    case VMDK_EXTENT_ZERO:
        break;
    case VMDK_EXTENT_FLAT:
        extent->kind = EXTENT_DATA;
        extent->host = row->offset + within;
        extent->flags = EXTENT_HOST_HOLES;
        extent->part = row->reference + 1;
        break;
    case VMDK_EXTENT_SPARSE:
    case VMDK_EXTENT_SESPARSE:
        error = sparse_extent_at(disk, row, within, want, extent);
        extent->length = min_u64(extent->length, row->length - within);
        break;
    case VMDK_EXTENT_OTHER:
        return fail_other(disk, &disk->references[row->reference]);
    }
    return error;
}

int vmdk_extents_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct vmdk *vmdk = disk->state;
    const struct vmdk_extent *row = row_at(vmdk->extents, offset);
    struct disk *part;
    int error = find_part(disk, row, &part);

    return error ? error : vmdk_tables_decode(part, offset - row->start, bytes, length);
}
