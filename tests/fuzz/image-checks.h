/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of every file of the tree, whatever the image. Ends with abort(), said, where it
 * does not. */
#ifndef TESTS_FUZZ_IMAGE_CHECKS_H
#define TESTS_FUZZ_IMAGE_CHECKS_H

#include <stddef.h>

#include "fs/tree/nodes.h"

/* Forgets the files of all passes before. */
void checks_begin(void);

/* What a pass tells of a file: an error that may be told, or good text, and the same as any pass
 * before that told it. */
void check_file(const struct place *place, int error, const struct text *text);

/* What is told of problems. */
void check_problems(const char *text);

/* What the files of all passes say together: sizes in their order. */
void check_sizes_told(unsigned view);

#endif
