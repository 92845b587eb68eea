// SPDX-License-Identifier: Apache-2.0
/* The list of jobs: slots, processes, limits of bytes, and waiters that are to be resumed. */
#include "fs/jobs/list.h"

#include "fs/tree/clock.h"
#include "tests/support/jobs-monitor.h"

static struct job *new_job(uint32_t view, enum pass_id pass)
{
    struct job *job = job_new(&jobs, &views, &(struct task){.view = view, .pass = pass});

    assert_non_null(job);
    return job;
}

static void test_find(void **state)
{
    static const struct views other_image;
    struct job *header = new_job(0, PASS_HEADER), *scan = new_job(0, PASS_SCAN);

    (void)state;
    assert_int_equal(jobs.count, 2);
    assert_ptr_equal(jobs.all, header);
    assert_ptr_equal(job_find(&jobs, &views, &header->task), header);
    assert_ptr_equal(job_find(&jobs, &views, &scan->task), scan);
    assert_null(job_find(&jobs, &other_image, &scan->task));
    assert_null(job_find(&jobs, &views, &(struct task){.view = 1, .pass = PASS_SCAN}));
    assert_null(job_find(&jobs, &views, &(struct task){.pass = PASS_SCAN, .set = 1}));
    jobs.count = JOBS_MAX;
    assert_null(job_new(&jobs, &views, &(struct task){.pass = PASS_MEASURE}));
    jobs.count = 2;
}

/* A slot is taken while a job runs; the process is counted until it has ended. */
static void test_begin_and_reap(void **state)
{
    struct job *scan = new_job(0, PASS_SCAN), *header = new_job(0, PASS_HEADER);
    struct view *view = scan->view;
    uint32_t id;

    (void)state;
    assert_true(job_begin(&jobs, scan) && job_begin(&jobs, header));
    assert_int_not_equal(scan->id, header->id);
    assert_int_equal(scan->state, JOB_RUNNING);
    assert_int_equal(jobs.slots, 1);
    assert_int_equal(jobs.quick, 1);
    assert_int_equal(view->slots, 1);
    assert_int_equal(view->running, 2);
    assert_int_equal(view->processes, 2);
    id = scan->id;
    job_reset(&jobs, scan);
    assert_int_equal(scan->state, JOB_QUEUED);
    assert_int_equal(scan->id, 0);
    assert_int_equal(jobs.slots, 0);
    assert_int_equal(view->slots, 0);
    assert_int_equal(view->running, 1);
    assert_int_equal(view->processes, 2);
    jobs_reap(&jobs, id);
    jobs_reap(&jobs, id);
    assert_int_equal(view->processes, 1);
}

/* The limits of jobs that take a slot, of those of a view among layers, and of the others. */
static void test_limits(void **state)
{
    struct job *scan = new_job(0, PASS_SCAN), *header = new_job(0, PASS_HEADER);

    (void)state;
    jobs.slots = JOBS_SLOTS_MAX;
    assert_true(job_must_wait(&jobs, scan));
    assert_false(job_must_wait(&jobs, header));
    jobs.slots = 0;
    jobs.quick = JOBS_QUICK_MAX;
    assert_false(job_must_wait(&jobs, scan));
    assert_true(job_must_wait(&jobs, header));
    jobs.quick = 0;
    scan->view->slots = JOBS_VIEW_SLOTS_MAX;
    assert_true(job_must_wait(&jobs, scan));
    views.sharers = 2; /* an image without layers */
    assert_false(job_must_wait(&jobs, scan));
    scan->view->slots = 0;
}

static void test_held_up(void **state)
{
    struct job *scan = new_job(0, PASS_SCAN), *other = new_job(1, PASS_SCAN);

    (void)state;
    scan->view->processes = JOBS_LINGERING_MAX - 1;
    assert_false(job_is_held_up(&jobs, scan));
    scan->view->processes++;
    assert_true(job_is_held_up(&jobs, scan) && job_must_wait(&jobs, scan));
    assert_false(job_is_held_up(&jobs, other));
    scan->view->running = 1;
    assert_false(job_is_held_up(&jobs, scan));
    scan->view->running = scan->view->processes = 0;
}

