// SPDX-License-Identifier: Apache-2.0
/* Deadlines: jobs that are silent or have no readers, waiters that wait too long. */
#include "fs/jobs/deadlines.h"

#include "fs/tree/clock.h"
#include "tests/support/jobs-monitor.h"

/* A running job that has sent something at 10000 ms last, and its waiters. */
static struct job running;
static struct view view;
static struct reader patient, lookup;

static int begin(void **state)
{
    begin_jobs(state);
    running = (struct job){.view = &view,
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
    running.waiters = &patient.waiter;
    assert_int_equal(job_deadline(&jobs, &running), INT64_MAX);
    job_dismiss_late(&jobs, &running, INT64_MAX - 1);
    assert_ptr_equal(running.waiters, &patient.waiter);
}

/* The first of several deadlines counts. */
static void test_first(void **state)
{
    (void)state;
    jobs.config.stall_ms = 60000;
    assert_int_equal(job_deadline(&jobs, &running), 70000);
    running.sandbox.cpu_seconds = 1;
    assert_int_equal(job_deadline(&jobs, &running), 9000 + 1000 * JOBS_LASTING);
    running.waiters = &lookup.waiter;
    assert_int_equal(job_deadline(&jobs, &running), 10000 + JOBS_LOOKUP_MS);
    jobs.config.patience_ms = 1000;
    assert_int_equal(job_deadline(&jobs, &running), 10500);
    running.left_at = 9700;
    assert_int_equal(job_deadline(&jobs, &running), 9700 + JOBS_LINGER_MS);
}

/* Only waiters that are due are dismissed; when none is left, the job may be joined again for as
 * long. */
static void test_dismiss(void **state)
{
    (void)state;
    running.waiters = &lookup.waiter;
    lookup.waiter.next = &patient.waiter;
    job_dismiss_late(&jobs, &running, 10000 + JOBS_LOOKUP_MS - 1);
    assert_ptr_equal(running.waiters, &lookup.waiter);
    job_dismiss_late(&jobs, &running, 10000 + JOBS_LOOKUP_MS);
    assert_resumed(&lookup, -EAGAIN);
    assert_ptr_equal(running.waiters, &patient.waiter);
    assert_int_equal(running.left_at, -1);
    jobs.config.patience_ms = 10000;
    job_dismiss_late(&jobs, &running, 19500);
    assert_resumed(&patient, -EINTR);
    assert_null(running.waiters);
    assert_int_equal(running.left_at, 29500);
}

/* Waiters are dismissed after patience_ms; the job goes on, and is published. */
static void test_patience(void **state)
{
    static struct reader first, second;
    uint32_t job;
    int out;

    (void)state;
    jobs.config.patience_ms = 1000;
    wait_for(&first, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    run_for(500);
    wait_for(&second, PASS_SCAN);
    assert_true(timeout_now() > 0 && timeout_now() <= 500);
    assert_waits(&first);
    run_for(700);
    assert_resumed(&first, -EINTR);
    assert_waits(&second);
    run_for(500);
    assert_resumed(&second, -EINTR);
    run_for(JOBS_LINGER_MS + 300);
    assert_no_request();
    send_file(out, "allocated_size", "1\n");
    send_end(out);
    settle();
    assert_known("allocated_size", "1\n");
    close(out);
}

/* A lookup does not wait for a silent job. */
static void test_lookup(void **state)
{
    static struct reader glancing, late, reading;

    (void)state;
    wait_for(&reading, PASS_HEADER);
    assert_request(WIRE_START, PASS_HEADER);
    glancing = late = reading;
    glancing.waiter.is_lookup = late.waiter.is_lookup = true;
    jobs_wait(&jobs, &glancing.waiter);
    settle();
    assert_waits(&glancing);
    assert_true(timeout_now() > JOBS_LOOKUP_MS - 1000 && timeout_now() <= JOBS_LOOKUP_MS);
    jobs.all->received_at -= JOBS_LOOKUP_MS + 2 * JOBS_LATE_MS;
    run_for(20);
    assert_resumed(&glancing, -EAGAIN);
    jobs_wait(&jobs, &late.waiter);
    assert_int_equal(timeout_now(), 0);
    settle();
    assert_resumed(&late, -EAGAIN);
    assert_waits(&reading);
    jobs_wait(&jobs, &glancing.waiter);
    settle();
    assert_int_equal(glancing.resumed, 2);
    assert_no_request();
}

/* Time in which this process was suspended is not silence of a job. */
static void test_suspended(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    jobs.config.stall_ms = 1000;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    settle();
    run_for(100);
    for (struct job *j = jobs.all; j; j = j->next)
        j->received_at -= 5000;
    jobs.wakes_at = now_ms() - 5000;
    jobs_handle(&jobs, &(struct pollfd){.fd = -1}, 1);
    assert_waits(&reader);
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    close(out);
}

/* A silent job is killed; one that sends WIRE_ALIVE is not. */
static void test_stalls(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    jobs.config.stall_ms = 1000;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    run_for(600);
    send_frame(out, WIRE_ALIVE, 0, 0, NULL, 0);
    run_for(600);
    assert_waits(&reader);
    run_for(600);
    assert_resumed(&reader, -EIO);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    assert_problems("the scan job was killed: it sent nothing for 1 s\n");
    close(out);
    /* The monitor never reports the job as started. */
    wait_for(&reader, PASS_SCAN);
    assert_request(WIRE_START, PASS_SCAN);
    run_for(1200);
    assert_resumed(&reader, -EIO);
}

/* A stall limit beyond the longest timeout of poll(2). */
static void test_far_stall(void **state)
{
    struct pollfd fds[JOBS_POLLFDS];
    static struct reader reader;
    nfds_t count;

    (void)state;
    jobs.config.stall_ms = INT64_C(1000) * 4294968;
    wait_for(&reader, PASS_SCAN);
    assert_request(WIRE_START, PASS_SCAN);
    assert_true(jobs_poll(&jobs, fds, &count) > 1000000000);
    assert_waits(&reader);
}

/* A job that only sends WIRE_ALIVE is killed after JOBS_LASTING times its cpu-limit. */
static void test_lasts(void **state)
{
    const struct sandbox_state limited = {.failed = SANDBOX_LAYERS, .cpu_seconds = 2};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    out = report_started(job);
    send_frame(out, WIRE_SANDBOX, 0, 0, &limited, sizeof limited);
    settle();
    jobs.all->started -= INT64_C(1000) * 2 * JOBS_LASTING - 500;
    send_frame(out, WIRE_ALIVE, 0, 0, NULL, 0);
    run_for(100);
    assert_waits(&reader);
    send_frame(out, WIRE_ALIVE, 0, 0, NULL, 0);
    run_for(600);
    assert_resumed(&reader, -EIO);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    assert_problems("the scan job was killed: it lasted 16 times its cpu-limit\n");
    close(out);
}

/* A job is killed JOBS_LINGER_MS after its last reader has left. */
static void test_left(void **state)
{
    static struct reader first, second;
    uint32_t job;
    int out;

    (void)state;
    assert_int_equal(timeout_now(), -1);
    wait_for(&first, PASS_SCAN);
    wait_for(&second, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    settle();
    jobs_leave(&jobs, &first.waiter);
    assert_int_equal(timeout_now(), -1);
    run_for(JOBS_LINGER_MS + 100);
    assert_no_request();
    jobs_leave(&jobs, &second.waiter);
    assert_true(timeout_now() >= JOBS_LINGER_MS - 100 && timeout_now() <= JOBS_LINGER_MS);
    run_for(JOBS_LINGER_MS - 200);
    assert_no_request();
    run_for(300);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    assert_int_equal(timeout_now(), -1);
    assert_waits(&first);
    assert_waits(&second);
    /* The end of a killed job is no problem. */
    answer(WIRE_ENDED, job, SIGKILL, -1);
    settle();
    assert_problems("");
    assert_int_equal(write(out, "x", 1), -1);
    close(out);
}

/* A reader that returns in time finds its job running. */
static void test_came_back(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_file(out, "allocated_size", "1\n");
    settle();
    jobs_leave(&jobs, &reader.waiter);
    run_for(100);
    wait_for(&reader, PASS_SCAN);
    run_for(JOBS_LINGER_MS + 100);
    assert_no_request();
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "1\n");
    close(out);
}

/* A job that is done before it is killed is published. */
static void test_ended_while_left(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    jobs_leave(&jobs, &reader.waiter);
    send_file(out, "allocated_size", "1\n");
    send_end(out);
    run_for(JOBS_LINGER_MS + 100);
    assert_waits(&reader);
    assert_known("allocated_size", "1\n");
    assert_no_request();
    close(out);
}

/* A job is killed before it is reported as started: later messages about it are dropped. */
static void test_left_before_start(void **state)
{
    static struct reader reader;
    uint32_t job, next;
    int out, next_out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    jobs_leave(&jobs, &reader.waiter);
    run_for(JOBS_LINGER_MS + 100);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    wait_for(&reader, PASS_SCAN);
    next = assert_request(WIRE_START, PASS_SCAN);
    assert_int_not_equal(job, next);
    out = start_job(job);
    answer(WIRE_ENDED, job, SIGKILL, -1);
    settle();
    assert_waits(&reader);
    assert_int_equal(write(out, "x", 1), -1); /* the read end is closed */
    next_out = start_job(next);
    send_end(next_out);
    settle();
    assert_resumed(&reader, 0);
    close(out);
    close(next_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, begin, end_jobs),
        cmocka_unit_test_setup_teardown(test_first, begin, end_jobs),
        cmocka_unit_test_setup_teardown(test_dismiss, begin, end_jobs),
        cmocka_unit_test_setup_teardown(test_patience, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_lookup, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_suspended, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_stalls, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_far_stall, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_lasts, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_left, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_came_back, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_ended_while_left, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_left_before_start, begin_jobs, end_jobs),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
