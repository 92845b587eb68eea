// SPDX-License-Identifier: Apache-2.0
/*
 * map-image [-r | -w | -s] [-o OPTIONS] IMAGE: prints the joined extent stream of an image with its
 * backing images, as `qemu-img map --output=json` of qemu 7.2. With -r it writes the guest bytes
 * instead; with -w it prints the ranges that a conversion writes, offset and length per line; with
 * -s also a line per slab with written ranges: "slab", offset, length, CRC-32.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "detect/detect.h"
#include "detect/files/chain.h"
#include "detect/files/image-file.h"
#include "formats/checked.h"
#include "formats/image.h"
#include "formats/targets/data-walk.h"
#include "fs/tree/cat.h"

enum { PIECE = 1 << 20 };

/* A printed range. */
struct entry {
    uint64_t start, length, host; /* host: EXTENT_NO_HOST: none is shown */
    unsigned depth;
    bool present, zero, data;
    uint32_t file;
};

static const char usage[] = "usage: map-image [-r | -w | -s] [-o OPTIONS] IMAGE\n";

/*
 * Whether qemu prints both data and zero: data of the image whose bytes are a hole of its file.
 * Past the end of the file the stream, with EXTENTS_WANT_HOST, has data. 1, 0 or -errno.
 */
static int is_hole_of_host(struct disk *disk, const struct extent *e)
{
    struct image *img = disk->img;
    uint64_t size;
    void **state;
    int error = e->file ? disk_data_file(disk, e->file - 1, &img, &state) : 0;

    if (error)
        return error;
    if (!(e->flags & EXTENT_HOST_HOLES) || e->host == EXTENT_NO_HOST)
        return 0;
    checked_round_up(image_size(img), 512, &size);
    return e->kind == EXTENT_ZERO || e->host >= size;
}

/* Fills in the entry of an extent. 0 or -errno. */
static int describe(struct disk *top, const struct extent *e, struct entry *entry)
{
    struct disk *disk = disk_layer(top, e->layer);
    int hole = e->kind == EXTENT_HOLE ? 0 : is_hole_of_host(disk, e);

    if (hole < 0)
        return hole;
    *entry = (struct entry){
        .start = e->offset,
        .length = e->length,
        .depth = e->layer,
        .host = e->flags & EXTENT_COMPRESSED ? EXTENT_NO_HOST : e->host,
        .file = e->file,
        .present = e->kind != EXTENT_HOLE,
        .zero = hole || e->kind != EXTENT_DATA,
        /* A raw image is the file itself: its holes are no data. */
        .data = (hole || e->kind == EXTENT_DATA) && !(hole && disk->driver == &raw_driver),
    };
    return 0;
}

/* Whether b, which follows a, can be joined to it. */
static bool is_like(const struct entry *a, const struct entry *b)
{
    if (a->depth != b->depth || a->file != b->file || a->present != b->present ||
        a->zero != b->zero || a->data != b->data)
        return false;
    if (a->host == EXTENT_NO_HOST || b->host == EXTENT_NO_HOST)
        return a->host == b->host;
    return a->host + a->length == b->host;
}

static const char *word(bool value)
{
    return value ? "true" : "false";
}

static void print(const struct entry *e)
{
    printf("%s{ \"start\": %llu, \"length\": %llu, \"depth\": %u, \"present\": %s, \"zero\": %s, "
           "\"data\": %s",
           e->start ? ",\n" : "[", (unsigned long long)e->start, (unsigned long long)e->length,
           e->depth, word(e->present), word(e->zero), word(e->data));
    if (e->host != EXTENT_NO_HOST)
        printf(", \"offset\": %llu", (unsigned long long)e->host);
    putchar('}');
}