/* Bytes of other jobs lower the limit of a job; numbers have a limit of their own. */
static void test_bytes_limit(void **state)
{
    struct job *header = new_job(0, PASS_HEADER), *layer = new_job(1, PASS_HEADER),
               *content = new_job(0, PASS_CONTENT), *scan = new_job(0, PASS_SCAN);
    const size_t share = KEPT_HEADERS_BYTES / 4 / VIEWS;

    (void)state;
    assert_int_equal(job_bytes_limit(&jobs, scan), KEPT_NUMBERS_BYTES);
    assert_int_equal(job_bytes_limit(&jobs, header), KEPT_HEADERS_BYTES);
    header->bytes = 1000;
    assert_int_equal(job_bytes_limit(&jobs, header), KEPT_HEADERS_BYTES);
    layer->bytes = 500;
    assert_int_equal(job_bytes_limit(&jobs, header), KEPT_HEADERS_BYTES - 500);
    layer->bytes = KEPT_HEADERS_BYTES;
    assert_int_equal(job_bytes_limit(&jobs, header), share);
    content->bytes = 300;
    assert_int_equal(job_bytes_limit(&jobs, header), share - 300);
    content->bytes = share + 1;
    assert_int_equal(job_bytes_limit(&jobs, header), 0);
}

static void test_overdue(void **state)
{
    struct job *scan = new_job(0, PASS_SCAN);

    (void)state;
    scan->sandbox.cpu_seconds = 2;
    assert_int_equal(job_overdue_at(scan), INT64_MAX); /* it does not run */
    assert_true(job_begin(&jobs, scan));
    assert_int_equal(job_overdue_at(scan), scan->started + INT64_C(2000) * JOBS_LASTING);
    scan->sandbox.cpu_seconds = 0;
    assert_int_equal(job_overdue_at(scan), INT64_MAX);
}

/* A waiter of the scan pass that is resumed by hand. */
static void queue_waiter(struct reader *reader, struct job *job)
{
    *reader = (struct reader){
        .waiter = {
            .next = job->waiters, .task = job->task, .views = &views, .resume = resume_reader}};
    job->waiters = &reader->waiter;
}

/* Waiters of a finished job, and dismissed ones, are resumed once, unless they are recalled. */
static void test_resume(void **state)
{
    static struct reader first, second, dismissed, recalled;
    struct job *job = new_job(0, PASS_SCAN);

    (void)state;
    queue_waiter(&first, job);
    queue_waiter(&second, job);
    job_finish(&jobs, job, -EIO);
    assert_int_equal(jobs.count, 0);
    assert_null(jobs.all);
    recalled = dismissed = first;
    jobs_dismiss(&jobs, &dismissed.waiter, -EINTR);
    jobs_dismiss(&jobs, &recalled.waiter, -EINTR);
    assert_waits(&first);
    assert_true(jobs_recall(&jobs, &second.waiter));
    assert_false(jobs_recall(&jobs, &second.waiter));
    assert_true(jobs_recall(&jobs, &recalled.waiter));
    assert_resumed(&first, -EIO);
    assert_resumed(&dismissed, -EINTR);
    assert_waits(&second);
    assert_waits(&recalled);
    assert_null(jobs.finished);
    assert_false(jobs_recall(&jobs, &first.waiter));
}

/* The waiters of a job that was torn by changes get its results; then these are forgotten. */
static void test_torn(void **state)
{
    const struct place place = {.node = node_by_path("allocated_size")};
    struct job *job = new_job(0, PASS_SCAN);

    (void)state;
    assert_int_equal(results_put(&job->view->results, &place, result_new(0, "1\n", 2, 1)), 0);
    job->is_torn = true;
    job_finish(&jobs, job, 0);
    assert_known("allocated_size", "1\n");
    jobs_resume(&jobs);
    assert_null(known("allocated_size"));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_jobs, end_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find),        TEST(test_begin_and_reap),
        TEST(test_limits),      TEST(test_held_up),
        TEST(test_bytes_limit), TEST(test_overdue),
        TEST(test_resume),      TEST(test_torn),
        TEST(test_slots),       TEST(test_left_while_queued),
        TEST(test_view_slots),  TEST(test_lingering),
        TEST(test_room_again),  TEST(test_crowded),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
