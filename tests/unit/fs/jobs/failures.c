// SPDX-License-Identifier: Apache-2.0
/* Jobs that die, jobs that talk nonsense, and a monitor that is gone: readers get -EIO, `problems`
 * says why, nothing is kept. */
#include "fs/jobs/failures.h"
#include "fs/jobs/list.h"
#include "fs/tree/clock.h"
#include "tests/support/jobs-monitor.h"

/* A job that has said a little; it says the rest. */
static int half_a_job(struct reader *reader, enum pass_id pass, uint32_t *job)
{
    int out;

    wait_for(reader, pass);
    out = start_requested(pass, job);
    say_file(out, pass == PASS_HEADER ? "format" : "allocated_size", "half\n");
    say_frame(out, WIRE_PROBLEMS, 0, 0, "said before\n", 12);
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
    /* The pipe may hold more than was read yet. */
    assert_waits(&reader);
    close(out);
    settle();
    assert_resumed(&reader, -EIO);
    assert_null(known("allocated_size"));
    assert_problems("said before\nthe scan job was killed by signal 11\n");
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
    assert_problems("said before\nthe header job failed with status 3\n");
}

/* A job of that pass is killed. */
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

/* The words say which job it was. */
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
        text_add(&views_get(&views, 0)->problems, "%c", '\0');
        assert_non_null(strstr(views_get(&views, 0)->problems.bytes, words));
        text_free(&views_get(&views, 0)->problems);
    }
}

/* All said, and then it dies: nobody minds. And who comes after a failure gets a new job. */
static void test_end_after_last_frame(void **state)
{
    static struct reader reader;
    uint32_t job, next;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_SCAN, &job);
    say_end(out);
    close(out);
    answer(WIRE_ENDED, job, SIGSEGV, -1);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "half\n");
    assert_problems("said before\n");
    out = half_a_job(&reader, PASS_HEADER, &job);
    close(out);
    answer(WIRE_ENDED, job, 1 << 8, -1);
    settle();
    assert_resumed(&reader, -EIO);
    out = half_a_job(&reader, PASS_HEADER, &next);
    assert_int_not_equal(job, next);
    say_end(out);
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
    say_bytes(out, &frame, sizeof frame);
    say_bytes(out, "only so much", 12);
    close(out);
    answer(WIRE_ENDED, job, 0, -1);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problems("said before\nthe scan job failed with status 0\n");
    /* The next job's frames begin anew. */
    out = half_a_job(&reader, PASS_SCAN, &job);
    say_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "half\n");
    close(out);
}

/* Frames that a header job must not send. */
static void assert_nonsense(uint32_t kind, const char *path, int32_t error, uint32_t length)
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
    say_bytes(out, &frame, sizeof frame);
    if (length <= 64)
        say_bytes(out, (char[64]){0}, length);
    settle();
    assert_resumed(&reader, -EIO);
    assert_int_equal(assert_request(WIRE_KILL, PASS_HEADER), job);
    assert_null(known("format"));
    assert_problems("said before\nthe header job violated its protocol (error 71)\n");
    assert_int_equal(open_descriptors(), before - 1);
    close(out);
    end_jobs(NULL);
}

static void test_nonsense(void **state)
{
    (void)state;
    assert_nonsense(0, "format", 0, 0);
    assert_nonsense(WIRE_END + 1, "format", 0, 0);
    assert_nonsense(UINT32_MAX, "format", 0, 0);
    assert_nonsense(WIRE_FILE, NULL, 0, 4);
    assert_nonsense(WIRE_FILE, "", 0, 4);
    assert_nonsense(WIRE_FILE, "measure", 0, 4);
    assert_nonsense(WIRE_FILE, "problems", 0, 4);
    assert_nonsense(WIRE_FILE, "measure/qcow2", 0, 4);
    assert_nonsense(WIRE_FILE, "allocated_size", 0, 4);
    assert_nonsense(WIRE_FILE, "format", 1, 0);
    assert_nonsense(WIRE_FILE, "format", INT32_MAX, 0);
    assert_nonsense(WIRE_FILE, "format", 0, TEXT_BYTES_MAX + 1);
    assert_nonsense(WIRE_FILE, "format", 0, UINT32_MAX);
    assert_nonsense(WIRE_COST, "format", 0, 7);
    assert_nonsense(WIRE_COST, "format", 0, 9);
    assert_nonsense(WIRE_COST, "format", 0, 0);
}

/* More than a job has to say is not taken, however often it is said. */
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
    say_frame(out, WIRE_PROBLEMS, 0, 0, lines, sizeof lines - 10);
    settle();
    assert_waits(&reader);
    say_frame(out, WIRE_PROBLEMS, 0, 0, lines, 11);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
    assert_request(WIRE_KILL, PASS_HEADER);
    wait_for(&reader, PASS_HEADER);
    out = start_requested(PASS_HEADER, &job);
    for (size_t sent = 0; sent <= FRAMES_BYTES_MAX && !reader.resumed; sent += sizeof text)
        say_frame(out, WIRE_FILE, index_of("format"), 0, text, sizeof text);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

