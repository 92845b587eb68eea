// SPDX-License-Identifier: Apache-2.0
/* Reads all files of the tree of an image once, in the order of instar-cat. */
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detect/detect.h"
#include "formats/checked.h"
#include "formats/image.h"
#include "fs/tree/cat.h"

/* The start of a raw disk, which the content pass examines, is not counted as guest data. */
enum { CONTENT_BYTES = 40 << 10 };

/* Files whose values qemu-img prints as well. */
static const char *const answers[] = {"format", "virtual_size", "allocated_size", "measure/raw",
                                      "measure/qcow2"};

/* The contract's errors of files. ENOENT: the file does not apply. */
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

static bool depends_on_host(const char *path)
{
    return strstr(path, "file_size") || strstr(path, "disk_size") || strstr(path, "status/") ||
           strstr(path, "/resolved");
}

/* A message about a file that violates a rule, or NULL. */
static const char *check_file(const struct cat *cat, const struct place *place, int error,
                              const struct result *result)
{
    if (!is_error(error))
        return "errno";
    if (error == -ENOENT)
        return NULL;
    if (error)
        return cat_problems(cat, place)->length ? NULL : "nothing in problems";
    if (!result->length)
        return place->node->kind == KIND_LINES ? NULL : "empty";
    return result->bytes[result->length - 1] == '\n' ? NULL : "no newline";
}

/* The digests that a file is part of. */
struct digests {
    bool digest, answers;
};

static void read_place(struct cat *cat, const struct place *place, struct digests which,
                       struct tree *tree)
{
    const struct result *result = NULL;
    int error = cat_file(cat, place, &result);
    const char *words = check_file(cat, place, error, result);
    uint32_t key[] = {(uint32_t)error, (uint32_t)node_index(place->node), place->number,
                      place->view};

    if (words && !*tree->wrong) {
        char path[PLACE_PATH_BYTES];

        place_path(place, path);
        snprintf(tree->wrong, sizeof tree->wrong, "%s: %s (%d)", path, words, error);
    }
    if (error == -ENOENT || !which.digest)
        return;
    tree->digest = mix(tree->digest, key, sizeof key);
    if (!error)
        tree->digest = mix(tree->digest, result->bytes, result->length);
    if (!which.answers || place->view)
        return;
    tree->answers = mix(tree->answers, key, sizeof key);
    if (!error)
        tree->answers = mix(tree->answers, result->bytes, result->length);
}

static void read_node(struct cat *cat, const struct node *node, uint32_t view, struct tree *tree)
{
    const struct digests which = {!depends_on_host(node->path), is_answer(node->path)};
    const struct view *known = views_find(&cat->views, view);
    struct place place = {.view = view, .node = node};
    uint32_t count = 1;

    if (node->is_numbered)
        count = known ? results_count(&known->results, node_counter(node)) : 0;
    for (; place.number < count; place.number++)
        read_place(cat, &place, which, tree);
}

static void read_pass(struct cat *cat, enum pass_id pass, uint32_t view, struct tree *tree)
{
    for (const struct node *n = nodes; n->path; n++)
        if (n->pass == pass && !node_is_directory(n) && !(view && n->only_whole))
            read_node(cat, n, view, tree);
}

static void read_view(struct cat *cat, uint32_t view, struct tree *tree)
{
    for (enum pass_id pass = PASS_NONE + 1; pass < PASSES; pass++)
        read_pass(cat, pass, view, tree);
    read_pass(cat, PASS_NONE, view, tree);
}

/* Opens the image with the options of -o. 0 or -errno. */
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
    if (!error)
        read_view(&cat, view_named(VIEW_WHOLE, 0), tree);
    for (uint32_t i = 0; !error && i < view_count(VIEW_LAYER, &cat.layers); i++)
        read_view(&cat, view_named(VIEW_LAYER, i), tree);
    cat_end(&cat);
}

static void mark_guest_data(struct disk *disk, uint8_t *map, size_t size)
{
    bool is_raw = strcmp(disk->driver->name, "raw") == 0;
    struct extents stream;
    struct extent e;

    extents_begin(&stream, disk, EXTENTS_WANT_HOST);
    while (extents_next(&stream, &e) == 1) {
        uint64_t from = is_raw ? max_u64(e.host, CONTENT_BYTES) : e.host;

        if (e.kind != EXTENT_DATA || e.file || e.layer || e.host == EXTENT_NO_HOST ||
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
        mark_guest_data(&disk, map, size);
    image_close(img);
    cat_end(&cat);
    return !error;
}
