// SPDX-License-Identifier: Apache-2.0
/* Waiters for the answer to a recheck of the image's name. */
#include "fs/jobs/recheck.h"

#include "tests/support/jobs-monitor.h"

static int status; /* of the recheck; 1: not answered */

static const struct views *take_recheck(void *context, const struct wire_answer *a, int fd)
{
    (void)context;
    assert_int_equal(fd, -1);
    status = a->status;
    return NULL;
}

static void request_recheck(struct reader *reader)
{
    *reader = (struct reader){.waiter = {.views = &views, .resume = resume_reader}};
    jobs.config.rechecked = take_recheck;
    status = 1;
    jobs_recheck(&jobs);
    jobs_wait_recheck(&jobs, &reader->waiter);
    settle();
    assert_waits(reader);
    assert_false(jobs_are_idle(&jobs));
}

static void assert_requested(void)
{
    assert_request(WIRE_RECHECK, PASS_NONE);
    assert_no_request();
}

static void test_answer(void **state)
{
    static struct reader first, second = {.waiter = {.views = &views, .resume = resume_reader}};

    (void)state;
    request_recheck(&first);
    jobs_wait_recheck(&jobs, &second.waiter);
    assert_requested();
    answer(WIRE_RECHECKED, 0, -ENOENT, -1);
    settle();
    assert_int_equal(status, -ENOENT);
    assert_resumed(&first, 0);
    assert_resumed(&second, 0);
}

/* Storage hangs: waiters are resumed after JOBS_RECHECK_MS. */
static void test_no_answer(void **state)
{
    static struct reader reader;

    (void)state;
    request_recheck(&reader);
    reader.waiter.since -= JOBS_RECHECK_MS - 50;
    run_for(20);
    assert_waits(&reader);
    run_for(100);
    assert_resumed(&reader, 0);
    assert_int_equal(status, 1);
}

static void test_leave(void **state)
{
    static struct reader first, second = {.waiter = {.views = &views, .resume = resume_reader}};

    (void)state;
    request_recheck(&first);
    jobs_wait_recheck(&jobs, &second.waiter);
    jobs_leave(&jobs, &first.waiter);
    answer(WIRE_RECHECKED, 0, -EALREADY, -1);
    settle();
    assert_waits(&first);
    assert_resumed(&second, 0);
}

static void test_end(void **state)
{
    static struct reader reader;

    request_recheck(&reader);
    end_jobs(state);
    assert_resumed(&reader, -EIO);
    begin_jobs(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_no_answer, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_leave, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_end, begin_jobs, end_jobs),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
