// SPDX-License-Identifier: Apache-2.0
/* Jobs that die or send invalid frames, and a monitor that is gone: readers get -EIO, `problems`
 * has the reason, no results are published. */
#include "fs/jobs/failures.h"

#include "fs/tree/clock.h"
#include "tests/support/jobs-monitor.h"

/* Starts a job that has sent a file and a problem so far. Returns the write end of its pipe. */
static int half_a_job(struct reader *reader, enum pass_id pass, uint32_t *job)
{
    int out;

    wait_for(reader, pass);
    out = start_requested(pass, job);
    send_file(out, pass == PASS_HEADER ? "format" : "allocated_size", "half\n");
    send_frame(out, WIRE_PROBLEMS, 0, 0, "early\n", 6);
    settle();
    assert_waits(reader);
    return out;
}

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

/* A job that cannot enter its sandbox reports the layer; an impossible error is a protocol
 * violation.
 */
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

/* A job that only sends WIRE_ALIVE is killed after JOBS_LASTING times its limit of processor time.
 */
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
        cmocka_unit_test(test_invalid_frames),
        TEST(test_unusual_frames),
        TEST(test_too_much),
        TEST(test_entries_out_of_order),
        TEST(test_room_of_headers),
        TEST(test_room_of_numbers),
        TEST(test_count_of_other_pass),
        TEST(test_not_started),
        TEST(test_started_twice),
        TEST(test_far_stall),
        TEST(test_lasts),
        TEST(test_missing_result),
        TEST(test_room_for_failures),
        TEST(test_unknown_job),
        TEST(test_monitor_gone),
        TEST(test_monitor_gone_before),
        TEST(test_monitor_gone_after),
        TEST(test_invalid_answer),
        TEST(test_given_up),
        TEST(test_old_failures),
        TEST(test_not_started_is_not_counted),
        TEST(test_given_up_while_queued),
        TEST(test_ends),
        TEST(test_cpu_limit),
        TEST(test_no_sandbox),
        TEST(test_sandbox_first),
        TEST(test_kills_done),
        TEST(test_failures_at_once),
        TEST(test_suspended),
        TEST(test_stalls),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
