/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of a view, in which its kind is encoded. A view is a virtual disk that has a root
 * directory of its own: the whole image, or layer N alone. Only view.c knows the encoding.
 */
#ifndef FS_TREE_VIEW_H
#define FS_TREE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/files/layers.h"

enum view_kind {
    VIEW_WHOLE, /* the image with all granted layers; this view is 0 */
    VIEW_LAYER, /* layers/N: layer N alone */
    VIEW_KINDS,
};

/* The view of a kind, by its number among the views of that kind. */
uint32_t view_named(enum view_kind kind, uint32_t number);

/* The inverse of view_named(). */
enum view_kind view_kind(uint32_t view);
uint32_t view_number(uint32_t view);

/* A number that no other view has, and that is small: the whole image is 0. For inode numbers. */
uint32_t view_index(uint32_t view);

/* The number of the layer whose file is opened for the view. */
unsigned view_layer(uint32_t view);

/* Whether the image has the view. The number may come from an untrusted process. */
bool view_exists(uint32_t view, const struct layers *layers);

/* The number of views of a kind that are shown. A single layer is not: it is the whole image. */
uint32_t view_count(enum view_kind kind, const struct layers *layers);

/* The options for opening the image of a view; options: those of the whole image. */
struct open_options view_options(uint32_t view, const struct layers *layers,
                                 const struct open_options *options);

/* Writes the path of the view's root below the mount point ("": the whole image). Returns its
 * length. */
size_t view_path(uint32_t view, char *out, size_t size);

#endif
