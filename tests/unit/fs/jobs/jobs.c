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

/* A waiter for the measure pass joins a running scan, which yields its files too; not the reverse.
 */
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

/* The place of a file with options. */
static struct place place_of(const char *path)
{
    struct place place;
    struct reason why;

    assert_int_equal(option_sets_path(&sets, path, &place, &why), 0);
    return place;
}

static void wait_for_place(struct reader *reader, const struct place *place)
{
    *reader = (struct reader){
        .waiter = {.task = place_task(place), .views = &views, .resume = resume_reader}};
    jobs_wait(&jobs, &reader->waiter);
}

/* Waits for a file with options of its own for each number. */
static void wait_for_set(struct reader *reader, unsigned number)
{
    struct place place;
    char path[64];

    snprintf(path, sizeof path, "measure/vhdx,log_size=%uM", number + 2);
    place = place_of(path);
    wait_for_place(reader, &place);
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

/* Scans take slots, and wait for a free one; header jobs do not. */
static void test_slots(void **state)
{
    enum { WALKS = JOBS_SLOTS_MAX + 3 };
    static struct reader readers[WALKS], header, luks;
    struct place place;
    uint32_t ids[WALKS];
    int out;

    (void)state;
    views.sharers = 2; /* an image without layers */
    for (unsigned i = 0; i < WALKS; i++)
        wait_for_set(&readers[i], i);
    for (unsigned i = 0; i < JOBS_SLOTS_MAX; i++)
        ids[i] = assert_request(WIRE_START, PASS_MEASURE);
    assert_no_request();
    place = place_of("measure/luks,key-secret=x,cipher-alg=aes-128");
    wait_for_place(&luks, &place);
    assert_no_request();
    wait_for(&header, PASS_HEADER);
    assert_request(WIRE_START, PASS_HEADER);
    /* One is done, one fails, one is abandoned: the next three start, in their order. */
    out = start_job(ids[0]);
    send_end(out);
    settle();
    close(out);
    assert_resumed(&readers[0], 0);
    assert_request(WIRE_START, PASS_MEASURE);
    assert_no_request();
    answer(WIRE_STARTED, ids[1], -EAGAIN, -1);
    settle();
    assert_resumed(&readers[1], -EIO);
    assert_request(WIRE_START, PASS_MEASURE);
    jobs_leave(&jobs, &readers[2].waiter);
    run_for(JOBS_LINGER_MS + 50);
    assert_int_equal(assert_request(WIRE_KILL, PASS_MEASURE), ids[2]);
    assert_request(WIRE_START, PASS_MEASURE);
    assert_no_request();
    for (unsigned i = 3; i < WALKS; i++)
        assert_waits(&readers[i]);
    assert_waits(&luks);
}

/* A queued job whose readers have left is neither started nor killed. */
static void test_left_while_queued(void **state)
{
    static struct reader readers[JOBS_SLOTS_MAX + 1];

    (void)state;
    views.sharers = 2;
    for (unsigned i = 0; i <= JOBS_SLOTS_MAX; i++)
        wait_for_set(&readers[i], i);
    for (unsigned i = 0; i < JOBS_SLOTS_MAX; i++)
        assert_request(WIRE_START, PASS_MEASURE);
    jobs_leave(&jobs, &readers[JOBS_SLOTS_MAX].waiter);
    run_for(JOBS_LINGER_MS + 50);
    assert_no_request();
}

static int timeout_now(void)
{
    struct pollfd fds[JOBS_POLLFDS];
    nfds_t count;

    return jobs_poll(&jobs, fds, &count);
}

/* One of several layers cannot take all slots. */
static void test_view_slots(void **state)
{
    static struct reader readers[JOBS_VIEW_SLOTS_MAX + 1];
    static struct reader other = {
        .waiter = {.task = {1, PASS_SCAN, 0}, .views = &views, .resume = resume_reader}};
    uint32_t first = 0, job;

    (void)state;
    for (unsigned i = 0; i <= JOBS_VIEW_SLOTS_MAX; i++)
        wait_for_set(&readers[i], i);
    for (unsigned i = 0; i < JOBS_VIEW_SLOTS_MAX; i++) {
        job = assert_request(WIRE_START, PASS_MEASURE);
        first = first ? first : job;
    }
    assert_no_request();
    jobs_wait(&jobs, &other.waiter);
    assert_request(WIRE_START, PASS_SCAN);
    assert_no_request();
    answer(WIRE_STARTED, first, -EAGAIN, -1);
    settle();
    assert_request(WIRE_START, PASS_MEASURE);
}

/* Killed processes that have not ended hold up jobs of their view, and of no other. */
static void test_lingering(void **state)
{
    static struct reader reader,
        other = {.waiter = {.task = {1, PASS_SCAN, 0}, .views = &views, .resume = resume_reader}};
    uint32_t first = 0;

    (void)state;
    for (unsigned i = 0; i < JOBS_LINGERING_MAX; i++) {
        uint32_t job;

        wait_for(&reader, PASS_SCAN);
        job = assert_request(WIRE_START, PASS_SCAN);
        jobs_leave(&jobs, &reader.waiter);
        jobs.all->left_at -= JOBS_LINGER_MS;
        settle();
        assert_int_equal(assert_request(WIRE_KILL, PASS_SCAN), job);
        first = first ? first : job;
    }
    wait_for(&reader, PASS_SCAN);
    settle();
    assert_no_request();
    jobs_wait(&jobs, &other.waiter);
    assert_request(WIRE_START, PASS_SCAN);
    /* It is held up no longer than a job may be silent. */
    jobs.config.stall_ms = 1000;
    assert_true(timeout_now() > 0 && timeout_now() <= 1000);
    job_find(&jobs, &views, &reader.waiter.task)->received_at -= 1000;
    settle();
    assert_resumed(&reader, -EIO);
    assert_problems(
        "the scan job could not be started: processes that were killed before have not ended\n");
    wait_for(&reader, PASS_SCAN);
    /* While a job's opener hangs, the job is not gone. */
    assert_int_equal(wire_send(monitor, &(struct wire_answer){WIRE_ENDED, first, SIGKILL, 0, 0},
                               sizeof(struct wire_answer), -1),
                     0);
    settle();
    assert_no_request();
    assert_int_equal(wire_send(monitor, &(struct wire_answer){WIRE_GONE, first, 0, 1, 0},
                               sizeof(struct wire_answer), -1),
                     0);
    settle();
    assert_request(WIRE_START, PASS_SCAN);
    assert_waits(&reader);
}

/* Waits for a job while the monitor's socket is too full for another request. */
static void wait_when_crowded(struct reader *reader)
{
    while (wire_has_room(jobs.monitor))
        jobs_recheck(&jobs);
    wait_for(reader, PASS_HEADER);
    assert_int_equal(jobs.all->id, 0);
}

/* The monitor reads: the job is started without another event. */
static void test_room_again(void **state)
{
    struct wire_request request;
    static struct reader reader;
    int fd;

    (void)state;
    wait_when_crowded(&reader);
    while (wire_receive(monitor, &request, sizeof request, &fd) == 1)
        assert_int_equal(request.kind, WIRE_RECHECK);
    assert_int_equal(timeout_now(), 0);
    settle();
    assert_request(WIRE_START, PASS_HEADER);
}

/* No job is started while the monitor's socket is too full. */
static void test_crowded(void **state)
{
    struct wire_request request;
    static struct reader reader;
    int fd;

    (void)state;
    wait_when_crowded(&reader);
    settle();
    assert_int_equal(jobs.all->id, 0);
    do
        assert_int_equal(wire_receive(monitor, &request, sizeof request, &fd), 1);
    while (!wire_has_room(jobs.monitor));
    settle();
    assert_waits(&reader);
    while (request.kind == WIRE_RECHECK)
        assert_int_equal(wire_receive(monitor, &request, sizeof request, &fd), 1);
    assert_int_equal(request.kind, WIRE_START);
    assert_no_request();
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

/* A job is killed before the monitor has reported it started: later messages about it are dropped.
 */
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
static void test_glance(void **state)
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
        cmocka_unit_test_setup_teardown(test_slots, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_lingering, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_view_slots, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_room_again, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_crowded, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_left_while_queued, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_left, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_came_back, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_ended_while_left, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_left_before_start, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_patience, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_glance, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_forget, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_wait_in_resume, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_twice, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_real_job, begin_jobs, end_jobs),
        cmocka_unit_test(test_end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