static int print_map(struct disk *disk)
{
    struct entry held = {.host = EXTENT_NO_HOST}, entry;
    struct extents stream;
    struct extent e;
    int more, error;

    extents_begin(&stream, disk, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED);
    while ((more = extents_next(&stream, &e)) == 1) {
        error = describe(disk, &e, &entry);
        if (error)
            return error;
        if (held.length && is_like(&held, &entry)) {
            held.length += entry.length;
            continue;
        }
        if (held.length)
            print(&held);
        held = entry;
    }
    print(&held); /* an empty disk has one range, too: of nothing */
    puts("]");
    return more;
}

static int write_guest(struct disk *disk)
{
    static uint8_t bytes[PIECE];

    for (uint64_t at = 0; at < disk->virtual_size; at += PIECE) {
        size_t length = (size_t)min_u64(PIECE, disk->virtual_size - at);
        int error = disk_read(disk, at, bytes, length);

        if (error)
            return error;
        fwrite(bytes, 1, length, stdout);
    }
    return 0;
}

/* The written range that is not printed yet. */
struct pieces {
    uint64_t offset, length;
};

static void print_pieces(const struct pieces *p)
{
    if (p->length)
        printf("%llu %llu\n", (unsigned long long)p->offset, (unsigned long long)p->length);
}

static int take_written(void *context, uint64_t offset, uint64_t length)
{
    struct pieces *p = context;

    if (p->length && p->offset + p->length == offset) {
        p->length += length;
    } else {
        print_pieces(p);
        *p = (struct pieces){offset, length};
    }
    return 0;
}

static int take_slab(void *context, uint64_t offset, const uint8_t *bytes, size_t length)
{
    (void)context;
    printf("slab %llu %zu %lu\n", (unsigned long long)offset, length,
           crc32(0, bytes, (unsigned)length));
    return 0;
}

static int print_written(struct disk *disk, bool slabs)
{
    struct pieces pieces = {.length = 0};
    const struct data_walk_sink sink = {
        .context = &pieces, .written = take_written, .slab = slabs ? take_slab : NULL};
    int error = data_walk(disk, &sink);

    print_pieces(&pieces);
    return error;
}

/* Prints in the form of that option; 0: none. */
static int print_as(struct disk *disk, int option)
{
    switch (option) {
    case 'r':
        return write_guest(disk);
    case 'w':
    case 's':
        return print_written(disk, option == 's');
    default:
        return print_map(disk);
    }
}

/* Opens the image and its granted references, and prints. */
static int show(const struct cat *cat, int how)
{
    static struct detection detection;
    static struct chain chain;
    static struct disk disk;
    struct image *img;
    int error = image_open(&img, cat->layers.items[0].fd);

    if (!error)
        error = detect(img, &cat->open, &detection);
    if (!error)
        error = disk_open(&disk, img, detection.driver, &cat->open);
    if (!error) {
        chain_open(&chain, &disk, &cat->layers, 0, &cat->open);
        error = print_as(&disk, how);
    }
    if (error)
        fprintf(stderr, "map-image: %s\n%s", strerror(-error), img ? image_problems(img) : "");
    image_close(img);
    return error;
}

int main(int argc, char **argv)
{
    struct image_options options = {.open = {.format = NULL}};
    struct reason why = {"out of memory"};
    static struct cat cat;
    int option, error, how = 0;

    nodes_begin();
    while ((option = getopt(argc, argv, "rwso:")) != -1) {
        if (option == 'r' || option == 'w' || option == 's') {
            how = option;
        } else if (option != 'o' || image_options_take_list(&options, optarg, &why) != 1) {
            fprintf(stderr, "map-image: %s\n%s", why.words, usage);
            return 2;
        }
    }
    if (argc - optind != 1) {
        fputs(usage, stderr);
        return 2;
    }
    error = cat_begin(&cat, argv[optind], &options);
    if (error)
        fprintf(stderr, "map-image: %s: %s\n", argv[optind], image_file_error(error));
    else
        error = show(&cat, how);
    cat_end(&cat);
    return error || fflush(stdout) ? 1 : 0;
}
