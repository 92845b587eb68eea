// SPDX-License-Identifier: Apache-2.0
/* Frames of jobs: invalid ones, too many, and those that are just valid. */
#include "fs/jobs/received.h"

#include "tests/support/jobs-monitor.h"

/* A header job fails when it sends that frame. */
static void assert_invalid(uint32_t kind, const char *path, int32_t error, uint32_t length)
{
    struct wire_frame frame = {.kind = kind,
                               .node = path ? index_of(path) : (uint32_t)nodes_count(),
                               .error = error,
                               .length = length};
    unsigned before;
    static struct reader reader;
    uint32_t job;
    int out;

    begin_jobs(NULL);
    out = half_a_job(&reader, PASS_HEADER, &job);
    before = open_descriptors();
    send_bytes(out, &frame, sizeof frame);
    if (length <= 64)
        send_bytes(out, (char[64]){0}, length);
    settle();
    assert_resumed(&reader, -EIO);
    assert_int_equal(assert_request(WIRE_KILL, PASS_HEADER), job);
    assert_null(known("format"));
    assert_problems("early\nthe header job violated its protocol (error 71)\n");
    assert_int_equal(open_descriptors(), before - 1);
    close(out);
    end_jobs(NULL);
}

static void test_invalid_frames(void **state)
{
    (void)state;
    assert_invalid(0, "format", 0, 0);
    assert_invalid(WIRE_END + 1, "format", 0, 0);
    assert_invalid(UINT32_MAX, "format", 0, 0);
    assert_invalid(WIRE_FILE, NULL, 0, 4);
    assert_invalid(WIRE_FILE, "", 0, 4);
    assert_invalid(WIRE_FILE, "measure", 0, 4);
    assert_invalid(WIRE_FILE, "problems", 0, 4);
    assert_invalid(WIRE_FILE, "measure/qcow2", 0, 4);
    assert_invalid(WIRE_FILE, "allocated_size", 0, 4);
    assert_invalid(WIRE_FILE, "format", 1, 0);
    assert_invalid(WIRE_FILE, "format", INT32_MAX, 0);
    assert_invalid(WIRE_FILE, "format", 0, TEXT_BYTES_MAX + 1);
    assert_invalid(WIRE_FILE, "format", 0, UINT32_MAX);
    assert_invalid(WIRE_COST, "format", 0, 7);
    assert_invalid(WIRE_COST, "format", 0, 9);
    assert_invalid(WIRE_COST, "format", 0, 0);
}

/* The limits of bytes of problems and of all frames. */
static void test_too_much(void **state)
{
    static char lines[IMAGE_PROBLEMS_MAX], text[TEXT_BYTES_MAX];
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    memset(lines, 'x', sizeof lines);
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    send_frame(out, WIRE_PROBLEMS, 0, 0, lines, sizeof lines - 10);
    settle();
    assert_waits(&reader);
    send_frame(out, WIRE_PROBLEMS, 0, 0, lines, 11);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
    assert_request(WIRE_KILL, PASS_HEADER);
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    for (size_t sent = 0; sent <= FRAMES_BYTES_MAX && !reader.resumed; sent += sizeof text)
        send_frame(out, WIRE_FILE, index_of("format"), 0, text, sizeof text);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

/* Entries must come in order, so that a large number cannot claim memory. */
static void test_entries_out_of_order(void **state)
{
    struct wire_frame frame = {.kind = WIRE_FILE, .node = index_of("references/#/kind")};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    for (frame.number = 0; frame.number < 3; frame.number++)
        send_bytes(out, &frame, sizeof frame);
    settle();
    assert_waits(&reader);
    frame.number = 4;
    send_bytes(out, &frame, sizeof frame);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problem("error 71");
    close(out);
}

/* A view's headers may take what the others have left, but at least its share. */
static void test_room_of_headers(void **state)
{
    const size_t share = KEPT_HEADERS_BYTES / 4 / VIEWS;
    size_t *others = &views_get(&views, 1)->results.bytes;
    static struct reader reader, content;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_HEADER, &job);
    assert_int_equal(jobs.all->bytes_limit, KEPT_HEADERS_BYTES);
    for (*others = 0; *others <= KEPT_HEADERS_BYTES; *others += KEPT_HEADERS_BYTES / 8) {
        send_file(out, "virtual_size", "123\n");
        settle();
        assert_waits(&reader);
        assert_int_equal(jobs.all->bytes_limit,
                         *others < KEPT_HEADERS_BYTES ? KEPT_HEADERS_BYTES - *others : share);
    }
    /* What the view has counts against its share. */
    views_get(&views, 0)->results.bytes = share - 1000;
    assert_int_equal(job_bytes_limit(&jobs, jobs.all), 1000);
    views_get(&views, 0)->results.bytes = share;
    assert_int_equal(job_bytes_limit(&jobs, jobs.all), 0);
    views_get(&views, 0)->results.bytes = 0;
    *others = 0;
    wait_for(&content, PASS_CONTENT);
    assert_int_equal(job_bytes_limit(&jobs, jobs.all->next), KEPT_HEADERS_BYTES - jobs.all->bytes);
    close(out);
    jobs_leave(&jobs, &content.waiter);
    jobs_leave(&jobs, &reader.waiter);
}

