/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of every file of the tree, whatever the image. Violations are printed and abort(). */
#ifndef TESTS_FUZZ_IMAGE_CHECKS_H
#define TESTS_FUZZ_IMAGE_CHECKS_H

#include <stddef.h>

#include "fs/tree/nodes.h"

/* Forgets the files of all passes before. */
void checks_begin(void);

/* A file that a pass yields: an errno of the contract or well-formed text, and the same from every
 * pass that yields it. */
void check_file(const struct place *place, int error, const struct text *text);

/* The text of problems: printable lines. */
void check_problems(const char *text);

/* Sizes of one view, from all passes: allocated <= virtual, required <= fully allocated ... */
void check_sizes(uint32_t view);

#endif
