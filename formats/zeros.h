/* SPDX-License-Identifier: Apache-2.0 */
/* The test for bytes that are all zeros, which sparse targets do not store. */
#ifndef FORMATS_ZEROS_H
#define FORMATS_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all bytes are zeros (true if length is 0). Runs at the speed of memory, and returns early
 * if one of the first 8 is not. */
bool are_zeros(const uint8_t *bytes, size_t length);

#endif