/* Entries are told in their order: a number takes no more room than what was told. */
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
        say_bytes(out, &frame, sizeof frame);
    settle();
    assert_waits(&reader);
    frame.number = 4;
    say_bytes(out, &frame, sizeof frame);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problems("the header job violated its protocol (error 71)\n");
    close(out);
}

/* A view may tell what others have left, and some in any case. */
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
        say_file(out, "virtual_size", "123\n");
        settle();
        assert_waits(&reader);
        assert_int_equal(jobs.all->bytes_limit,
                         *others < KEPT_HEADERS_BYTES ? KEPT_HEADERS_BYTES - *others : share);
    }
    /* What the view has is of its share. */
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

/* Those that tell numbers have little room. */
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
        say_frame(out, WIRE_FILE, index_of("allocated_size"), 0, text, sizeof text);
    settle();
    assert_waits(&reader);
    say_frame(out, WIRE_FILE, index_of("allocated_size"), 0, text, sizeof text);
    say_frame(out, WIRE_FILE, index_of("allocated_size"), 0, text, sizeof text);
    settle();
    assert_resumed(&reader, -EIO);
    assert_problems("the scan job sent more than there is room for\n");
    close(out);
}

/* Only who reads headers tells how many entries a directory has. */
static void test_count_of_others(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    say_frame(out, WIRE_COUNT, index_of("references"), 0, NULL, 0);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

/* What is just allowed. */
static void test_odd(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_HEADER, &job);
    say_frame(out, WIRE_FILE, index_of("virtual_size"), -ENOSYS, "words", 5);
    say_frame(out, WIRE_FILE, index_of("candidates"), INT32_MIN, NULL, 0);
    say_frame(out, WIRE_FILE, index_of("subformat"), -EUCLEAN, NULL, 0);
    say_frame(out, WIRE_PROBLEMS, 0, 0, NULL, 0);
    say_frame(out, WIRE_END, 0, 0, NULL, 0);
    say_bytes(out, "and more behind the last", 24);
    settle();
    assert_resumed(&reader, 0);
    assert_int_equal(known("virtual_size")->error, -EIO);
    assert_int_equal(known("candidates")->error, -EIO);
    assert_int_equal(known("subformat")->error, -EUCLEAN);
    close(out);
    /* A measure job may tell what a scan would. */
    wait_for(&reader, PASS_MEASURE);
    out = start_requested(PASS_MEASURE, &job);
    say_file(out, "allocated_size", "1\n");
    say_end(out);
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

/* The monitor says twice that the job runs: the first pipe is the job's. */
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
    say_file(out, "allocated_size", "1\n");
    say_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_known("allocated_size", "1\n");
    close(out);
    assert_int_equal(open_descriptors(), before);
}

/* Answers about jobs that nobody asked for. */
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
    say_end(out);
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
    assert_problems("said before\nthe header job was lost: the monitor is gone\n"
                    "the scan job was lost: the monitor is gone\n");
    /* At once: nobody will ever answer. */
    wait_for(&late, PASS_MEASURE);
    assert_resumed(&late, -EIO);
    assert_int_equal(jobs_poll(&jobs, fds, &count), -1);
    assert_int_equal(count, 1);
    assert_int_equal(fds[0].fd, -1);
    change_image();
    assert_problems("");
    close(out);
}

/* Before anything was asked of it. */
static void test_monitor_gone_before(void **state)
{
    static struct reader reader;

    (void)state;
    leave_monitor();
    wait_for(&reader, PASS_HEADER);
    assert_resumed(&reader, -EIO);
    assert_problems("the header job could not be started: the monitor is gone\n");
}

/* What is known stays known. */
static void test_monitor_gone_after(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    out = half_a_job(&reader, PASS_HEADER, &job);
    say_end(out);
    settle();
    leave_monitor();
    settle();
    assert_known("format", "half\n");
    assert_problems("said before\n");
    close(out);
}

static void test_monitor_talks_nonsense(void **state)
{
    static struct reader reader;

    (void)state;
    wait_for(&reader, PASS_HEADER);
    assert_int_equal(wire_send(monitor, "nonsense", 8, -1), 0);
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
    say_end(out);
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
    assert_problems(
        "the scan job was killed by signal 9\nthe measure job was killed by signal 9\n");
    lose_a_job(PASS_SCAN);
    assert_problems("the scan job was killed by signal 9\nthe measure job was killed by signal 9\n"
                    "the scan pass has failed 3 times within a minute: it is not tried again until "
                    "the image changes\n");
    wait_for(&reader, PASS_SCAN);
    assert_no_request();
    assert_resumed(&reader, -EIO);
    assert_tried(PASS_MEASURE);
    change_image();
    assert_tried(PASS_SCAN);
}

