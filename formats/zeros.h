/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are all zeros: what sparse targets leave out. */
#ifndef FORMATS_ZEROS_H
#define FORMATS_ZEROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all of them are zeros; of no bytes, all are. At the speed of memory, and done soon where
 * the first few are not. */
bool are_zeros(const uint8_t *bytes, size_t length);

#endif
