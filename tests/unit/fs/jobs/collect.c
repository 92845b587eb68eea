// SPDX-License-Identifier: Apache-2.0
/* References that a job reports: bytes unchanged; and jobs that die or send invalid frames. */
#include "fs/jobs/collect.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "fs/jobs/wire.h"
#include "tests/support/policy-files.h"
#include "tests/support/qcow2-image.h"

static struct sandbox_filter filters[SANDBOX_KINDS];
static const struct sandbox_options sandbox = {.filters = filters};
static struct layers layers;
static struct reference_list references;
static struct collected collected;
static struct sample s = {.fd = -1};

static int begin(void **state)
{
    (void)state;
    nodes_begin();
    sandbox_filter_make(&filters[SANDBOX_JOB], SANDBOX_JOB);
    make_top();
    return 0;
}

static int end(void **state)
{
    (void)state;
    remove_top();
    return 0;
}

static void forget(void)
{
    reference_list_end(&references);
    collected_end(&collected);
    layers_end(&layers);
}

/* Runs a real job. */
static void collect(const char *image)
{
    const struct open_options options = {.format = NULL};

    forget();
    assert_int_equal(layers_begin(&layers, in_top(image), false), 0);
    assert_int_equal(collect_references(&layers, 0, &options, &sandbox, &references, &collected),
                     1);
}

/* The job's process has been reaped. */
static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void make_overlay(const char *name, const char *backing, size_t length)
{
    char bytes[4096];
    int fd = open(in_top(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    make_qcow2(&s, MIB, 16);
    put_be(&s, Q_BACKING_OFFSET, 8, 512);
    put_be(&s, Q_BACKING_SIZE, 4, length);
    put(&s, 512, backing, length);
    for (off_t at = 0; at < 5 * 65536; at += (off_t)sizeof bytes) {
        assert_int_equal(pread(s.fd, bytes, sizeof bytes, at), sizeof bytes);
        assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    }
    close(fd);
    sample_end(&s);
}

static void test_round_trip(void **state)
{
    static const char *const names[] = {"base.img", "json:{\"driver\":\"raw\"}",
                                        "\x1b[2J\n\xff\xfe", "/etc/passwd", " "};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        make_overlay("overlay", names[i], strlen(names[i]));
        collect("overlay");
        assert_int_equal(references.count, 1);
        assert_int_equal(references.items[0].role, REFERENCE_BACKING);
        assert_string_equal(references.items[0].kind, "backing file");
        assert_string_equal(references.items[0].source, "backing_file_offset");
        assert_null(references.items[0].format);
        assert_false(references.items[0].is_windows);
        assert_int_equal(references.items[0].length, strlen(names[i]));
        assert_memory_equal(references.items[0].path, names[i], strlen(names[i]));
        assert_true(collected.cost.bytes >= 104);
        assert_non_null(
            results_get(&collected.results, &(struct place){.node = node_by_path("format")}));
        assert_no_children();
    }
    make_overlay("overlay", "a\0b", 3);
    collect("overlay");
    assert_int_equal(references.count, 1);
    assert_memory_equal(references.items[0].path, "a\0b", 3);
}

static void test_no_references(void **state)
{
    (void)state;
    make_file("raw", "raw");
    collect("raw");
    assert_int_equal(references.count, 0);
    assert_true(collected.cost.bytes > 0);
    make_overlay("bad", "x", 1);
    assert_int_equal(truncate(in_top("bad"), 60), 0);
    collect("bad");
    assert_int_equal(references.count, 0);
    assert_true(collected.problems.length > 0);
    assert_no_children();
}

/* Without struct collected only the references are returned. */
static void test_references_alone(void **state)
{
    const struct open_options options = {.format = NULL};

    (void)state;
    make_overlay("overlay", "base", 4);
    forget();
    assert_int_equal(layers_begin(&layers, in_top("overlay"), false), 0);
    assert_int_equal(collect_references(&layers, 0, &options, &sandbox, &references, NULL), 1);
    assert_int_equal(references.count, 1);
}

/* A job that dies before its last frame yields no references and no error. */
static void test_job_dies(void **state)
{
    const struct open_options options = {.format = NULL};
    unsigned before;
    pid_t pid;
    int status;

    (void)state;
    forget();
    before = open_descriptors();
    make_overlay("overlay", "base", 4);
    pid = fork();
    if (pid == 0) {
        /* The job has no descriptor of the image. */
        if (layers_begin(&layers, in_top("overlay"), false))
            _exit(2);
        close(layers.items[0].fd);
        layers.items[0].fd = -1;
        status = collect_references(&layers, 0, &options, &sandbox, &references, NULL);
        _exit(status || references.count ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    forget();
    assert_int_equal(open_descriptors(), before);
}

/* No descriptors are left for the job's pipe. */
static void test_no_job(void **state)
{
    const struct open_options options = {.format = NULL};
    const struct rlimit none = {0, 0};
    struct rlimit usual;
    int error;

    (void)state;
    forget();
    make_overlay("overlay", "base", 4);
    assert_int_equal(layers_begin(&layers, in_top("overlay"), false), 0);
    getrlimit(RLIMIT_NOFILE, &usual);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){none.rlim_cur, usual.rlim_max});
    error = collect_references(&layers, 0, &options, &sandbox, &references, NULL);
    setrlimit(RLIMIT_NOFILE, &usual);
    assert_int_equal(error, -EMFILE);
}

static int ends[2]; /* of a job's pipe */

static void send_bytes(const void *bytes, size_t length)
{
    assert_int_equal(write(ends[1], bytes, length), length);
}

static void send_frame(struct wire_frame frame, const void *bytes)
{
    send_bytes(&frame, sizeof frame);
    send_bytes(bytes, frame.length);
}

/* Begins a pipe with a sandbox frame. */
static void begin_frames(void)
{
    const struct sandbox_state held = {.failed = SANDBOX_LAYERS};

    forget();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
    send_frame((struct wire_frame){.kind = WIRE_SANDBOX, .length = sizeof held}, &held);
}

/* Closes the write end, and collects the frames. Returns what collect_frames() does. */
static int end_frames(void)
{
    int taken;

    close(ends[1]);
    taken = collect_frames(ends[0], &references, &collected);
    close(ends[0]);
    return taken;
}

static void send_reference(struct wire_reference head, const char *words, size_t length)
{
    char bytes[256];

    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, words, length);
    send_frame(
        (struct wire_frame){.kind = WIRE_REFERENCE, .length = (uint32_t)(sizeof head + length)},
        bytes);
}

