// SPDX-License-Identifier: Apache-2.0
/*
 * Prints the sizes of an image in target formats, for tests that run the conversions:
 *
 *     measure-target FORMAT IMAGE TARGET[:OPTIONS]...
 *
 * A line per target: required and fully allocated bytes, or -errno and the message. The exit status
 * is 1 if the image cannot be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/disk.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/targets/options.h"
#include "formats/targets/targets.h"
#include "formats/targets/unit-count.h"

/* Measures, and prints the sizes. 0 or -errno of the image. */
static int measure(struct disk *disk, const struct target *target,
                   const struct target_options *options)
{
    uint64_t touched[TARGET_UNITS_MAX];
    static struct target_counts counts;
    static struct extents stream;
    struct target_size size;
    struct extent extent;
    struct reason why;
    int more, error;

    target_counts_begin(&counts);
    target_counts_want(&counts, 0, target, options, disk->virtual_size);
    extents_begin(&stream, disk, 0);
    while ((more = extents_next(&stream, &extent)) == 1)
        target_counts_add(&counts, 0, &extent);
    if (more)
        return more;
    target_counts_get(&counts, 0, touched);
    error = target->size(options, disk->virtual_size, touched, &size, &why);
    if (error)
        printf("%d %s\n", error, why.words);
    else
        printf("%" PRIu64 " %" PRIu64 "\n", size.required, size.fully_allocated);
    return 0;
}

/* Measures the target of an argument. */
static int answer(struct disk *disk, char *argument)
{
    char *colon = strchr(argument, ':');
    const struct target *target;
    struct target_options options;
    struct reason why;
    int error;

    if (colon)
        *colon = '\0';
    target = target_by_name(argument);
    if (!target) {
        fprintf(stderr, "measure-target: %s: no such target\n", argument);
        return -EINVAL;
    }
    options = target->defaults;
    error = colon ? target_options_parse(target, colon + 1, &options, &why) : 0;
    if (error) {
        printf("%d %s\n", error, why.words);
        return 0;
    }
    return measure(disk, target, &options);
}

int main(int argc, char **argv)
{
    const struct format_driver *driver = argc > 3 ? format_by_name(argv[1]) : NULL;
    int fd = driver ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1, error;
    static struct disk disk;
    struct image *img = NULL;

    if (fd < 0) {
        fputs("usage: measure-target FORMAT IMAGE TARGET[:OPTIONS]...\n", stderr);
        return 1;
    }
    error = image_open(&img, fd);
    if (!error)
        error = disk_open(&disk, img, driver, NULL);
    for (int i = 3; i < argc && !error; i++)
        error = answer(&disk, argv[i]);
    if (img)
        fputs(image_problems(img), stderr);
    image_close(img);
    return error ? 1 : 0;
}
