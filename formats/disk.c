// SPDX-License-Identifier: Apache-2.0
/* An open image as a virtual disk: references, granted files, backing image. */
#include "disk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "checked.h"
#include "format.h"
#include "image.h"
#include "reference.h"

enum {
    REFERENCES_FIRST = 8,
    NAME_BYTES = 128, /* of a data file, in problems */
};

/* Slack before repeated references to the same host bytes are refused. Without the limit, a small
 * file whose tables repeat themselves makes walks of any length. */
#define REPEATED_BYTES_MAX (UINT64_C(64) << 20)

/* A data file that is open. */
struct data_file {
    size_t number;     /* of the granted file */
    struct image *img; /* NULL: the slot is free */
    void *state;
    uint64_t used; /* data_files.now at the last use */
};

struct data_files {
    struct data_file open[IMAGE_DATA_FILES_MAX];
    unsigned open_max; /* how many of the slots may be used */
    uint64_t now;      /* uses so far */
    bool *known;       /* by number of the file: there was a session on it */
};

int disk_open(struct disk *disk, struct image *img, const struct format_driver *driver,
              const struct open_options *options)
{
    *disk = (struct disk){.img = img, .driver = driver};
    if (options) {
        disk->qemu = options->qemu;
        disk->alone = options->alone;
    }
    return driver->open(disk);
}

int disk_set_backing(struct disk *disk, struct disk *backing, const struct open_options *options)
{
    int error = 0;

    if (disk->driver->check_parent && !(options && options->any_parent))
        error = disk->driver->check_parent(disk, backing);
    disk->backing_error = error;
    disk->backing = error ? NULL : backing;
    return error;
}

/* Makes room for one more reference. An array that is replaced stays in the session's memory. */
static int make_room(struct disk *disk)
{
    size_t room = disk->references_room ? 2 * disk->references_room : REFERENCES_FIRST;
    size_t backing =
        disk->backing_reference ? (size_t)(disk->backing_reference - disk->references) : 0;
    struct reference *references;

    if (disk->references_count < disk->references_room)
        return 0;
    references = image_alloc(disk->img, room * sizeof *references);
    if (!references)
        return -ENOMEM;
    if (disk->references_count)
        memcpy(references, disk->references, disk->references_count * sizeof *references);
    disk->references = references;
    disk->references_room = room;
    if (disk->backing_reference)
        disk->backing_reference = &references[backing];
    return 0;
}

int disk_add_reference(struct disk *disk, const struct reference *reference)
{
    struct reference *added;
    int error;

    if (disk->references_count == REFERENCES_MAX)
        return image_fail(disk->img, EFBIG, "%s: the image names more than %d files",
                          disk->driver->name, REFERENCES_MAX);
    error = make_room(disk);
    if (error)
        return error;
    added = &disk->references[disk->references_count++];
    *added = *reference;
    if (added->role == REFERENCE_BACKING && !disk->backing_reference)
        disk->backing_reference = added;
    return 0;
}

int disk_read_reference(struct disk *disk, struct reference reference, uint64_t offset,
                        size_t length)
{
    const uint8_t *path;
    int error = image_get(disk->img, offset, length, &path);

    if (error)
        return error;
    while (length && !path[length - 1])
        length--;
    if (!length || !path[0])
        return 0;
    reference.path = (const char *)path;
    reference.length = length;
    return disk_add_reference(disk, &reference);
}

int disk_refuse(const struct disk *disk, const struct reference *reference, bool is_missing)
{
    const char *what = is_missing ? "guest bytes are in a file that cannot be opened, the"
                                  : "guest bytes are in a file that is not granted, the";
    int error = is_missing ? EIO : EACCES;

    if (!reference->length)
        return image_fail(disk->img, error, "%s: %s %s (%s gives no path)", disk->driver->name,
                          what, reference->kind, reference->source);
    return image_fail(disk->img, error, "%s: %s %s \"%.*s\"", disk->driver->name, what,
                      reference->kind, (int)reference->length, reference->path);
}

struct disk *disk_layer(struct disk *disk, unsigned layer)
{
    while (layer--)
        disk = disk->backing;
    return disk;
}

/* Returns disk->data_files, allocated if needed. NULL, reported: out of memory. */
static struct data_files *data_files_of(struct disk *disk)
{
    if (!disk->data_files) {
        struct data_files *files = image_alloc(disk->img, sizeof *files);
        bool *known = image_alloc(disk->img, disk->references_count);

        if (!files || !known)
            return NULL;
        files->known = known;
        files->open_max = image_data_files_share(disk->img);
        disk->data_files = files;
    }
    return disk->data_files;
}

/* Returns the slot of the file of that number if it is open; else a free slot, or the least
 * recently used. */
static struct data_file *data_file_slot(struct data_files *files, size_t number)
{
    struct data_file *oldest = files->open;

    for (struct data_file *f = files->open; f < files->open + files->open_max; f++) {
        if (f->img && f->number == number)
            return f;
        if (!f->img || (oldest->img && f->used < oldest->used))
            oldest = f;
    }
    return oldest;
}

/* Opens the file of a reference, which has that number, in place of the file in the slot. Returns 0
 * or -errno, reported. */
static int data_file_open(struct disk *disk, size_t reference, size_t number,
                          struct data_file *slot)
{
    const struct reference *r = &disk->references[reference];
    bool takes_fd = false, is_new = !disk->data_files->known[number];
    char name[NAME_BYTES];
    int fd = -1, error;

    snprintf(name, sizeof name, "%s \"%.*s\"", r->kind, (int)r->length, r->path);
    image_close(slot->img);
    *slot = (struct data_file){.number = number};
    error = disk->granted->open(disk->granted->context, reference, &fd, &takes_fd);
    if (!error)
        error = image_open_owned(&slot->img, disk->img, fd, takes_fd, is_new, name);
    if (error)
        return image_fail(disk->img, EIO, "%s: cannot read the %s: %s", disk->driver->name, name,
                          strerror(-error));
    disk->data_files->known[number] = true;
    return 0;
}

int disk_data_file(struct disk *disk, size_t reference, struct image **img, void ***state)
{
    const struct granted *granted = disk->granted;
    struct data_files *files = data_files_of(disk);
    struct data_file *slot;
    size_t number;
    int error = files ? 0 : -ENOMEM;

    if (error)
        return error;
    error = granted ? granted->find(granted->context, reference, &number) : -EACCES;
    if (error)
        return disk_refuse(disk, &disk->references[reference], error != -EACCES);
    assert(number < disk->references_count);
    slot = data_file_slot(files, number);
    if (!slot->img || slot->number != number)
        error = data_file_open(disk, reference, number, slot);
    slot->used = ++files->now;
    *img = slot->img;
    *state = &slot->state;
    return error;
}

void disk_note_table(struct disk *disk, uint64_t offset, uint64_t length, const char *what)
{
    uint64_t size = image_size(disk->img);

    if (disk->lacks_tables || (offset <= size && length <= size - offset))
        return;
    disk->lacks_tables = true;
    image_note(disk->img,
               "%s: %s at offset %llu ends past the end of the file, which has %llu bytes: missing "
               "entries count as empty",
               disk->driver->name, what, (unsigned long long)offset, (unsigned long long)size);
}

int disk_check_repeats(const struct disk *disk, uint64_t bytes)
{
    uint64_t all;

    if (!checked_add(image_total_size(disk->img), REPEATED_BYTES_MAX, &all) || bytes <= all)
        return 0;
    return image_fail(disk->img, EFBIG,
                      "%s: the same bytes of the file stand for many places of the disk",
                      disk->driver->name);
}