static void send_end(void)
{
    send_frame((struct wire_frame){.kind = WIRE_END}, NULL);
}

static void test_good_frames(void **state)
{
    (void)state;
    begin_frames();
    send_reference((struct wire_reference){1, 1, 1, 2, 3, 4}, "kssfffpath", 10);
    send_reference((struct wire_reference){2, 0, 0, 0, UINT32_MAX, 0}, "", 0);
    send_end();
    assert_int_equal(end_frames(), 1);
    assert_int_equal(references.count, 2);
    assert_string_equal(references.items[0].kind, "k");
    assert_string_equal(references.items[0].source, "ss");
    assert_string_equal(references.items[0].format, "fff");
    assert_string_equal(references.items[0].path, "path");
    assert_true(references.items[0].is_windows);
    assert_null(references.items[1].format);
    assert_int_equal(references.items[1].role, REFERENCE_OTHER);
}

static void test_cut_off(void **state)
{
    struct wire_frame frame = {.kind = WIRE_PROBLEMS, .length = 100};

    (void)state;
    begin_frames();
    assert_int_equal(end_frames(), 0);
    begin_frames();
    send_reference((struct wire_reference){0, 0, 1, 1, 1, 1}, "ksfp", 4);
    assert_int_equal(end_frames(), 0);
    begin_frames();
    send_bytes(&frame, sizeof frame);
    send_bytes("abc", 3);
    assert_int_equal(end_frames(), 0);
    /* Frames after WIRE_END are ignored. */
    begin_frames();
    send_end();
    send_reference((struct wire_reference){0, 0, 1, 1, 1, 1}, "ksfp", 4);
    assert_int_equal(end_frames(), 1);
    assert_int_equal(references.count, 0);
}

