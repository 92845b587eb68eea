/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of size models, with their messages. */
#ifndef FORMATS_TARGETS_REFUSE_H
#define FORMATS_TARGETS_REFUSE_H

#include "formats/format.h"

/* Writes the message to why and returns -error. What qemu-img refuses as well has qemu's words. */
int target_refuse(struct reason *why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns -EFBIG, with a message about a virtual size whose image size does not fit in 64 bits. */
int target_too_large(struct reason *why, uint64_t virtual_size);

#endif
