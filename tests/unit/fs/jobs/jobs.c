// SPDX-License-Identifier: Apache-2.0
/* Jobs without failures, and readers that come and go. */
#include "fs/jobs/jobs.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "fs/jobs/job.h"
#include "tests/support/jobs-monitor.h"

static void test_whole_job(void **state)
{
    const struct wire_cost cost = {1234, 5};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    assert_true(views_know(&views, &(struct place){.node = node_by_path("problems")}));
    assert_null(known("format"));
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    send_file(out, "format", "raw\n");
    send_frame(out, WIRE_FILE, index_of("subformat"), -ENOENT, NULL, 0);
    send_file(out, "candidates", "");
    send_frame(out, WIRE_PROBLEMS, 0, 0, "one\ntwo\n", 8);
    send_frame(out, WIRE_COST, 0, 0, &cost, sizeof cost);
    settle();
    /* Results are published only when the job is done. */
    assert_waits(&reader);
    assert_null(known("format"));
    assert_problems("");
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("format", "raw\n");
    assert_known("candidates", "");
    assert_int_equal(known("subformat")->error, -ENOENT);
    assert_null(known("virtual_size"));
    assert_problems("one\ntwo\n");
    assert_int_equal(view_bytes_read(views_get(&views, 0)), 1234);
    /* The exit status of a job that was done does not matter. */
    close(out);
    answer(WIRE_ENDED, job, 1 << 8, -1);
    settle();
    assert_problems("one\ntwo\n");
    assert_no_request();
}

static void test_byte_by_byte(void **state)
{
    struct wire_frame frame = {.kind = WIRE_FILE, .node = index_of("format"), .length = 4};
    static struct reader reader;
    char bytes[64];
    uint32_t job;
    int out;

    (void)state;
    memcpy(bytes, &frame, sizeof frame);
    memcpy(bytes + sizeof frame, "raw\n", 4);
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    for (size_t i = 0; i < sizeof frame + 4; i++) {
        send_bytes(out, bytes + i, 1);
        settle();
        assert_waits(&reader);
    }
    frame = (struct wire_frame){.kind = WIRE_END};
    for (size_t i = 0; i < sizeof frame; i++) {
        assert_waits(&reader);
        send_bytes(out, (const char *)&frame + i, 1);
        settle();
    }
    assert_resumed(&reader, 0);
    assert_known("format", "raw\n");
    close(out);
}

/* Texts of the greatest length, and many short ones at once. */
static void test_long_frames(void **state)
{
    char *text = malloc(TEXT_BYTES_MAX);
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < TEXT_BYTES_MAX; i++)
        text[i] = (char)('a' + i % 26);
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    send_frame(out, WIRE_FILE, index_of("format"), 0, text, TEXT_BYTES_MAX);
    send_frame(out, WIRE_FILE, index_of("candidates"), 0, text, TEXT_BYTES_MAX - 1);
    for (unsigned i = 0; i < 5000; i++)
        send_file(out, "virtual_size", i % 2 ? "odd\n" : "even\n");
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_int_equal(known("format")->length, TEXT_BYTES_MAX);
    assert_memory_equal(known("format")->bytes, text, TEXT_BYTES_MAX);
    assert_int_equal(known("candidates")->length, TEXT_BYTES_MAX - 1);
    assert_known("virtual_size", "odd\n");
    close(out);
    free(text);
}