static void test_bad_references(void **state)
{
    static const struct wire_reference heads[] = {
        {3, 0, 1, 1, 1, 1},                   /* no such role */
        {UINT32_MAX, 0, 1, 1, 1, 1},          /* the same */
        {0, 0, 5, 0, UINT32_MAX, 0},          /* strings longer than the frame */
        {0, 0, 1, 1, 1, 2},                   /* the same, in the path */
        {0, 0, 1, 1, 3, 0},                   /* the same, in the format */
        {0, 0, 1, 1, UINT32_MAX - 1, 1},      /* the same */
        {0, 0, UINT32_MAX, UINT32_MAX, 1, 1}, /* the same */
        {0, 0, 1, 1, UINT32_MAX, 1},          /* strings shorter than the frame */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(heads); i++) {
        begin_frames();
        send_reference(heads[i], "ksfp", 4);
        send_end();
        assert_int_equal(end_frames(), -EPROTO);
        assert_int_equal(references.count, 0);
    }
    begin_frames();
    send_frame((struct wire_frame){.kind = WIRE_REFERENCE, .length = 3}, "abc");
    send_end();
    assert_int_equal(end_frames(), -EPROTO);
}

static void test_bad_results(void **state)
{
    const uint32_t format = (uint32_t)node_index(node_by_path("format"));
    const uint32_t list = (uint32_t)node_index(node_by_path("references"));
    const uint32_t kind = (uint32_t)node_index(node_by_path("references/#/kind"));
    const struct wire_frame frames[] = {
        {.kind = WIRE_FILE, .node = (uint32_t)nodes_count()},
        {.kind = WIRE_FILE, .node = UINT32_MAX},
        {.kind = WIRE_FILE, .node = format, .number = 1},
        {.kind = WIRE_FILE, .node = format, .error = EIO},
        {.kind = WIRE_FILE, .node = 0},
        {.kind = WIRE_FILE, .node = list},
        {.kind = WIRE_FILE, .node = kind, .number = NUMBERS_MAX},
        {.kind = WIRE_FILE, .node = kind, .number = UINT32_MAX},
        {.kind = WIRE_COUNT, .node = format, .number = 1},
        {.kind = WIRE_COUNT, .node = list, .number = UINT32_MAX},
        {.kind = WIRE_COUNT, .node = UINT32_MAX, .number = 1},
        {.kind = WIRE_FILE, .length = UINT32_MAX},
        {.kind = WIRE_COST},
        {.kind = WIRE_SANDBOX},
        {.kind = 99},
        /* Not a file of its pass. */
        {.kind = WIRE_FILE, .node = (uint32_t)node_index(node_by_path("allocated_size"))},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(frames); i++) {
        begin_frames();
        send_bytes(&frames[i], sizeof frames[i]);
        send_end();
        if (end_frames() != -EPROTO)
            fail_msg("frame %zu was taken", i);
    }
}

/* Control characters in problems are escaped. */
static void test_control_characters(void **state)
{
    (void)state;
    begin_frames();
    send_frame((struct wire_frame){.kind = WIRE_PROBLEMS, .length = 7}, "a\x1b[2Jb\n");
    send_end();
    assert_int_equal(end_frames(), 1);
    assert_null(memchr(collected.problems.bytes, '\x1b', collected.problems.length));
    forget();
}

/* References exceed REFERENCES_BYTES_MAX. */
static void test_too_many(void **state)
{
    struct wire_reference head = {1, 0, 1, 1, UINT32_MAX, 1 << 19};
    struct wire_frame frame = {.kind = WIRE_REFERENCE,
                               .length = (uint32_t)sizeof head + 2 + (1 << 19)};
    int taken, status;
    pid_t pid;

    (void)state;
    begin_frames();
    pid = fork();
    if (pid == 0) {
        char *words = calloc(1, 2 + (1 << 19));

        close(ends[0]);
        signal(SIGPIPE, SIG_DFL);
        for (;;) {
            wire_write(ends[1], &frame, sizeof frame);
            wire_write(ends[1], &head, sizeof head);
            wire_write(ends[1], words, 2 + (1 << 19));
        }
    }
    taken = end_frames();
    assert_int_equal(taken, -EFBIG);
    assert_true(references.bytes <= REFERENCES_BYTES_MAX);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGPIPE);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_no_references),
        cmocka_unit_test(test_references_alone), cmocka_unit_test(test_job_dies),
        cmocka_unit_test(test_no_job),           cmocka_unit_test(test_good_frames),
        cmocka_unit_test(test_cut_off),          cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_bad_results),      cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
