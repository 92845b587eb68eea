// SPDX-License-Identifier: Apache-2.0
/* Errors of size models. */
#include "refuse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int target_refuse(struct reason *why, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why->words, sizeof why->words, format, arguments);
    va_end(arguments);
    return -error;
}

int target_too_large(struct reason *why, uint64_t virtual_size)
{
    return target_refuse(why, EFBIG, "a disk of %llu bytes is too large",
                         (unsigned long long)virtual_size);
}