static void test_shared(void **state)
{
    static struct reader first, second, third, other;
    uint32_t job, other_job;
    int out, other_out;

    (void)state;
    wait_for(&first, PASS_HEADER);
    wait_for(&second, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    send_file(out, "format", "raw\n");
    settle();
    wait_for(&third, PASS_HEADER);
    assert_no_request();
    /* Another pass has a job of its own. */
    wait_for(&other, PASS_SCAN);
    other_out = start_requested(PASS_SCAN, &other_job);
    assert_int_not_equal(job, other_job);
    send_end(out);
    settle();
    assert_resumed(&first, 0);
    assert_resumed(&second, 0);
    assert_resumed(&third, 0);
    assert_waits(&other);
    send_end(other_out);
    settle();
    assert_resumed(&other, 0);
    close(out);
    close(other_out);
}

/* A waiter for the measure pass joins a running scan, which yields its files too. */
static void test_measure_waits_for_scan(void **state)
{
    static struct reader scan, measure, header; /* they still wait at the end of the test */
    uint32_t job;
    int out;

    (void)state;
    wait_for(&scan, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    wait_for(&measure, PASS_MEASURE);
    assert_no_request();
    send_file(out, "measure/qcow2", "x\n");
    send_file(out, "allocated_size", "1\n");
    send_end(out);
    settle();
    assert_resumed(&scan, 0);
    assert_resumed(&measure, 0);
    assert_known("measure/qcow2", "x\n");
    close(out);
    wait_for(&measure, PASS_MEASURE);
    assert_request(WIRE_START, PASS_MEASURE);
    wait_for(&scan, PASS_SCAN);
    assert_request(WIRE_START, PASS_SCAN);
    wait_for(&header, PASS_HEADER);
    assert_request(WIRE_START, PASS_HEADER);
}

/* Files with the same options share a job. Its request has the options. */
static void test_options(void **state)
{
    const struct place small = place_of("measure/qcow2,cluster_size=4k"),
                       same = place_of("measure/qcow2,cluster_size=4096.json"),
                       large = place_of("measure/qcow2,cluster_size=2M");
    static struct reader plain, first, second, other;
    struct wire_frame frame = {
        .kind = WIRE_FILE, .node = (uint32_t)node_index(small.node), .set = small.set, .length = 4};
    struct wire_request request;
    int out, fd;

    (void)state;
    wait_for(&plain, PASS_MEASURE);
    assert_request(WIRE_START, PASS_MEASURE);
    wait_for_place(&first, &small);
    assert_int_equal(wire_receive(monitor, &request, sizeof request, &fd), 1);
    assert_int_equal(request.pass, PASS_MEASURE);
    assert_int_equal(request.set, small.set);
    assert_int_equal(request.directory, index_of("measure"));
    assert_int_equal(request.options.cluster_size, 4096);
    wait_for_place(&second, &same);
    assert_no_request();
    wait_for_place(&other, &large);
    assert_request(WIRE_START, PASS_MEASURE);
    out = start_job(request.job);
    send_bytes(out, &frame, sizeof frame);
    send_bytes(out, "4 k\n", 4);
    send_end(out);
    settle();
    close(out);
    assert_resumed(&first, 0);
    assert_resumed(&second, 0);
    assert_waits(&plain);
    assert_waits(&other);
    assert_true(views_know(&views, &small));
    assert_false(views_know(&views, &large));
    assert_null(known("measure/qcow2"));
}

/* A job with options must not send files without them. */
static void test_other_options(void **state)
{
    const struct place small = place_of("measure/qcow2,cluster_size=4k");
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for_place(&reader, &small);
    out = start_requested(PASS_MEASURE, &job);
    send_file(out, "measure/qcow2", "without any\n");
    settle();
    assert_resumed(&reader, -EIO);
    assert_null(known("measure/qcow2"));
    assert_problem("measure job with options");
    close(out);
}

/* The image changes: results are forgotten, and waiters wait for a new job. */
static void test_forget(void **state)
{
    static struct reader header, scan;
    uint32_t old, next, left;
    int out, next_out;

    (void)state;
    wait_for(&header, PASS_HEADER);
    out = start_requested(PASS_HEADER, &old);
    send_file(out, "format", "raw\n");
    send_frame(out, WIRE_PROBLEMS, 0, 0, "old\n", 4);
    send_end(out);
    settle();
    close(out);
    wait_for(&header, PASS_HEADER);
    out = start_requested(PASS_HEADER, &old);
    send_file(out, "format", "vpc\n");
    wait_for(&scan, PASS_SCAN);
    left = assert_request(WIRE_START, PASS_SCAN);
    jobs_leave(&jobs, &scan.waiter);
    settle();
    change_image();
    assert_null(known("format"));
    assert_problems("");
    assert_waits(&header);
    assert_int_equal(assert_request(WIRE_KILL, PASS_HEADER), old);
    next_out = start_requested(PASS_HEADER, &next);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), left);
    assert_no_request();
    send_file(out, "format", "old\n");
    send_end(out);
    send_file(next_out, "format", "qcow2\n");
    settle();
    assert_waits(&header);
    send_end(next_out);
    settle();
    assert_resumed(&header, 0);
    assert_known("format", "qcow2\n");
    close(out);
    close(next_out);
}

