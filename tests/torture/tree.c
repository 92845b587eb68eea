// SPDX-License-Identifier: Apache-2.0
/* All files of the tree of an image, looked at once: in the order in which instar-cat has them. */
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detect/detect.h"
#include "formats/checked.h"
#include "fs/tree/cat.h"

/* What a raw disk begins with is looked at for partitions and file systems. */
enum { CONTENT_BYTES = 40 << 10 };

/* What qemu-img can be asked for. */
static const char *const answers[] = {"format", "virtual_size", "allocated_size", "measure/raw",
                                      "measure/qcow2"};

/* What a file may say in place of a text. ENOENT: it does not apply. */
static const int errors[] = {0, -ENOENT, -EUCLEAN, -EOPNOTSUPP, -EIO, -EACCES, -EINVAL, -EFBIG};

/* FNV-1a. */
static uint64_t mix(uint64_t digest, const void *bytes, size_t length)
{
    for (const uint8_t *p = bytes; length; length--)
        digest = (digest ^ *p++) * UINT64_C(0x100000001b3);
    return digest;
}

static bool is_error(int error)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error)
            return true;
    return false;
}

static bool is_answer(const char *path)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (strcmp(answers[i], path) == 0)
            return true;
    return false;
}

/* Whether a file tells the size of the image file, or of the host. */
static bool tells_other(const char *path)
{
    return strstr(path, "file_size") || strstr(path, "disk_size") || strstr(path, "status/") ||
           strstr(path, "/resolved");
}

/* What is wrong with a file's answer; NULL: nothing. */
static const char *complain(const struct place *place, int error, const struct result *result,
                            const struct cat_view *view)
{
    if (!is_error(error))
        return "errno";
    if (error == -ENOENT)
        return NULL;
    if (error)
        return view->problems.length ? NULL : "nothing in problems";
    if (!result->length)
        return place->node->kind == KIND_LINES ? NULL : "empty";
    return result->bytes[result->length - 1] == '\n' ? NULL : "no newline";
}

/* What of a file's answer is looked at. */
struct digests {
    bool counts, is_answer;
};

static void read_place(struct cat *cat, const struct place *place, struct digests which,
                       struct tree *tree)
{
    const struct result *result = NULL;
    int error = cat_file(cat, place, &result);
    const char *words = complain(place, error, result, &cat->views[place->view]);
    uint32_t key[] = {(uint32_t)error, (uint32_t)node_index(place->node), place->number,
                      place->view};

    if (words && !*tree->wrong) {
        char path[PLACE_PATH_BYTES];

        place_path(place, path);
        snprintf(tree->wrong, sizeof tree->wrong, "%s: %s (%d)", path, words, error);
    }
    if (error == -ENOENT || !which.counts)
        return;
    tree->digest = mix(tree->digest, key, sizeof key);
    if (!error)
        tree->digest = mix(tree->digest, result->bytes, result->length);
    if (!which.is_answer || place->view)
        return;
    tree->answers = mix(tree->answers, key, sizeof key);
    if (!error)
        tree->answers = mix(tree->answers, result->bytes, result->length);
}

static void read_node(struct cat *cat, const struct node *node, unsigned view, struct tree *tree)
{
    const struct digests which = {!tells_other(node->path), is_answer(node->path)};
    struct place place = {.view = view, .node = node};
    uint32_t count = 1;

    if (node->is_numbered)
        count = results_count(&cat->views[view].results, node_counter(node));
    for (; place.number < count; place.number++)
        read_place(cat, &place, which, tree);
}

static void read_view(struct cat *cat, unsigned view, struct tree *tree)
{
    static const enum pass order[] = {PASS_HEADER, PASS_CONTENT, PASS_MEASURE,
                                      PASS_SCAN,   PASS_DATA,    PASS_STATUS};

    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (const struct node *n = nodes; n->path; n++)
            if (n->pass == order[k] && !(view && n->of_mount))
                read_node(cat, n, view, tree);
}

/* Opens the image with options as behind -o. 0 or -errno. */
static int begin(struct cat *cat, const char *path, const char *words)
{
    struct image_options options = {.open = {.format = NULL}};
    struct reason why;

    *cat = (struct cat){.options = NULL};
    if (image_options_take_list(&options, words, &why) != 1)
        return -EINVAL;
    return cat_begin(cat, path, &options);
}

void tree_read(const char *path, const char *options, struct tree *tree)
{
    static struct cat cat;
    int error = begin(&cat, path, options);

    *tree = (struct tree){.digest = UINT64_C(0xcbf29ce484222325)};
    if (error)
        snprintf(tree->wrong, sizeof tree->wrong, "cannot be opened: %s", strerror(-error));
    for (unsigned view = 0; !error && view <= cat.layers.count; view++)
        if (view == 0 || cat.layers.count > 1)
            read_view(&cat, view, tree);
    cat_end(&cat);
}

/* Marks where the guest's data stands. */
static void mark(struct disk *disk, uint8_t *map, size_t size)
{
    bool is_raw = strcmp(disk->driver->name, "raw") == 0;
    struct extents stream;
    struct extent e;

    extents_begin(&stream, disk, EXTENTS_WANT_HOST);
    while (extents_next(&stream, &e) == 1) {
        uint64_t from = is_raw ? max_u64(e.host, CONTENT_BYTES) : e.host;

        if (e.kind != EXTENT_DATA || e.part || e.layer || e.host == EXTENT_NO_HOST ||
            e.flags & EXTENT_COMPRESSED || e.host >= size)
            continue;
        for (uint64_t at = from; at < min_u64(size, e.host + e.length); at++)
            map[at] = 1;
    }
}

bool tree_find_guest(const char *path, const char *options, uint8_t *map, size_t size)
{
    static struct detection detection;
    static struct disk disk;
    static struct cat cat;
    struct image *img = NULL;
    int error = begin(&cat, path, options);

    if (!error)
        error = image_open(&img, cat.layers.items[0].fd);
    if (!error)
        error = detect(img, &cat.open, &detection);
    if (!error)
        error = disk_open(&disk, img, detection.driver, &cat.open);
    if (!error)
        mark(&disk, map, size);
    image_close(img);
    cat_end(&cat);
    return !error;
}
