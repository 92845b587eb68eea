// SPDX-License-Identifier: Apache-2.0
/*
 * vmdk: disks whose extents are files of their own, as a descriptor lists them (VMware, "Virtual
 * Disk Format 5.0", "The Extent Description").
 *
 * The extents are a table by guest offset. A flat one is bytes of its file. A sparse one is opened
 * when it is first used, as a disk of this format. That disk belongs to the session on the extent
 * file: it goes when the file is closed, and its header is read again when the file is reopened.
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
    /* Ours: 64 TiB of extents of 2 GiB, the largest that VMware's programs write. The longest
       descriptor has room for about twice as many lines. */
    EXTENTS_MAX = 32768,
    EXTENTS_FIRST = 16,

    /* For the grain tables of one file, of which several are open at a time. The tables of a 2 GiB
       extent take half of it. */
    FILE_WINDOW_BYTES = 256 << 10,
};

_Static_assert(sizeof(struct vmdk_extent) <= 32,
               "tens of thousands must fit in the memory of a session");

struct vmdk_extents {
    struct vmdk_extent *rows;
    size_t count, room;
    size_t last; /* row that was used last */
};

/* A sparse extent, in the memory of the session on its file. */
struct extent_file {
    struct disk disk;
    struct vmdk vmdk;
    int error; /* of opening it, reported; 0: it is open */
};

/* Makes room for one more row. The old array stays in the session's memory. */
static int vmdk_extents_grow(struct disk *disk, struct vmdk_extents *x)
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
    error = vmdk_extents_grow(disk, x);
    if (error)
        return error;
    x->rows[x->count] = *extent;
    x->rows[x->count++].start = disk->virtual_size;
    disk->virtual_size += extent->length;
    return 0;
}

static bool vmdk_covers(const struct vmdk_extent *row, uint64_t offset)
{
    return offset >= row->start && offset - row->start < row->length;
}

/* The extent that holds offset, which is less than the virtual size. Walks use the same row again
 * or the next one, so these are tried first. */
static const struct vmdk_extent *vmdk_row_at(struct vmdk_extents *x, uint64_t offset)
{
    size_t low = 0, high = x->count;

    for (size_t i = x->last; i < x->count && i < x->last + 2; i++)
        if (vmdk_covers(&x->rows[i], offset)) {
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

/* Opens a sparse extent of the kind that its magic names. */
static int vmdk_open_extent_file(struct disk *sparse)
{
    const uint8_t *head;
    int error = image_head(sparse->img, &head);

    if (error)
        return error;
    if (memcmp(head, VMDK_MAGIC_HOSTED, 4) == 0)
        return vmdk_hosted_open(sparse, head);
    if (memcmp(head, VMDK_MAGIC_COWD, 4) == 0)
        return vmdk_cowd_open(sparse, head);
    if (memcmp(head, VMDK_MAGIC_SESPARSE, 8) == 0)
        return vmdk_sesparse_open(sparse, head);
    return image_fail(sparse->img, EUCLEAN,
                      "vmdk: the file is not a sparse extent: it begins with no known magic");
}

/* The sparse extent in a file, opened when it is first used. NULL, reported: out of memory. */
static struct extent_file *vmdk_extent_file(struct image *img, const struct format_driver *driver,
                                            void **state)
{
    struct extent_file *file = *state;

    if (file)
        return file;
    file = image_alloc(img, sizeof *file);
    if (!file)
        return NULL;
    file->vmdk.window_bytes = FILE_WINDOW_BYTES;
    file->disk = (struct disk){.img = img, .driver = driver, .state = &file->vmdk};
    file->error = vmdk_open_extent_file(&file->disk);
    *state = file;
    return file;
}

/* The disk of a sparse extent. Its kind and size must be those of the descriptor's line. */
static int vmdk_find_extent_disk(struct disk *disk, const struct vmdk_extent *row,
                                 struct disk **sparse)
{
    struct extent_file *file;
    struct image *img;
    void **state;
    int error = disk_data_file(disk, row->reference, &img, &state);

    if (error)
        return error;
    file = vmdk_extent_file(img, disk->driver, state);
    if (!file || file->error)
        return file ? file->error : -ENOMEM;
    if ((file->vmdk.sesparse != NULL) != (row->kind == VMDK_EXTENT_SESPARSE))
        return image_fail(
            img, EUCLEAN,
            "vmdk: the file is %sa seSparse extent, but its type in the descriptor is %sSESPARSE",
            file->vmdk.sesparse ? "" : "not ", file->vmdk.sesparse ? "not " : "");
    if (file->disk.virtual_size != row->length)
        return image_fail(img, EUCLEAN,
                          "vmdk: capacity %llu is not the %llu sectors in the descriptor",
                          (unsigned long long)(file->disk.virtual_size / SECTOR),
                          (unsigned long long)(row->length / SECTOR));
    *sparse = &file->disk;
    return 0;
}

/* Holes of a sparse extent are holes of the whole disk. */
static int vmdk_sparse_extent_at(struct disk *disk, const struct vmdk_extent *row, uint64_t within,
                                 unsigned want, struct extent *extent)
{
    struct disk *sparse;
    int error = vmdk_find_extent_disk(disk, row, &sparse);

    if (error)
        return error;
    error = row->kind == VMDK_EXTENT_SESPARSE
                ? vmdk_sesparse_extent_at(sparse, within, want, extent)
                : vmdk_tables_extent_at(sparse, within, want, extent);
    if (!error && extent->kind == EXTENT_DATA)
        extent->file = row->reference + 1;
    return error;
}

static int vmdk_fail_other(struct disk *disk, const struct reference *r)
{
    return image_fail(
        disk->img, ENOTSUP,
        "vmdk: extent \"%.*s\" cannot be read: its type or offset in the descriptor is not "
        "supported",
        (int)r->length, r->path);
}

int vmdk_extents_extent_at(struct disk *disk, uint64_t offset, unsigned want, struct extent *extent)
{
    const struct vmdk *vmdk = disk->state;
    const struct vmdk_extent *row = vmdk_row_at(vmdk->extents, offset);
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
        extent->file = row->reference + 1;
        break;
    case VMDK_EXTENT_SPARSE:
    case VMDK_EXTENT_SESPARSE:
        error = vmdk_sparse_extent_at(disk, row, within, want, extent);
        extent->length = min_u64(extent->length, row->length - within);
        break;
    case VMDK_EXTENT_OTHER:
        return vmdk_fail_other(disk, &disk->references[row->reference]);
    }
    return error;
}

int vmdk_extents_decode(struct disk *disk, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct vmdk *vmdk = disk->state;
    const struct vmdk_extent *row = vmdk_row_at(vmdk->extents, offset);
    struct disk *sparse;
    int error = vmdk_find_extent_disk(disk, row, &sparse);

    return error ? error : vmdk_tables_decode(sparse, offset - row->start, bytes, length);
}
