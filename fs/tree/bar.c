// SPDX-License-Identifier: Apache-2.0
/* A progress bar on a terminal. */
#include "bar.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"

enum {
    DRAW_MS = 100,
    FIRST_MS = 300, /* a task that ends before needs no bar */
    CELLS_MAX = 50,
    OTHER_COLUMNS = 30, /* brackets, percent, time left */
};

void bar_begin(struct bar *bar, int fd)
{
    *bar = (struct bar){.fd = isatty(fd) ? fd : -1};
}

static unsigned terminal_columns(int fd)
{
    struct winsize size;

    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

/* Never waits: while the terminal is stopped (Ctrl-S), nothing is written. */
static void put(const struct bar *bar, const char *text, size_t length)
{
    struct pollfd terminal = {.fd = bar->fd, .events = POLLOUT};
    ssize_t written = 0;

    if (poll(&terminal, 1, 0) == 1 && terminal.revents & POLLOUT)
        written = write(bar->fd, text, length);
    (void)written;
}

/* Draws the bar over the one before. */
static void draw(const struct bar *bar, const char *name, double fraction, double seconds_left)
{
    unsigned columns = terminal_columns(bar->fd), others = OTHER_COLUMNS + (unsigned)strlen(name);
    unsigned cells = columns > others ? columns - others : 0;
    char line[512], full[CELLS_MAX + 1], empty[CELLS_MAX + 1];
    unsigned done;
    int length;

    cells = cells < CELLS_MAX ? cells : CELLS_MAX;
    done = (unsigned)(fraction * cells);
    memset(full, '#', sizeof full);
    memset(empty, '.', sizeof empty);
    length = snprintf(line, sizeof line, "\r%.200s [%.*s%.*s] %3.0f %%  %.0f s left\033[K", name,
                      (int)done, full, (int)(cells - done), empty, 100 * fraction, seconds_left);
    put(bar, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

void bar_show(struct bar *bar, const char *name, uint64_t done, uint64_t total, int64_t started)
{
    int64_t now = now_ms();

    if (bar->fd < 0 || !done || done > total || now - started < FIRST_MS ||
        now - bar->drawn_at < DRAW_MS)
        return;
    bar->drawn_at = now;
    bar->is_drawn = true;
    draw(bar, name, (double)done / (double)total,
         (double)(now - started) / 1000 * (double)(total - done) / (double)done);
}

void bar_clear(struct bar *bar)
{
    static const char clear[] = "\r\033[K";

    if (bar->is_drawn)
        put(bar, clear, strlen(clear));
    bar->is_drawn = false;
}
