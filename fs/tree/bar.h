/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar on a terminal. */
#ifndef FS_TREE_BAR_H
#define FS_TREE_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
    int fd; /* -1: not a terminal, nothing is drawn */
    bool is_drawn;
    int64_t drawn_at; /* ms */
};

/* Begins a bar on a descriptor; if that is not a terminal, the bar draws nothing. */
void bar_begin(struct bar *bar, int fd);

/* Draws the bar with done of total and the estimated time left, unless it was drawn a moment ago or
 * the task is new. started: when the task began (now_ms()). */
void bar_show(struct bar *bar, const char *name, uint64_t done, uint64_t total, int64_t started);

/* Erases the bar if it was drawn. */
void bar_clear(struct bar *bar);

#endif
