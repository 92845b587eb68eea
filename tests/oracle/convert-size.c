// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the sizes of the files that conversions write, for tests that run the conversions:
 *
 *     convert-size -l FORMAT:IMAGE [-l FORMAT:IMAGE]... NAME TARGET[,OPTIONS]...
 *
 * NAME: of the written file. Each image has the next as its backing image. A line per target: the
 * sum, and for several files SIZE:NAME of each; or -errno and the message. One walk serves all
 * targets. The exit status is 1 if the image cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/disk.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/targets/conversion.h"
#include "formats/targets/options.h"

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

static int pass_run(void *context, uint64_t offset, uint64_t length)
{
    int error = 0;

    (void)context;
    for (size_t i = 0; i < count && !error; i++)
        error = orders[i].error ? 0 : conversion_run(&orders[i].conversion, offset, length);
    return error;
}

static int pass_written(void *context, uint64_t offset, uint64_t length)
{
    int error = 0;

    (void)context;
    for (size_t i = 0; i < count && !error; i++)
        error = orders[i].error ? 0 : conversion_written(&orders[i].conversion, offset, length);
    return error;
}

static int pass_slab(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    int error = 0;

    (void)context;
    for (size_t i = 0; i < count && !error; i++)
        error = orders[i].error ? 0 : conversion_slab(&orders[i].conversion, offset, bytes, length);
    return error;
}

/* Begins the conversion of an argument. */
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

/* Opens a layer in a session that the first one owns. 0 or -errno. */
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
    error = n ? image_open_owned(&layer, img, fd, true, true, colon + 1) : image_open(&img, fd);
    return error ? error : disk_open(&disks[n], n ? layer : img, driver, NULL);
}

/* Opens the layers of all options -l. 0 or -errno. */
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
        error = disk_set_backing(&disks[n - 1], &disks[n], NULL);
    return layers ? error : -EINVAL;
}

int main(int argc, char **argv)
{
    const struct data_walk_sink sink = {
        .run = pass_run, .written = pass_written, .slab = pass_slab};
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
        error = data_walk(&disks[0], &sink);
    for (size_t i = 0; i < count && !error; i++)
        answer(&orders[i]);
    if (img)
        fputs(image_problems(img), stderr);
    image_close(img);
    return error ? 1 : 0;
}
