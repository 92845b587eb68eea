// SPDX-License-Identifier: Apache-2.0
/* The progress bar: what is written to a terminal, and that nothing is written elsewhere. */
#include "fs/tree/bar.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "fs/tree/clock.h"
#include "tests/support/support.h"

static int screen, terminal; /* the two ends of a pseudoterminal */
static struct bar bar;

static int begin(void **state)
{
    (void)state;
    screen = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(screen >= 0);
    assert_int_equal(grantpt(screen), 0);
    assert_int_equal(unlockpt(screen), 0);
    terminal = open(ptsname(screen), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    bar_begin(&bar, terminal);
    return 0;
}

static int end(void **state)
{
    (void)state;
    close(terminal);
    close(screen);
    return 0;
}

static void set_columns(unsigned short columns)
{
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &(struct winsize){.ws_col = columns}), 0);
}

/* The text that was written since the last call. A pseudoterminal passes it on a little later. */
static void assert_drawn(const char *expected)
{
    struct pollfd wait = {.fd = screen, .events = POLLIN};
    char drawn[1024];
    size_t used = 0;

    while (poll(&wait, 1, used < strlen(expected) ? 5000 : 10) > 0) {
        ssize_t length = read(screen, drawn + used, sizeof drawn - 1 - used);

        if (length <= 0)
            break;
        used += (size_t)length;
    }
    drawn[used] = '\0';
    assert_string_equal(drawn, expected);
}

/* A task named "scan" that has run for 10 s. */
static void show(uint64_t done, uint64_t total)
{
    bar.drawn_at = 0;
    bar_show(&bar, "scan", done, total, now_ms() - 10000);
}

static void test_no_terminal(void **state)
{
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    bar_begin(&bar, ends[1]);
    show(1, 2);
    bar_clear(&bar);
    assert_true(read(ends[0], &byte, 1) < 0);
    close(ends[0]);
    close(ends[1]);
}

static void test_cells(void **state)
{
    (void)state;
    set_columns(44);
    show(1, 2);
    assert_drawn("\rscan [#####.....]  50 %  10 s left\033[K");
    show(4, 5);
    assert_drawn("\rscan [########..]  80 %  2 s left\033[K");
    show(5, 5);
    assert_drawn("\rscan [##########] 100 %  0 s left\033[K");
    set_columns(1000); /* at most 50 cells */
    show(1, 2);
    assert_drawn(
        "\rscan [#########################.........................]  50 %  10 s left\033[K");
    set_columns(10); /* no room for cells */
    show(1, 2);
    assert_drawn("\rscan []  50 %  10 s left\033[K");
}

/* Sizes of a hostile image neither overflow nor divide by 0. */
static void test_extremes(void **state)
{
    (void)state;
    set_columns(44);
    show(0, 0);
    show(0, UINT64_MAX);
    show(2, 1);
    assert_drawn("");
    show(UINT64_MAX, UINT64_MAX);
    assert_drawn("\rscan [##########] 100 %  0 s left\033[K");
}

static void test_intervals(void **state)
{
    (void)state;
    bar_show(&bar, "scan", 1, 2, now_ms());
    assert_drawn("");
    set_columns(10);
    show(1, 2);
    bar_show(&bar, "scan", 2, 2, now_ms() - 10000); /* just after the last */
    assert_drawn("\rscan []  50 %  10 s left\033[K");
}

static void test_clear(void **state)
{
    (void)state;
    bar_clear(&bar);
    assert_drawn("");
    set_columns(10);
    show(1, 2);
    bar_clear(&bar);
    bar_clear(&bar);
    assert_drawn("\rscan []  50 %  10 s left\033[K\r\033[K");
}

/* A write to a stopped terminal (Ctrl-S) would wait until it continues. */
static void test_stopped_terminal(void **state)
{
    (void)state;
    assert_int_equal(tcflow(terminal, TCOOFF), 0);
    alarm(10);
    show(1, 2);
    bar_clear(&bar);
    alarm(0);
    assert_int_equal(tcflow(terminal, TCOON), 0);
    assert_drawn("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_terminal),
        cmocka_unit_test_setup_teardown(test_cells, begin, end),
        cmocka_unit_test_setup_teardown(test_extremes, begin, end),
        cmocka_unit_test_setup_teardown(test_intervals, begin, end),
        cmocka_unit_test_setup_teardown(test_clear, begin, end),
        cmocka_unit_test_setup_teardown(test_stopped_terminal, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