/* Failures that are old do not count. */
static void test_old_failures(void **state)
{
    struct pass_failures *f = views_get(&views, 0)->failures[PASS_SCAN];

    (void)state;
    lose_a_job(PASS_SCAN);
    lose_a_job(PASS_SCAN);
    f->at[1] -= PASS_FAILURES_MS;
    lose_a_job(PASS_SCAN);
    assert_problems("the scan job was killed by signal 9\n");
    assert_tried(PASS_SCAN);
    lose_a_job(PASS_SCAN);
    assert_true(f->given_up);
}

/* That the monitor cannot start a job is no fault of the pass. */
static void test_not_started_counts_not(void **state)
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

/* Who waits for the turn of a pass that is given up does not wait for ever. */
static void test_given_up_while_waiting(void **state)
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

/* Why a process ended, in words. */
static void test_ends(void **state)
{
    static const struct {
        int status;
        const char *words;
    } ends[] = {
        {SIGSYS, "the scan job tried what the sandbox forbids, and was killed\n"},
        {SIGXCPU, "the scan job took more processor time than it may\n"},
        {SIGABRT, "the scan job was killed by signal 6\n"},
        {7 << 8, "the scan job failed with status 7\n"},
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
        assert_problems(ends[i].words);
        change_image();
    }
}

/* A job tells of that sandbox, and ends with that status before it has told all. */
static void end_in_sandbox(const struct sandbox_state *held, int status)
{
    static struct reader reader;
    uint32_t job;
    int out;

    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    out = start_true_job(job);
    say_frame(out, WIRE_SANDBOX, 0, 0, held, sizeof *held);
    close(out);
    answer(WIRE_ENDED, job, status, -1);
    settle();
    assert_resumed(&reader, -EIO);
}

/* What the job had at most is said. */
static void test_cpu_limit(void **state)
{
    struct sandbox_state held = {.failed = SANDBOX_LAYERS, .cpu_seconds = 600};

    (void)state;
    end_in_sandbox(&held, SIGXCPU);
    assert_problems("the scan job took more than 600 s of processor time (see -o cpu-limit)\n");
    held.cpu_seconds = UINT32_MAX;
    assert_false(sandbox_state_is_possible(&held));
}

/* A job that could not enter its sandbox says which layer was lacking; what makes no sense is no
 * such answer. */
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
                    "the scan job does not run without it\n");
    lacking.error = INT32_MIN;
    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    out = start_true_job(job);
    say_frame(out, WIRE_SANDBOX, 0, 0, &lacking, sizeof lacking);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

/* Of its sandbox a job tells first, and once. */
static void test_sandbox_first(void **state)
{
    const struct sandbox_state other = {.failed = SANDBOX_LAYERS, .user = 1};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_true_job(assert_request(WIRE_START, PASS_SCAN));
    say_file(out, "allocated_size", "1\n");
    settle();
    assert_resumed(&reader, -EIO);
    assert_request(WIRE_KILL, PASS_SCAN);
    close(out);
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    say_frame(out, WIRE_SANDBOX, 0, 0, &other, sizeof other);
    settle();
    assert_resumed(&reader, -EIO);
    assert_request(WIRE_KILL, PASS_SCAN);
    close(out);
}

/* A job that has told all is ended: it might go on. */
static void test_end_is_the_end(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    jobs.config.kills_done = true;
    out = half_a_job(&reader, PASS_SCAN, &job);
    say_end(out);
    settle();
    assert_resumed(&reader, 0);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    close(out);
}

/* Jobs that ran at the same time may fail for one reason: that counts once. */
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

/* Time in which this process did not run is no stall of a job. */
static void test_stopped_itself(void **state)
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
        j->heard -= 5000;
    jobs.wakes_at = now_ms() - 5000;
    jobs_handle(&jobs, &(struct pollfd){.fd = -1}, 1);
    assert_waits(&reader);
    say_end(out);
    settle();
    assert_resumed(&reader, 0);
    close(out);
}

/* A job that tells nothing for too long is killed; one that only tells that it goes on is not. */
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
    say_frame(out, WIRE_ALIVE, 0, 0, NULL, 0);
    run_for(600);
    assert_waits(&reader);
    run_for(600);
    assert_resumed(&reader, -EIO);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    assert_problems("the scan job was silent for 1 s, and was given up\n");
    close(out);
    /* One that the monitor never starts. */
    wait_for(&reader, PASS_SCAN);
    assert_request(WIRE_START, PASS_SCAN);
    run_for(1200);
    assert_resumed(&reader, -EIO);
}

