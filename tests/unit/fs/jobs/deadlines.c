// SPDX-License-Identifier: Apache-2.0
/* When jobs are due, and which waiters are dismissed. */
#include "fs/jobs/deadlines.h"

#include "tests/support/jobs-monitor.h"

/* A running job that has sent something at 10000 ms last, and its waiters. */
static struct job job;
static struct view view;
static struct reader patient, lookup;

static int begin(void **state)
{
    begin_jobs(state);
    job = (struct job){.view = &view,
                       .state = JOB_RUNNING,
                       .id = 1,
                       .received_at = 10000,
                       .started = 9000,
                       .left_at = -1};
    patient = (struct reader){.waiter = {.since = 9500, .resume = resume_reader}};
    lookup = (struct reader){.waiter = {.since = 9500, .is_lookup = true, .resume = resume_reader}};
    return 0;
}

static void test_none(void **state)
{
    (void)state;
    job.waiters = &patient.waiter;
    assert_int_equal(job_deadline(&jobs, &job), INT64_MAX);
    job_dismiss_late(&jobs, &job, INT64_MAX - 1);
    assert_ptr_equal(job.waiters, &patient.waiter);
}

/* The first of several deadlines counts. */
static void test_first(void **state)
{
    (void)state;
    jobs.config.stall_ms = 60000;
    assert_int_equal(job_deadline(&jobs, &job), 70000);
    job.sandbox.cpu_seconds = 1;
    assert_int_equal(job_deadline(&jobs, &job), 9000 + 1000 * JOBS_LASTING);
    job.waiters = &lookup.waiter;
    assert_int_equal(job_deadline(&jobs, &job), 10000 + JOBS_LOOKUP_MS);
    jobs.config.patience_ms = 1000;
    assert_int_equal(job_deadline(&jobs, &job), 10500);
    job.left_at = 9700;
    assert_int_equal(job_deadline(&jobs, &job), 9700 + JOBS_LINGER_MS);
}

/* Only waiters that are due are dismissed; when none is left, the job may be joined again for as
 * long. */
static void test_dismiss(void **state)
{
    (void)state;
    job.waiters = &lookup.waiter;
    lookup.waiter.next = &patient.waiter;
    job_dismiss_late(&jobs, &job, 10000 + JOBS_LOOKUP_MS - 1);
    assert_ptr_equal(job.waiters, &lookup.waiter);
    job_dismiss_late(&jobs, &job, 10000 + JOBS_LOOKUP_MS);
    assert_resumed(&lookup, -EAGAIN);
    assert_ptr_equal(job.waiters, &patient.waiter);
    assert_int_equal(job.left_at, -1);
    jobs.config.patience_ms = 10000;
    job_dismiss_late(&jobs, &job, 19500);
    assert_resumed(&patient, -EINTR);
    assert_null(job.waiters);
    assert_int_equal(job.left_at, 29500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, begin, end_jobs),
        cmocka_unit_test_setup_teardown(test_first, begin, end_jobs),
        cmocka_unit_test_setup_teardown(test_dismiss, begin, end_jobs),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
