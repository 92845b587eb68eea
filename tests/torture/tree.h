/* SPDX-License-Identifier: Apache-2.0 */
/* All files of the tree of an image, looked at once, for tests/torture/torture.c. */
#ifndef TESTS_TORTURE_TREE_H
#define TESTS_TORTURE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a tree said. */
struct tree {
    uint64_t digest;  /* of all texts and errors but those that tell the file's size or the host */
    uint64_t answers; /* of those that qemu-img can be asked for */
    char wrong[256];  /* what must not be, in words; "": nothing */
};

/* Takes options as -o does. Computes every file of the tree. A file without text or an errno of the
 * contract is wrong, and so is an errno about which nothing is said. */
void tree_read(const char *path, const char *options, struct tree *tree);

/* Marks bytes of the image in which plain data of the guest stands: map has as many as the image.
 * Whether the image could be opened. */
bool tree_find_guest(const char *path, const char *options, uint8_t *map, size_t size);

#endif
