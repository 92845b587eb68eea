// SPDX-License-Identifier: Apache-2.0
/* Whether another file has the image's name by now. */
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

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What has the image's name may have been put there by somebody else: it is not followed where a
 * link leads, and must be of the owner of the image, which was granted. */
static int check_rules(int place, const struct stat *image)
{
    struct stat st;

    if (fstat(place, &st) < 0)
        return -errno;
    if (is_same_file(&st, image))
        return -EALREADY;
    return S_ISREG(st.st_mode) && st.st_uid == image->st_uid ? 0 : -EPERM;
}

/* What has that path, in which there were no links when it was found. A descriptor or -errno. */
static int find_place(const char *path)
{
    const struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

    if (fd < 0 && errno == ENOSYS) /* then it is not looked for */
        return -EALREADY;
    return fd < 0 ? -errno : (int)fd;
}

int layers_look(const struct layers *layers, struct stat *st)
{
    const struct layer *image = &layers->items[0];
    int place, error;

    image_file_stat(image->fd, st);
    if (!S_ISREG(image->st.st_mode))
        return -EALREADY;
    place = find_place(image->path);
    if (place < 0)
        return place;
    error = check_rules(place, &image->st);
    if (!error)
        return image_file_reopen(place, false, st);
    close(place);
    return error;
}

/* The device of number i of layers_descriptors(). */
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

/* The devices of all files, in the order in which they are met. Returns how many. */
static unsigned list_devices(const struct layers *layers, dev_t devices[LAYERS_ASKED_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < layers->count + layers->held_count; i++)
        if (!has_device(devices, count, device_of(layers, i)))
            devices[count++] = device_of(layers, i);
    return count;
}

unsigned layers_asked(const struct layers *layers)
{
    dev_t devices[LAYERS_ASKED_MAX];

    return layers->storage & STORAGE_REMOTE ? list_devices(layers, devices) : 0;
}

void layers_ask(const struct layers *layers, unsigned n)
{
    int fds[LAYERS_MAX + LAYERS_DATA_FILES_HELD];
    unsigned files = layers_descriptors(layers, fds);
    dev_t devices[LAYERS_ASKED_MAX];
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
    if (!error && is_same_file(&st, &image->st)) /* others have found it, too */
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
