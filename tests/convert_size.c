// SPDX-License-Identifier: Apache-2.0
/*
 * How large the files of conversions become, for tests that have them written:
 *
 *     convert-size -l FORMAT:IMAGE [-l FORMAT:IMAGE]... NAME TARGET[,OPTIONS]...
 *
 * for files of that NAME; each further image lies below the one before. For each target prints a
 * line: the sum, and of several files the size and name of each behind it; or the error's number,
 * negative, and why. One walk feeds them all. The exit status is 1 if the image cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/conversion.h"

enum { CONVERSIONS_MAX = 64, LAYERS_SHARED = 2 };

static struct image *img;
static struct disk disks[LAYERS_MAX];

static struct order {
    struct target_options options;
    struct conversion conversion;
    struct reason why;
    int error;
} orders[CONVERSIONS_MAX];
static size_t count;

/* The walk as contents_walk() has it, without its speed. */
static uint8_t bytes[CONTENTS_SLAB];

static int tell_run(uint64_t offset, uint64_t length)
{
    int error = 0;

    for (size_t i = 0; i < count && !error; i++)
        error = orders[i].error ? 0 : conversion_run(&orders[i].conversion, offset, length);
    return error;
}

static int tell_written(uint64_t offset, uint64_t length)
{
    int error = 0;

    for (size_t i = 0; i < count && !error; i++)
        error = orders[i].error ? 0 : conversion_written(&orders[i].conversion, offset, length);
    return error;
}

static int tell_slab(uint64_t offset, size_t length)
{
    int error = 0;

    for (size_t i = 0; i < count && !error; i++)
        error = orders[i].error ? 0 : conversion_slab(&orders[i].conversion, offset, bytes, length);
    return error;
}

static bool is_zero(const uint8_t *at, size_t length)
{
    return !length || (!*at && memcmp(at, at + 1, length - 1) == 0);
}

/* Tells the pieces of [offset, end), which is of one run and one slab. Whether there are any. */
static int tell_pieces(uint64_t offset, uint64_t end, uint64_t slab, bool *any)
{
    uint64_t begin = end;
    int error = 0;

    for (uint64_t at = offset, next; at < end && !error; at = next) {
        next = at - at % CONTENTS_BLOCK + CONTENTS_BLOCK;
        next = next < end ? next : end;
        if (!is_zero(bytes + (at - slab), next - at)) {
            begin = begin < at ? begin : at;
            *any = true;
        } else if (begin < at) {
            error = tell_written(begin, at - begin);
            begin = end;
        }
    }
    return error || begin == end ? error : tell_written(begin, end - begin);
}

/* What is written of a run, which lies in one or more slabs; *slab is the one that is read. */
static int tell_data(struct disk *disk, uint64_t offset, uint64_t end, uint64_t *slab, bool *any)
{
    int error = tell_run(offset, end - offset);

    while (offset < end && !error) {
        uint64_t first = offset / CONTENTS_SLAB * CONTENTS_SLAB, next = first + CONTENTS_SLAB;
        uint64_t length = disk->virtual_size - first;

        next = next < end ? next : end;
        length = length < CONTENTS_SLAB ? length : CONTENTS_SLAB;
        if (first != *slab) {
            if (*any)
                error = tell_slab(*slab, CONTENTS_SLAB);
            *any = false;
            *slab = first;
            if (!error)
                error = disk_read(disk, first, bytes, (size_t)length);
        }
        if (!error)
            error = tell_pieces(offset, next, first, any);
        offset = next;
    }
    return error;
}

/* Where what is told at once from offset on ends. */
static uint64_t told_end(struct disk *disk, const struct extent *e, uint64_t offset)
{
    uint64_t most = disk_layer(disk, e->layer)->told_at_once, end = e->offset + e->length;

    if (!most || end - offset <= most - offset % most)
        return end;
    return offset - offset % most + most;
}

