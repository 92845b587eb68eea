/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number that names a view. A view is a virtual disk as one sees it, with its own files: the
 * whole image, or layer N alone. Only view.c composes the number and takes it apart.
 */
#ifndef FS_TREE_VIEW_H
#define FS_TREE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/files/layers.h"

enum view_kind {
    VIEW_WHOLE, /* the image with all layers that were granted; its number is 0 */
    VIEW_LAYER, /* layers/N: layer N alone */
    VIEW_KINDS,
};

/* The view of that kind with that number. */
uint32_t view_named(enum view_kind kind, uint32_t number);

enum view_kind view_kind(uint32_t view);
uint32_t view_number(uint32_t view);

/* The layer whose file the view shows. */
unsigned view_layer(uint32_t view);

/* Whether the image has that view. Takes any number, from whoever sent it. */
bool view_exists(uint32_t view, const struct layers *layers);

/* How many views of a kind the image has: no layers where there is but one. */
uint32_t view_count(enum view_kind kind, const struct layers *layers);

/* How the image of a view is to be opened; options: those of the whole image. */
struct open_options view_options(uint32_t view, const struct layers *layers,
                                 const struct open_options *options);

/* Writes the path of the view's root, "" for the whole image, to out. Returns its length. */
size_t view_path(uint32_t view, char *out, size_t size);

#endif
