/* SPDX-License-Identifier: Apache-2.0 */
/* A bar on a terminal that shows how far something is. */
#ifndef FS_TREE_BAR_H
#define FS_TREE_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
    int fd; /* -1: it is no terminal, and nothing is drawn */
    bool is_drawn;
    int64_t drawn_at; /* ms */
};

/* Begins a bar on a descriptor, if that is a terminal. */
void bar_begin(struct bar *bar, int fd);

/* Shows, now and then, that so much of total is done of what began at started (ms). */
void bar_show(struct bar *bar, const char *name, uint64_t done, uint64_t total, int64_t started);

/* Takes it away. */
void bar_clear(struct bar *bar);

#endif