static int walk(struct disk *disk)
{
    static struct extents stream;
    uint64_t slab = UINT64_MAX, rest;
    struct extent e;
    bool any = false;
    int more, error = 0;

    extents_begin(&stream, disk, EXTENTS_WANT_HOST);
    while (!error && (more = extents_next(&stream, &e)) == 1)
        for (uint64_t at = e.offset, end; at < e.offset + e.length && !error; at = end) {
            end = told_end(disk, &e, at);
            if (e.kind == EXTENT_DATA)
                error = tell_data(disk, at, end, &slab, &any);
        }
    if (error || more)
        return error ? error : more;
    rest = any ? disk->virtual_size - slab : 0;
    return any ? tell_slab(slab, (size_t)(rest < CONTENTS_SLAB ? rest : CONTENTS_SLAB)) : 0;
}

/* Begins what an argument asks for. */
static int begin(struct disk *disk, const char *name, char *argument, struct order *order)
{
    char *comma = strchr(argument, ',');
    const struct target *target;

    if (comma)
        *comma = '\0';
    target = target_by_name(argument);
    if (!target) {
        fprintf(stderr, "convert-size: %s: no such target\n", argument);
        return -EINVAL;
    }
    order->options = target->defaults;
    if (comma)
        order->error =
            target_options_parse_conversion(target, comma + 1, &order->options, &order->why);
    if (!order->error)
        order->error = conversion_begin(&order->conversion, disk->img, target, &order->options,
                                        disk->virtual_size, name, &order->why);
    return 0;
}

static void answer(struct order *order)
{
    struct conversion *c = &order->conversion;
    struct conversion_file file;
    bool begun = !order->error;
    uint64_t size;

    if (begun)
        order->error = conversion_size(c, &size, &order->why);
    if (order->error)
        printf("%d %s", order->error, order->why.words);
    else
        printf("%" PRIu64, size);
    for (uint64_t i = 0; !order->error && i < conversion_files(c) && conversion_files(c) > 1; i++) {
        conversion_file(c, i, &file);
        printf(" %" PRIu64 ":%s", file.size, file.name);
    }
    putchar('\n');
    if (begun)
        conversion_end(c);
}

/* Opens a layer, which is a part of the session of the first. 0 or -errno. */
static int open_layer(size_t n, char *text)
{
    char *colon = strchr(text, ':');
    const struct format_driver *driver;
    struct image *layer = NULL;
    int fd, error;

    if (!colon || n == LAYERS_MAX)
        return -EINVAL;
    *colon = '\0';
    driver = format_by_name(text);
    fd = driver ? open(colon + 1, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return -ENOENT;
    error = n ? image_open_part(&layer, img, fd, true, true, colon + 1) : image_open(&img, fd);
    return error ? error : disk_open(&disks[n], n ? layer : img, driver, NULL);
}

/* Opens the layers, told one after the other. 0 or -errno. */
static int open_layers(int argc, char **argv)
{
    size_t layers = 0;
    int option, error = 0;

    while (!error && (option = getopt(argc, argv, "l:")) != -1) {
        error = option == 'l' ? open_layer(layers++, optarg) : -EINVAL;
        if (!error && layers == 1)
            image_share_windows(img, LAYERS_SHARED);
    }
    for (size_t n = layers; n-- > 1 && !error;)
        error = disk_put_below(&disks[n - 1], &disks[n], NULL);
    return layers ? error : -EINVAL;
}

int main(int argc, char **argv)
{
    int error = open_layers(argc, argv);
    bool reads = false;

    if (error == -EINVAL || argc < optind + 2 || argc > optind + 1 + CONVERSIONS_MAX) {
        fputs("usage: convert-size -l FORMAT:IMAGE... NAME TARGET[,OPTIONS]...\n", stderr);
        return 1;
    }
    for (int i = optind + 1; i < argc && !error; i++)
        error = begin(&disks[0], argv[optind], argv[i], &orders[count++]);
    for (size_t i = 0; i < count; i++)
        reads |= !orders[i].error && conversion_reads(&orders[i].conversion);
    if (!error && reads)
        error = walk(&disks[0]);
    for (size_t i = 0; i < count && !error; i++)
        answer(&orders[i]);
    if (img)
        fputs(image_problems(img), stderr);
    image_close(img);
    return error ? 1 : 0;
}
