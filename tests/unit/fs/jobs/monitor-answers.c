// SPDX-License-Identifier: Apache-2.0
/* Answers of the monitor that are unexpected, and a monitor that is gone. */
#include "tests/support/jobs-monitor.h"

static void test_not_started(void **state)
{
    static struct reader reader;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    answer(WIRE_STARTED, assert_request(WIRE_START, PASS_SCAN), -EAGAIN, -1);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problems("the scan job could not be started: Resource temporarily unavailable\n");
}

/* The monitor reports the job as started twice: the first pipe counts. */
static void test_started_twice(void **state)
{
    unsigned before = open_descriptors();
    static struct reader reader;
    uint32_t job;
    int out, second;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    settle();
    second = start_job(job);
    settle();
    assert_int_equal(write(second, "x", 1), -1);
    close(second);
    send_file(out, "allocated_size", "1\n");
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "1\n");
    close(out);
    assert_int_equal(open_descriptors(), before);
}

/* Answers about jobs that were not requested, and an unknown answer. */
static void test_unknown_job(void **state)
{
    unsigned before = open_descriptors();
    static struct reader reader;
    uint32_t job;
    int out, other;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    other = start_job(job + 1);
    answer(WIRE_ENDED, job + 1, 0, -1);
    answer(WIRE_ENDED, 0, 0, -1);
    answer((enum wire_answer_kind)77, job, 0, -1);
    settle();
    assert_waits(&reader);
    close(other);
    out = start_job(job);
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    close(out);
    assert_int_equal(open_descriptors(), before);
}

static void leave_monitor(void)
{
    close(monitor);
    monitor = -1;
}

static void test_monitor_gone(void **state)
{
    static struct reader header, scan, late;
    struct pollfd fds[JOBS_POLLFDS];
    nfds_t count;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&header, PASS_HEADER, &job);
    wait_for(&scan, PASS_SCAN);
    leave_monitor();
    settle();
    assert_resumed(&header, -EIO);
    assert_resumed(&scan, -EIO);
    assert_problem("the header job was lost");
    assert_problem("the scan job was lost: the monitor is gone\n");
    /* A new waiter fails at once. */
    wait_for(&late, PASS_MEASURE);
    assert_resumed(&late, -EIO);
    assert_int_equal(jobs_poll(&jobs, fds, &count), -1);
    assert_int_equal(count, 1);
    assert_int_equal(fds[0].fd, -1);
    change_image();
    assert_problems("");
    close(out);
}

/* The monitor is gone before the first request. */
static void test_monitor_gone_before(void **state)
{
    static struct reader reader;

    (void)state;
    leave_monitor();
    wait_for(&reader, PASS_HEADER);
    assert_resumed(&reader, -EIO);
    assert_problems("the header job could not be started: the monitor is gone\n");
}

/* Results stay known when the monitor is gone. */
static void test_monitor_gone_after(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_HEADER, &job);
    send_end(out);
    settle();
    leave_monitor();
    settle();
    assert_known("format", "half\n");
    assert_problems("early\n");
    close(out);
}

/* A message of the wrong length ends the connection. */
static void test_invalid_answer(void **state)
{
    static struct reader reader;

    (void)state;
    wait_for(&reader, PASS_HEADER);
    assert_int_equal(wire_send(monitor, "too short", 9, -1), 0);
    settle();
    assert_resumed(&reader, -EIO);
    assert_int_equal(jobs.monitor, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_jobs, end_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_not_started),    TEST(test_started_twice),       TEST(test_unknown_job),
        TEST(test_monitor_gone),   TEST(test_monitor_gone_before), TEST(test_monitor_gone_after),
        TEST(test_invalid_answer),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
