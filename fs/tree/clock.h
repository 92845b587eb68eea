/* SPDX-License-Identifier: Apache-2.0 */
/* The time for deadlines. */
#ifndef FS_TREE_CLOCK_H
#define FS_TREE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that is never set. */
static inline int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
