/* SPDX-License-Identifier: Apache-2.0 */
/* Reads all files of the tree of an image once, for tests/torture/torture.c. */
#ifndef TESTS_TORTURE_TREE_H
#define TESTS_TORTURE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree {
    uint64_t digest;  /* of all texts and errors, except those that depend on file size or host */
    uint64_t answers; /* of those that qemu-img prints as well */
    char wrong[256];  /* a message; "": no rule is violated */
};

/* Computes every file of the tree; options are those of -o. A file must have text or an errno of
 * the contract, and an errno must have its line in problems. */
void tree_read(const char *path, const char *options, struct tree *tree);

/* Sets map[i] for every byte i of the image that is uncompressed guest data; the map has one byte
 * per byte of the image. false: the image cannot be opened. */
bool tree_find_guest(const char *path, const char *options, uint8_t *map, size_t size);

#endif
