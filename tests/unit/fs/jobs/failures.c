// SPDX-License-Identifier: Apache-2.0
/* Jobs that die or send invalid frames, and a monitor that is gone: readers get -EIO, `problems`
 * has the reason, no results are published. */
#include "fs/jobs/failures.h"

#include "fs/tree/clock.h"
#include "tests/support/jobs-monitor.h"

static void test_end_then_pipe(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_SCAN, &job);
    answer(WIRE_ENDED, job, SIGSEGV, -1);
    settle();
    /* The pipe may still hold frames. */
    assert_waits(&reader);
    close(out);
    settle();
    assert_resumed(&reader, -EIO);
    assert_null(known("allocated_size"));
    assert_problems("early\nthe scan job was killed by signal 11\n");
    assert_int_equal(view_bytes_read(views_get(&views, 0)), 0);
}

static void test_pipe_then_end(void **state)
{
    static struct reader first, second;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&first, PASS_HEADER, &job);
    wait_for(&second, PASS_HEADER);
    close(out);
    settle();
    assert_waits(&first);
    answer(WIRE_ENDED, job, 3 << 8, -1);
    settle();
    assert_resumed(&first, -EIO);
    assert_resumed(&second, -EIO);
    assert_null(known("format"));
    assert_problems("early\nthe header job failed with status 3\n");
}

/* Starts a job, which is killed by a signal. */
static void lose_a_job(enum pass_id pass)
{
    static struct reader reader;
    uint32_t job;
    int out;

    wait_for(&reader, pass);
    out = start_requested(pass, &job);
    close(out);
    answer(WIRE_ENDED, job, SIGKILL, -1);
    settle();
    assert_resumed(&reader, -EIO);
}

/* The message names the job's pass. */
static void test_names(void **state)
{
    static const char *const names[PASSES] = {[PASS_HEADER] = "header",
                                              [PASS_CONTENT] = "content",
                                              [PASS_MEASURE] = "measure",
                                              [PASS_SCAN] = "scan",
                                              [PASS_DATA] = "data"};

    (void)state;
    for (enum pass_id pass = PASS_HEADER; pass < PASSES; pass++) {
        char words[64];

        lose_a_job(pass);
        snprintf(words, sizeof words, "the %s job was killed by signal 9\n", names[pass]);
        assert_problem(words);
        text_free(&views_get(&views, 0)->problems);
    }
}

/* A job that dies after its last frame is done. After a failure the next reader gets a new job. */
static void test_end_after_last_frame(void **state)
{
    static struct reader reader;
    uint32_t job, next;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_SCAN, &job);
    send_end(out);
    close(out);
    answer(WIRE_ENDED, job, SIGSEGV, -1);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "half\n");
    assert_problems("early\n");
    out = half_a_job(&reader, PASS_HEADER, &job);
    close(out);
    answer(WIRE_ENDED, job, 1 << 8, -1);
    settle();
    assert_resumed(&reader, -EIO);
    out = half_a_job(&reader, PASS_HEADER, &next);
    assert_int_not_equal(job, next);
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("format", "half\n");
    close(out);
}

/* In the middle of a frame. */
static void test_cut_off(void **state)
{
    struct wire_frame frame = {
        .kind = WIRE_FILE, .node = index_of("allocated_size"), .length = 100};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_SCAN, &job);
    send_bytes(out, &frame, sizeof frame);
    send_bytes(out, "only so much", 12);
    close(out);
    answer(WIRE_ENDED, job, 0, -1);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problem("status 0");
    /* The rest of the old frame is not taken for the next job's. */
    out = half_a_job(&reader, PASS_SCAN, &job);
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "half\n");
    close(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_jobs, end_jobs)

static void assert_tried(enum pass_id pass)
{
    static struct reader reader;
    uint32_t job;
    int out;

    wait_for(&reader, pass);
    out = start_requested(pass, &job);
    send_end(out);
    close(out);
    settle();
    assert_resumed(&reader, 0);
}

