/* SPDX-License-Identifier: Apache-2.0 */
/* The clock for deadlines and durations. */
#ifndef FS_TREE_CLOCK_H
#define FS_TREE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that setting the system's time does not change. */
static inline int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
