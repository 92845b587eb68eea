// SPDX-License-Identifier: Apache-2.0
/* What has changed since the files were opened: another file with the image's name, and attributes
 * of files on remote file systems. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "formats/extents.h"
#include "formats/image.h"
#include "image-file.h"
#include "layers.h"

/* The user granted the image, not what another user puts in its place: the file must be a regular
 * one with the same owner. */
static int check_rules(int place, const struct stat *image)
{
    struct stat st;

    if (fstat(place, &st) < 0)
        return -errno;
    if (image_file_is_same(&st, image))
        return -EALREADY;
    return S_ISREG(st.st_mode) && st.st_uid == image->st_uid ? 0 : -EPERM;
}

/* Opens the path, which contained no link when the image was opened, with O_PATH. Returns a
 * descriptor or -errno. */
static int open_place(const char *path)
{
    const struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

    if (fd < 0 && errno == ENOSYS) /* links cannot be excluded: keep the image */
        return -EALREADY;
    return fd < 0 ? -errno : (int)fd;
}

int layers_recheck(const struct layers *layers, struct stat *st)
{
    const struct layer *image = &layers->items[0];
    int place, error;

    image_file_stat(image->fd, st);
    if (!S_ISREG(image->st.st_mode))
        return -EALREADY;
    place = open_place(image->path);
    if (place < 0)
        return place;
    error = check_rules(place, &image->st);
    if (!error)
        return image_file_reopen(place, false, st);
    close(place);
    return error;
}

/* Returns the device of file i, in the order of layers_descriptors(). */
static dev_t device_of(const struct layers *layers, unsigned i)
{
    return i < layers->count ? layers->items[i].st.st_dev
                             : layers->held[i - layers->count]->st.st_dev;
}

static bool has_device(const dev_t *devices, unsigned count, dev_t device)
{
    for (unsigned i = 0; i < count; i++)
        if (devices[i] == device)
            return true;
    return false;
}

/* Writes the different devices of the open files. Returns the number. */
static unsigned list_devices(const struct layers *layers, dev_t devices[LAYERS_DEVICES_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < layers->count + layers->held_count; i++)
        if (!has_device(devices, count, device_of(layers, i)))
            devices[count++] = device_of(layers, i);
    return count;
}

unsigned layers_devices(const struct layers *layers)
{
    dev_t devices[LAYERS_DEVICES_MAX];

    return layers->storage & STORAGE_REMOTE ? list_devices(layers, devices) : 0;
}

void layers_refresh(const struct layers *layers, unsigned n)
{
    int fds[LAYERS_MAX + LAYERS_DATA_FILES_HELD];
    unsigned files = layers_descriptors(layers, fds);
    dev_t devices[LAYERS_DEVICES_MAX];
    struct stat st;

    list_devices(layers, devices);
    for (unsigned i = 0; i < files; i++)
        if (device_of(layers, i) == devices[n])
            image_file_stat(fds[i], &st);
}

int layers_replace(struct layers *layers, int fd, unsigned storage)
{
    struct layer *image = &layers->items[0];
    struct stat st;
    int error = image_file_known_stat(fd, &st);

    if (!error && !S_ISREG(st.st_mode))
        error = -EPROTO;
    if (!error && image_file_is_same(&st, &image->st)) /* reported twice */
        error = -EALREADY;
    if (error) {
        close(fd);
        return error;
    }
    image->storage = storage;
    layers->storage |= storage;
    close(image->fd);
    image->fd = fd;
    image->st = st;
    return 0;
}

unsigned layers_descriptors(const struct layers *layers, int *fds)
{
    unsigned count = 0;

    for (unsigned i = 0; i < layers->count; i++)
        fds[count++] = layers->items[i].fd;
    for (size_t i = 0; i < layers->held_count; i++)
        fds[count++] = layers->held[i]->fd;
    return count;
}