/* After three failures within a minute a pass is not tried again, until the image changes. */
static void test_given_up(void **state)
{
    static struct reader reader;

    (void)state;
    lose_a_job(PASS_SCAN);
    lose_a_job(PASS_MEASURE);
    lose_a_job(PASS_SCAN);
    assert_false(views_get(&views, 0)->failures[PASS_SCAN][0].given_up);
    lose_a_job(PASS_SCAN);
    assert_problem(
        "the scan pass has failed 3 times within a minute: it is not tried again until the "
        "image changes\n");
    wait_for(&reader, PASS_SCAN);
    assert_no_request();
    assert_resumed(&reader, -EIO);
    assert_tried(PASS_MEASURE);
    change_image();
    assert_tried(PASS_SCAN);
}

/* Failures longer ago than PASS_FAILURES_MS do not count. */
static void test_old_failures(void **state)
{
    struct pass_failures *f = views_get(&views, 0)->failures[PASS_SCAN];

    (void)state;
    lose_a_job(PASS_SCAN);
    lose_a_job(PASS_SCAN);
    f->at[1] -= PASS_FAILURES_MS;
    lose_a_job(PASS_SCAN);
    assert_false(f->given_up);
    assert_tried(PASS_SCAN);
    lose_a_job(PASS_SCAN);
    assert_true(f->given_up);
}

/* A job that could not be started is no failure of its pass. */
static void test_not_started_is_not_counted(void **state)
{
    static struct reader reader;

    (void)state;
    for (unsigned i = 0; i < 2 * PASS_FAILURES_MAX; i++) {
        wait_for(&reader, PASS_SCAN);
        answer(WIRE_STARTED, assert_request(WIRE_START, PASS_SCAN), -EAGAIN, -1);
        settle();
        assert_resumed(&reader, -EIO);
    }
    assert_tried(PASS_SCAN);
}

/* Readers of a queued job get -EIO when its pass is given up. */
static void test_given_up_while_queued(void **state)
{
    static struct reader reader;

    (void)state;
    jobs.slots = JOBS_SLOTS_MAX;
    wait_for(&reader, PASS_SCAN);
    views_get(&views, 0)->failures[PASS_SCAN][0].given_up = true;
    settle();
    assert_no_request();
    assert_resumed(&reader, -EIO);
    jobs.slots = 0;
}

