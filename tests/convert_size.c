// SPDX-License-Identifier: Apache-2.0
/*
 * How large the files of conversions become, for tests that have them written:
 *
 *     convert-size FORMAT IMAGE NAME TARGET[,OPTIONS]...
 *
 * for files of that NAME. For each target prints a line: the sum, and of several files the size and
 * name of each behind it; or the error's number, negative, and why. One walk feeds them all. The
 * exit status is 1 if the image cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/conversion.h"

enum { CONVERSIONS_MAX = 64 };

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

static int walk(struct disk *disk)
{
    static struct extents stream;
    struct extent e;
    uint64_t slab = UINT64_MAX;
    bool any = false;
    int more, error = 0;

    extents_begin(&stream, disk, EXTENTS_WANT_HOST);
    while ((more = extents_next(&stream, &e)) == 1 && !error) {
        if (e.kind == EXTENT_DATA)
            error = tell_run(e.offset, e.length);
        for (uint64_t at = e.offset, end;
             at < e.offset + e.length && e.kind == EXTENT_DATA && !error; at = end) {
            uint64_t first = at / CONTENTS_SLAB * CONTENTS_SLAB;
            uint64_t length = disk->virtual_size - first;

            length = length < CONTENTS_SLAB ? length : CONTENTS_SLAB;
            end = first + length < e.offset + e.length ? first + length : e.offset + e.length;
            if (first != slab) {
                if (any)
                    error = tell_slab(slab, CONTENTS_SLAB);
                any = false;
                slab = first;
                if (!error)
                    error = disk_read(disk, slab, bytes, length);
            }
            if (!error)
                error = tell_pieces(at, end, slab, &any);
        }
    }
    if (!more && !error && any) {
        uint64_t length = disk->virtual_size - slab;

        error = tell_slab(slab, length < CONTENTS_SLAB ? length : CONTENTS_SLAB);
    }
    return more < 0 ? more : error;
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

int main(int argc, char **argv)
{
    const struct format_driver *driver = argc > 4 ? format_by_name(argv[1]) : NULL;
    int fd = driver ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1, error;
    static struct disk disk;
    struct image *img = NULL;
    bool reads = false;

    if (fd < 0 || argc > 4 + CONVERSIONS_MAX) {
        fputs("usage: convert-size FORMAT IMAGE NAME TARGET[,OPTIONS]...\n", stderr);
        return 1;
    }
    error = image_open(&img, fd);
    if (!error)
        error = disk_open(&disk, img, driver, NULL);
    for (int i = 4; i < argc && !error; i++)
        error = begin(&disk, argv[3], argv[i], &orders[count++]);
    for (size_t i = 0; i < count; i++)
        reads |= !orders[i].error && conversion_reads(&orders[i].conversion);
    if (!error && reads)
        error = walk(&disk);
    for (size_t i = 0; i < count && !error; i++)
        answer(&orders[i]);
    if (img)
        fputs(image_problems(img), stderr);
    image_close(img);
    return error ? 1 : 0;
}
