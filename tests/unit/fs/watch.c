// SPDX-License-Identifier: Apache-2.0
/* A check is due at once after a change, and every WATCH_CHECK_MS without one. */
#include "fs/watch.h"

#include <time.h>
#include <unistd.h>

#include "tests/support/support.h"

static struct watch watch;
static int file;

static int begin(void **state)
{
    (void)state;
    file = temporary_file("/tmp");
    watch_begin(&watch);
    watch_file(&watch, file);
    watch_listen(&watch);
    return watch.fd < 0;
}

static int end(void **state)
{
    (void)state;
    watch_end(&watch);
    close(file);
    return 0;
}

static void test_changes(void **state)
{
    const struct timespec moment = {.tv_nsec = WATCH_CHECK_MS * 1000000};
    unsigned due = 0;

    (void)state;
    assert_true(watch_is_due(&watch));
    for (unsigned i = 0; i < 1000; i++)
        due += watch_is_due(&watch);
    assert_true(due < 100); /* a busy machine takes its time */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(pwrite(file, "x", 1, i), 1);
        assert_true(watch_is_due(&watch));
    }
    assert_int_equal(ftruncate(file, 7), 0);
    assert_true(watch_is_due(&watch));
    nanosleep(&moment, NULL);
    assert_true(watch_is_due(&watch));
}

/* After a file that cannot be watched a check is always due. */
static void test_no_watch(void **state)
{
    (void)state;
    watch_file(&watch, 9999);
    assert_int_equal(watch.fd, -1);
    for (unsigned i = 0; i < 100; i++)
        assert_true(watch_is_due(&watch));
    watch_file(&watch, file);
    assert_true(watch_is_due(&watch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes, begin, end),
        cmocka_unit_test_setup_teardown(test_no_watch, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