/* A limit that poll(2) cannot wait for is one all the same. */
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

/* A job that tells that it goes on, again and again, does not go on for ever. */
static void test_lasts(void **state)
{
    const struct sandbox_state limited = {.failed = SANDBOX_LAYERS, .cpu_seconds = 2};
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    job = assert_request(WIRE_START, PASS_SCAN);
    out = start_true_job(job);
    say_frame(out, WIRE_SANDBOX, 0, 0, &limited, sizeof limited);
    settle();
    jobs.all->started -= INT64_C(1000) * 2 * JOBS_LASTING - 500;
    say_frame(out, WIRE_ALIVE, 0, 0, NULL, 0);
    run_for(100);
    assert_waits(&reader);
    say_frame(out, WIRE_ALIVE, 0, 0, NULL, 0);
    run_for(600);
    assert_resumed(&reader, -EIO);
    assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
    assert_problems("the scan job lasted 16 times its cpu-limit, and was given up\n");
    close(out);
}

/* Waits for a file in a job that tells two, and how many are numbered, and ends. */
static void assert_untold(const char *path, uint32_t number, int error)
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
    say_file(out, "virtual_size", "1\n");
    say_bytes(out, &count, sizeof count);
    say_file(out, "references/#/kind", "backing\n");
    say_end(out);
    settle();
    assert_resumed(&reader, error);
    if (error)
        assert_int_equal(assert_request(WIRE_KILL, PASS_HEADER), job);
    answer(WIRE_ENDED, job, 0, -1);
    close(out);
}

/* A job that says that it has told all, but not what somebody waits for. */
static void test_untold(void **state)
{
    static const char words[] = "the header job ended without the result that it was started for\n";

    (void)state;
    assert_untold("virtual_size", 0, 0);
    assert_untold("references/#/kind", 0, 0);
    assert_untold("references/#/kind", 1, 0); /* is none any more */
    assert_problems("");
    assert_untold("format", 0, -EIO);
    assert_problems(words);
    assert_untold("references/#/path", 0, -EIO);
    assert_true(!views_get(&views, 0)->failures[PASS_HEADER][0].given_up);
    assert_untold("format", 0, -EIO);
    assert_true(views_get(&views, 0)->failures[PASS_HEADER][0].given_up);
}

/* Lines of 32 bytes, of which no other call has one. */
static void fill_with_lines(char *lines, size_t size, unsigned call)
{
    for (size_t at = 0; at + 32 <= size; at += 32) {
        char line[33];

        snprintf(line, sizeof line, "call %10u at %12u\n", call, (unsigned)at);
        memcpy(lines + at, line, 32);
    }
}

/* However much jobs have said is wrong, that they fail is told. */
static void test_failures_after_much(void **state)
{
    static char lines[IMAGE_PROBLEMS_MAX];
    char words[] = "the scan job was killed by signal 9\n";
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
        say_frame(out, WIRE_PROBLEMS, 0, 0, lines, sizeof lines);
        say_end(out);
        settle();
        assert_resumed(&reader, 0);
        assert_true(problems->length >= before && problems->length <= PROBLEMS_REPORTED_MAX);
        before = problems->length;
        answer(WIRE_ENDED, job, 0, -1);
        close(out);
    }
    assert_true(before > PROBLEMS_REPORTED_MAX - 2 * sizeof lines);
    lose_a_job(PASS_SCAN);
    assert_int_equal(problems->length, before + strlen(words));
    assert_string_equal(problems->bytes + before, words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_end_then_pipe),
        TEST(test_names),
        TEST(test_pipe_then_end),
        TEST(test_end_after_last_frame),
        TEST(test_cut_off),
        cmocka_unit_test(test_nonsense),
        TEST(test_odd),
        TEST(test_too_much),
        TEST(test_entries_out_of_order),
        TEST(test_room_of_headers),
        TEST(test_room_of_numbers),
        TEST(test_count_of_others),
        TEST(test_not_started),
        TEST(test_started_twice),
        TEST(test_far_stall),
        TEST(test_lasts),
        TEST(test_untold),
        TEST(test_failures_after_much),
        TEST(test_unknown_job),
        TEST(test_monitor_gone),
        TEST(test_monitor_gone_before),
        TEST(test_monitor_gone_after),
        TEST(test_monitor_talks_nonsense),
        TEST(test_given_up),
        TEST(test_old_failures),
        TEST(test_not_started_counts_not),
        TEST(test_given_up_while_waiting),
        TEST(test_ends),
        TEST(test_cpu_limit),
        TEST(test_no_sandbox),
        TEST(test_sandbox_first),
        TEST(test_end_is_the_end),
        TEST(test_failures_at_once),
        TEST(test_stopped_itself),
        TEST(test_stalls),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