/* The message for each way in which a process ends. */
static void test_ends(void **state)
{
    static const struct {
        int status;
        const char *words;
    } ends[] = {
        {SIGSYS, "the scan job was killed: it made a system call that the sandbox forbids\n"},
        {SIGXCPU, "the scan job exceeded its limit of processor time\n"},
        {SIGABRT, "signal 6\n"},
        {7 << 8, "status 7\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct reader reader;
        uint32_t job;

        wait_for(&reader, PASS_SCAN);
        close(start_requested(PASS_SCAN, &job));
        answer(WIRE_ENDED, job, ends[i].status, -1);
        settle();
        assert_resumed(&reader, -EIO);
        assert_problem(ends[i].words);
        change_image();
    }
}

/* A job sends that sandbox frame, and ends with that status before its last frame. */
static void end_in_sandbox(const struct sandbox_state *held, int status)
{
    static struct reader reader;
    uint32_t job;
    int out;

    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    out = report_started(job);
    send_frame(out, WIRE_SANDBOX, 0, 0, held, sizeof *held);
    close(out);
    answer(WIRE_ENDED, job, status, -1);
    settle();
    assert_resumed(&reader, -EIO);
}

/* The message has the limit. */
static void test_cpu_limit(void **state)
{
    struct sandbox_state held = {.failed = SANDBOX_LAYERS, .cpu_seconds = 600};

    (void)state;
    end_in_sandbox(&held, SIGXCPU);
    assert_problems("the scan job took more than 600 s of processor time (see -o cpu-limit)\n");
    held.cpu_seconds = UINT32_MAX;
    assert_false(sandbox_state_is_possible(&held));
}

/* A job that cannot enter its sandbox reports the layer; an impossible error fails the job. */
static void test_no_sandbox(void **state)
{
    struct sandbox_state lacking = {.failed = SANDBOX_LANDLOCK, .error = -ENOSYS};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    end_in_sandbox(&lacking, 1 << 8);
    assert_problems("sandbox: cannot enter layer landlock: Function not implemented "
                    "(see -o sandbox in mount.instar(8))\n"
                    "the scan job cannot run without its sandbox\n");
    lacking.error = INT32_MIN;
    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    out = report_started(job);
    send_frame(out, WIRE_SANDBOX, 0, 0, &lacking, sizeof lacking);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

/* With kills_done a job is killed after its last frame. */
static void test_kills_done(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    jobs.config.kills_done = true;
    out = half_a_job(&reader, PASS_SCAN, &job);
    send_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    close(out);
}

/* Failures of jobs that ran at the same time count once, as their cause may be the same. */
static void test_failures_at_once(void **state)
{
    struct pass_failures *f = views_get(&views, 0)->failures[PASS_SCAN];
    struct job job = {.view = views_get(&views, 0), .task = {.pass = PASS_SCAN}, .started = 1000};

    (void)state;
    for (unsigned i = 0; i < 2 * PASS_FAILURES_MAX; i++)
        job_count_failure(&job, "failed %d", 1);
    assert_false(f->given_up);
    assert_int_equal(f->at[1], 0);
    for (unsigned i = 0; i < PASS_FAILURES_MAX; i++) {
        job.started = f->at[0];
        job_count_failure(&job, "failed %d", 2);
    }
    assert_true(f->given_up);
    text_free(&job.problems);
}

/* Fills with lines of 32 bytes that no other call makes. */
static void fill_with_lines(char *lines, size_t size, unsigned call)
{
    for (size_t at = 0; at + 32 <= size; at += 32) {
        char line[33];

        snprintf(line, sizeof line, "call %10u at %12u\n", call, (unsigned)at);
        memcpy(lines + at, line, 32);
    }
}

/* `problems` has room for failures, however much jobs have reported. */
static void test_room_for_failures(void **state)
{
    static char lines[IMAGE_PROBLEMS_MAX];
    struct text *problems = &views_get(&views, 0)->problems;
    size_t before = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * PROBLEMS_REPORTED_MAX / sizeof lines; i++) {
        struct reader reader;
        uint32_t job;
        int out;

        fill_with_lines(lines, sizeof lines, i);
        wait_for(&reader, PASS_HEADER);
        out = start_requested(PASS_HEADER, &job);
        send_frame(out, WIRE_PROBLEMS, 0, 0, lines, sizeof lines);
        send_end(out);
        settle();
        assert_resumed(&reader, 0);
        assert_true(problems->length >= before && problems->length <= PROBLEMS_REPORTED_MAX);
        before = problems->length;
        answer(WIRE_ENDED, job, 0, -1);
        close(out);
    }
    assert_true(before > PROBLEMS_REPORTED_MAX - 2 * sizeof lines);
    lose_a_job(PASS_SCAN);
    assert_true(problems->length > before);
    assert_problem("signal 9\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_end_then_pipe),
        TEST(test_names),
        TEST(test_pipe_then_end),
        TEST(test_end_after_last_frame),
        TEST(test_cut_off),
        TEST(test_room_for_failures),
        TEST(test_given_up),
        TEST(test_old_failures),
        TEST(test_not_started_is_not_counted),
        TEST(test_given_up_while_queued),
        TEST(test_ends),
        TEST(test_cpu_limit),
        TEST(test_no_sandbox),
        TEST(test_kills_done),
        TEST(test_failures_at_once),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