/* Passes that yield numbers have a low limit of bytes. */
static void test_room_of_numbers(void **state)
{
    static const char text[1000];
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    for (size_t bytes = 1100; bytes < KEPT_NUMBERS_BYTES; bytes += result_bytes(1000))
        send_frame(out, WIRE_FILE, index_of("allocated_size"), 0, text, sizeof text);
    settle();
    assert_waits(&reader);
    send_frame(out, WIRE_FILE, index_of("allocated_size"), 0, text, sizeof text);
    send_frame(out, WIRE_FILE, index_of("allocated_size"), 0, text, sizeof text);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problems("the scan job exceeded its limit of result bytes\n");
    close(out);
}

/* Only passes over headers send counts of entries. */
static void test_count_of_other_pass(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_frame(out, WIRE_COUNT, index_of("references"), 0, NULL, 0);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

/* Unusual frames that are valid. */
static void test_unusual_frames(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_HEADER, &job);
    send_frame(out, WIRE_FILE, index_of("virtual_size"), -ENOSYS, "words", 5);
    send_frame(out, WIRE_FILE, index_of("candidates"), INT32_MIN, NULL, 0);
    send_frame(out, WIRE_FILE, index_of("subformat"), -EUCLEAN, NULL, 0);
    send_frame(out, WIRE_PROBLEMS, 0, 0, NULL, 0);
    send_frame(out, WIRE_END, 0, 0, NULL, 0);
    send_bytes(out, "bytes after the last one", 24);
    settle();
    assert_resumed(&reader, 0);
    assert_int_equal(known("virtual_size")->error, -EIO);
    assert_int_equal(known("candidates")->error, -EIO);
    assert_int_equal(known("subformat")->error, -EUCLEAN);
    close(out);
    /* A measure job may send a file of the scan pass. */
    wait_for(&reader, PASS_MEASURE);
    out = start_requested(PASS_MEASURE, &job);
    send_file(out, "allocated_size", "1\n");
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "1\n");
    close(out);
}

/* The sandbox frame must be the first, and the only one. */
static void test_sandbox_first(void **state)
{
    const struct sandbox_state other = {.failed = SANDBOX_LAYERS, .user = 1};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = report_started(assert_request(WIRE_START, PASS_SCAN));
    send_file(out, "allocated_size", "1\n");
    settle();
    assert_resumed(&reader, -EIO);
    assert_request(WIRE_KILL, PASS_SCAN);
    close(out);
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_frame(out, WIRE_SANDBOX, 0, 0, &other, sizeof other);
    settle();
    assert_resumed(&reader, -EIO);
    assert_request(WIRE_KILL, PASS_SCAN);
    close(out);
}

/* Waits for a file, with a job that sends two files and a count, and ends. */
static void assert_done_without(const char *path, uint32_t number, int error)
{
    const struct node *node = node_by_path(path);
    struct reader reader = {.waiter = {.task = {.pass = PASS_HEADER},
                                       .place = {.number = number, .node = node},
                                       .views = &views,
                                       .resume = resume_reader}};
    const struct wire_frame count = {
        .kind = WIRE_COUNT, .node = index_of("references"), .number = 1};
    uint32_t job;
    int out;

    jobs_wait(&jobs, &reader.waiter);
    out = start_requested(PASS_HEADER, &job);
    send_file(out, "virtual_size", "1\n");
    send_bytes(out, &count, sizeof count);
    send_file(out, "references/#/kind", "backing\n");
    send_end(out);
    settle();
    assert_resumed(&reader, error);
    if (error)
        assert_int_equal(assert_request(WIRE_KILL, PASS_HEADER), job);
    answer(WIRE_ENDED, job, 0, -1);
    close(out);
}

/* A job that ends without the file that its reader waits for has failed. */
static void test_missing_result(void **state)
{
    (void)state;
    assert_done_without("virtual_size", 0, 0);
    assert_done_without("references/#/kind", 0, 0);
    assert_done_without("references/#/kind", 1, 0); /* there is no such entry */
    assert_problems("");
    assert_done_without("format", 0, -EIO);
    assert_problems("the header job ended without the result that it was started for\n");
    assert_done_without("references/#/path", 0, -EIO);
    assert_true(!views_get(&views, 0)->failures[PASS_HEADER][0].given_up);
    assert_done_without("format", 0, -EIO);
    assert_true(views_get(&views, 0)->failures[PASS_HEADER][0].given_up);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_jobs, end_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_invalid_frames),
        TEST(test_too_much),
        TEST(test_entries_out_of_order),
        TEST(test_room_of_headers),
        TEST(test_room_of_numbers),
        TEST(test_count_of_other_pass),
        TEST(test_unusual_frames),
        TEST(test_sandbox_first),
        TEST(test_missing_result),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
