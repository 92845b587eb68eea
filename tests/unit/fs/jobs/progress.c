// SPDX-License-Identifier: Apache-2.0
/* The lines of status/progress, status/jobs and status/passes. */
#include "fs/jobs/progress.h"

#include "tests/support/jobs-monitor.h"

static struct text text;

static void assert_progress(const char *expected)
{
    text_free(&text);
    progress_add(&text, &jobs);
    text_add(&text, "%c", '\0');
    assert_string_equal(text.bytes, expected);
    text_free(&text);
}

static void send_progress(int out, uint64_t done, uint64_t total)
{
    const struct wire_progress progress = {done, total};

    send_frame(out, WIRE_PROGRESS, 0, 0, &progress, sizeof progress);
    settle();
}

static void test_lines(void **state)
{
    static struct reader header, scan, layer;
    uint32_t job;
    int out;

    (void)state;
    assert_progress("");
    wait_for(&header, PASS_HEADER);
    start_requested(PASS_HEADER, &job);
    assert_progress("- - - - header\n");
    wait_for(&scan, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_progress(out, 0, 1000);
    assert_progress("- - - - header\n0 1000 0 - scan\n");
    jobs.all->next->started -= 3000;
    send_progress(out, 750, 1000);
    assert_progress("- - - - header\n750 1000 75 1 scan\n");
    layer.waiter = (struct waiter){.task = {view_named(VIEW_LAYER, 1), PASS_CONTENT, 0},
                                   .views = &views,
                                   .resume = resume_reader};
    jobs_wait(&jobs, &layer.waiter);
    assert_progress("- - - - header\n750 1000 75 1 scan\n- - - - layers/1/content\n");
    send_end(out);
    settle();
    close(out);
    assert_progress("- - - - header\n- - - - layers/1/content\n");
}

static void assert_text(const char *expected)
{
    text_add(&text, "%c", '\0');
    assert_string_equal(text.bytes, expected);
    text_free(&text);
}

static void test_waiting(void **state)
{
    static struct reader first, second, scan;
    uint32_t job;

    (void)state;
    progress_add_waiting(&text, &jobs);
    assert_text("");
    wait_for(&first, PASS_HEADER);
    start_requested(PASS_HEADER, &job);
    jobs.all->started -= 2000;
    second.waiter = (struct waiter){
        .task = {0, PASS_HEADER, 0}, .pid = 77, .views = &views, .resume = resume_reader};
    jobs_wait(&jobs, &second.waiter);
    wait_for(&scan, PASS_SCAN);
    jobs_leave(&jobs, &scan.waiter);
    progress_add_waiting(&text, &jobs);
    assert_text("running 2 77,? header\nrunning 0 - scan\n");
}

static void test_done(void **state)
{
    const struct wire_cost cost = {100, 3};
    static struct reader reader;
    uint32_t job;

    (void)state;
    progress_add_done(&text, &jobs, &views);
    assert_text("");
    for (unsigned i = 0; i < 2; i++) {
        int out;

        wait_for(&reader, PASS_SCAN);
        out = start_requested(PASS_SCAN, &job);
        jobs.all->started -= 2000;
        send_frame(out, WIRE_COST, 0, 0, &cost, sizeof cost);
        send_end(out);
        settle();
        close(out);
    }
    views_get(&views, 0)->costs[PASS_SCAN].ms = 4001;
    progress_add_done(&text, &jobs, &views);
    assert_text("2 200 6 4.001 scan\n");
}

/* A job with options is shown by the name that was looked up, escaped. */
static void test_options(void **state)
{
    static struct reader reader;
    struct place place;
    struct reason why;

    (void)state;
    assert_int_equal(
        option_sets_path(&sets, "measure/qcow2,cluster_size=4k,backing_fmt=\n.json", &place, &why),
        0);
    reader.waiter =
        (struct waiter){.task = place_task(&place), .views = &views, .resume = resume_reader};
    jobs_wait(&jobs, &reader.waiter);
    assert_progress("- - - - measure/qcow2,cluster_size=4k,backing_fmt=\\x0a.json\n");
}

/* Progress beyond the total, and a frame of the wrong length, fail the job. */
static void test_invalid(void **state)
{
    static struct reader reader;
    uint32_t job;
    int out;

    (void)state;
    wait_for(&reader, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_progress(out, 1001, 1000);
    assert_resumed(&reader, -EIO);
    close(out);
    wait_for(&reader, PASS_SCAN);
    assert_request(WIRE_KILL, PASS_SCAN);
    out = start_requested(PASS_SCAN, &job);
    send_frame(out, WIRE_PROGRESS, 0, 0, "short", 5);
    settle();
    assert_resumed(&reader, -EIO);
    close(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_waiting, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_done, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_options, begin_jobs, end_jobs),
        cmocka_unit_test_setup_teardown(test_invalid, begin_jobs, end_jobs),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