static struct reader again;

static void wait_again(struct waiter *waiter, int error)
{
    resume_reader(waiter, error);
    wait_for(&again, waiter->task.pass);
}

/* A waiter that waits again when it is resumed gets a new job. */
static void test_wait_in_resume(void **state)
{
    static struct reader reader;
    uint32_t first, second;
    int out;

    (void)state;
    wait_for(&reader, PASS_HEADER);
    reader.waiter.resume = wait_again;
    out = start_requested(PASS_HEADER, &first);
    send_end(out);
    settle();
    close(out);
    assert_resumed(&reader, 0);
    assert_waits(&again);
    out = start_requested(PASS_HEADER, &second);
    assert_int_not_equal(first, second);
    send_end(out);
    settle();
    assert_resumed(&again, 0);
    close(out);
}

/* A later job replaces results; equal problems are kept once; costs are added. */
static void test_twice(void **state)
{
    const struct wire_cost cost = {10, 2};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct reader reader;
        uint32_t job;
        int out;

        wait_for(&reader, PASS_MEASURE);
        out = start_requested(PASS_MEASURE, &job);
        send_file(out, "measure/qcow2", i ? "second\n" : "first\n");
        send_frame(out, WIRE_PROBLEMS, 0, 0, "same\n", 5);
        send_frame(out, WIRE_COST, 0, 0, &cost, sizeof cost);
        send_end(out);
        settle();
        assert_resumed(&reader, 0);
        close(out);
    }
    assert_known("measure/qcow2", "second\n");
    assert_problems("same\n");
    assert_int_equal(view_bytes_read(views_get(&views, 0)), 20);
}

/* Runs a real header job on the file. Returns its exit status. */
static int run_job(int fd, int out)
{
    static struct layers layers;

    struct sandbox_filter filters[SANDBOX_KINDS];
    const struct open_options options = {.format = NULL};
    const struct job_order order = {.task = {.pass = PASS_HEADER},
                                    .layers = &layers,
                                    .options = &options,
                                    .sandbox = {.filters = filters},
                                    .out = out};
    int status;

    layers = (struct layers){.count = 1, .items[0].fd = fd};
    sandbox_filter_make(&filters[SANDBOX_JOB], SANDBOX_JOB);
    if (fork() == 0)
        job_run(&order);
    assert_true(wait(&status) > 0);
    return WEXITSTATUS(status);
}

/* A real job on a real image. */
static void test_real_job(void **state)
{
    struct sample s = {.fd = -1};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    sample_begin(&s);
    put_text(&s, 0, "conectix");
    set_size(&s, 1024);
    wait_for(&reader, PASS_HEADER);
    job = assert_request(WIRE_START, PASS_HEADER);
    out = report_started(job);
    assert_int_equal(run_job(s.fd, out), 0);
    close(out);
    answer(WIRE_ENDED, job, 0, -1);
    settle();
    assert_resumed(&reader, 0);
    assert_known("format", "vpc\n");
    assert_int_equal(known("virtual_size")->error, -EUCLEAN);
    /* Detection reads the head, and the whole file as its tail; header/ reads the footers again. */
    assert_true(view_bytes_read(views_get(&views, 0)) >= 512 + 1024 &&
                view_bytes_read(views_get(&views, 0)) <= 3 * 1024);
    assert_problem("0xfffffca2");
    sample_end(&s);
    /* The read end of its pipe is closed. */
    sample_begin(&s);
    wait_for(&reader, PASS_HEADER);
    job = assert_request(WIRE_START, PASS_HEADER);
    out = report_started(job);
    change_image();
    settle();
    assert_int_equal(run_job(s.fd, out), 1);
    close(out);
    jobs_leave(&jobs, &reader.waiter);
    sample_end(&s);
}

/* Waiters that remain at the end are resumed with -EIO. */
static void test_end(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    begin_jobs(state);
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_file(out, "allocated_size", "1\n");
    settle();
    end_jobs(state);
    assert_resumed(&reader, -EIO);
    close(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_job, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_long_frames, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_shared, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_measure_waits_for_scan, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_options, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_other_options, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_forget, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_wait_in_resume, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_twice, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_real_job, begin_jobs, end_jobs),
        cmocka_unit_test(test_end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
