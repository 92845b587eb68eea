// SPDX-License-Identifier: Apache-2.0
/* The table of processes: an entry is free when both the job and its opener have ended. */
#include "fs/jobs/children.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/support.h"

static struct children children;

static int begin(void **state)
{
    (void)state;
    children = (struct children){.all = {{.pid = 0}}};
    return 0;
}

/* Starts a process that waits until it is killed. */
static pid_t start(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    return pid;
}

static void assert_killed(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_room(void **state)
{
    struct child *first = children_room(&children);

    (void)state;
    *first = (struct child){.pid = 10, .opener = 11};
    assert_ptr_equal(children_find(&children, 10), first);
    assert_ptr_equal(children_find(&children, 11), first);
    assert_null(children_find(&children, 12));
    first->pid = 0;
    assert_ptr_not_equal(children_room(&children), first);
    first->opener = 0;
    assert_ptr_equal(children_room(&children), first);
    for (int i = 0; i < CHILDREN_MAX; i++)
        *children_room(&children) = (struct child){.opener = 100 + i};
    assert_null(children_room(&children));
}

static void test_kill(void **state)
{
    pid_t job = start(), opener = start(), other = start();

    (void)state;
    *children_room(&children) = (struct child){.pid = job, .opener = opener, .job = 7};
    *children_room(&children) = (struct child){.pid = other, .job = 8};
    children_kill_job(&children, 9);
    children_kill_job(&children, 7);
    assert_killed(job);
    assert_killed(opener);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    children.all[0] = (struct child){.pid = 0};
    children_kill(&children);
    assert_killed(other);
}

/* Waiting for one process, up to the timeout; and for all. */
static void test_await(void **state)
{
    pid_t one = start(), other = start();

    (void)state;
    children_await(one, 1);
    assert_int_equal(waitpid(one, NULL, WNOHANG), 0);
    kill(one, SIGKILL);
    children_await(one, 10000);
    assert_int_equal(waitpid(one, NULL, WNOHANG), -1);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    kill(other, SIGKILL);
    children_await(-1, 10000);
    assert_int_equal(waitpid(other, NULL, WNOHANG), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_room, begin),
        cmocka_unit_test_setup(test_kill, begin),
        cmocka_unit_test_setup(test_await, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
