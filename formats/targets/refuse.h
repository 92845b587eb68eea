/* SPDX-License-Identifier: Apache-2.0 */
/* Why a size model has no answer: errors with their reasons. */
#ifndef FORMATS_TARGETS_REFUSE_H
#define FORMATS_TARGETS_REFUSE_H

#include "formats/format.h"

/* Writes why a size cannot be told, and returns -error. */
int target_refuse(struct reason *why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* -EFBIG: no image has a disk of that size. */
int target_too_large(struct reason *why, uint64_t virtual_size);

#endif
