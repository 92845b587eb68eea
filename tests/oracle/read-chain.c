// SPDX-License-Identifier: Apache-2.0
/*
 * Reads a chain of images, for tests that know its guest bytes:
 *
 *     read-chain [-a] [-x] FORMAT FILE [FORMAT FILE]...
 *
 * Each image has the next as its parent; the first one is read. Writes all guest bytes to standard
 * output; with -x the joined extents, a JSON object per line. -a: any image is accepted as a
 * parent. Problems go to standard error; the exit status is 1 if guest bytes cannot be read, 2 for
 * other errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "formats/image.h"

enum { PIECE = 1 << 20 };

static struct image *img;
static struct disk disks[LAYERS_MAX];

static int finish(int status)
{
    if (img)
        fputs(image_problems(img), stderr);
    image_close(img);
    return status;
}

/* Opens layer n in a session that the first one owns. */
static int open_layer(size_t n, const char *format, const char *path)
{
    const struct format_driver *driver = format_by_name(format);
    int fd = open(path, O_RDONLY | O_CLOEXEC), error;
    struct image *layer;

    if (!driver || fd < 0) {
        fprintf(stderr, "read-chain: %s %s: %s\n", format, path,
                driver ? strerror(errno) : "no such format");
        return -EINVAL;
    }
    if (n)
        error = image_open_owned(&layer, img, fd, true, true, path);
    else
        error = image_open(&img, fd);
    return error ? error : disk_open(&disks[n], n ? layer : img, driver, NULL);
}

static int write_bytes(void)
{
    static uint8_t bytes[PIECE];

    for (uint64_t at = 0; at < disks[0].virtual_size; at += sizeof bytes) {
        uint64_t rest = disks[0].virtual_size - at;
        size_t length = rest < sizeof bytes ? (size_t)rest : sizeof bytes;
        int error = disk_read(&disks[0], at, bytes, length);

        if (error)
            return error;
        fwrite(bytes, 1, length, stdout);
    }
    return 0;
}

static int write_extents(void)
{
    static const char *const kinds[] = {"data", "zero", "hole"};
    struct extents stream;
    struct extent e;
    int more;

    extents_begin(&stream, &disks[0], EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED);
    while ((more = extents_next(&stream, &e)) == 1) {
        printf("{\"start\": %llu, \"length\": %llu, \"depth\": %u, \"kind\": \"%s\"",
               (unsigned long long)e.offset, (unsigned long long)e.length, e.layer, kinds[e.kind]);
        if (e.kind == EXTENT_DATA && e.host != EXTENT_NO_HOST)
            printf(", \"offset\": %llu", (unsigned long long)e.host);
        puts("}");
    }
    return more;
}

int main(int argc, char **argv)
{
    struct open_options options = {.any_parent = false};
    bool extents = false;
    size_t layers;
    int option;

    while ((option = getopt(argc, argv, "ax")) != -1) {
        options.any_parent |= option == 'a';
        extents |= option == 'x';
        if (option == '?')
            return 2;
    }
    layers = (size_t)(argc - optind) / 2;
    if (!layers || layers > LAYERS_MAX || (argc - optind) % 2) {
        fputs("usage: read-chain [-a] [-x] FORMAT FILE [FORMAT FILE]...\n", stderr);
        return 2;
    }
    for (size_t n = 0; n < layers; n++) {
        if (open_layer(n, argv[optind + 2 * (int)n], argv[optind + 2 * (int)n + 1]))
            return finish(2);
        if (n == 0)
            image_share_windows(img, (unsigned)layers);
    }
    for (size_t n = layers - 1; n > 0; n--)
        if (disk_set_backing(&disks[n - 1], &disks[n], &options))
            return finish(2);
    if ((extents ? write_extents() : write_bytes()) || fflush(stdout))
        return finish(1);
    return finish(0);
}
