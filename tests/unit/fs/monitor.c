// SPDX-License-Identifier: Apache-2.0
/* Requests to the monitor from a hostile front: jobs are started only for existing passes, views
 * and targets. */
#include "fs/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/jobs/wire.h"
#include "tests/support/support.h"

enum { LAYERS = 2 };

/* Runs in the front's process. Returns whether the monitor answered as expected. */
typedef bool (*hostile_front)(int socket);

static hostile_front hostile;

/* Replaces the program's (ld --wrap). */
int __wrap_front_run(struct front *front, int monitor, int ready);
int __wrap_fuse_session_fd(const struct fuse_session *session);

int __wrap_front_run(struct front *front, int monitor, int ready)
{
    (void)front;
    (void)ready;
    return hostile(monitor) ? 0 : 1;
}

/* There is no session. */
int __wrap_fuse_session_fd(const struct fuse_session *session)
{
    (void)session;
    return -1;
}

static struct wire_request request(uint32_t view, uint32_t pass, uint32_t set, uint32_t directory,
                                   uint32_t target)
{
    return (struct wire_request){.kind = WIRE_START,
                                 .view = view,
                                 .pass = pass,
                                 .set = set,
                                 .directory = directory,
                                 .target = target};
}

static bool can_start(struct wire_request r)
{
    static const struct layers layers = {.count = LAYERS};

    return monitor_can_start(&r, &layers);
}

static void test_passes(void **state)
{
    (void)state;
    for (uint32_t pass = 0; pass < 100; pass++)
        assert_int_equal(can_start(request(0, pass, 0, 0, 0)),
                         pass >= PASS_HEADER && pass < PASSES);
    assert_false(can_start(request(0, UINT32_MAX, 0, 0, 0)));
    assert_false(can_start(request(0, INT32_MAX, 0, 0, 0)));
}

static void test_views(void **state)
{
    (void)state;
    assert_true(can_start(request(0, PASS_SCAN, 0, 0, 0)));
    assert_false(can_start(request(1, PASS_SCAN, 0, 0, 0)));
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(can_start(request(view_named(VIEW_LAYER, i), PASS_SCAN, 0, 0, 0)),
                         i < LAYERS);
    for (uint32_t kind = VIEW_KINDS; kind < 256; kind++)
        assert_false(can_start(request(kind << 24, PASS_SCAN, 0, 0, 0)));
    assert_false(can_start(request(UINT32_MAX, PASS_SCAN, 0, 0, 0)));
}

/* An option set needs a directory that takes options, and a target. */
static void test_sets(void **state)
{
    const uint32_t measure = (uint32_t)node_index(node_by_path("measure"));
    const uint32_t format = (uint32_t)node_index(node_by_path("format"));
    const uint32_t rows = (uint32_t)nodes_count(), target_rows = (uint32_t)targets_count();

    (void)state;
    assert_true(can_start(request(0, PASS_SCAN, 1, measure, 0)));
    assert_true(can_start(request(0, PASS_SCAN, OPTION_SETS_MAX, measure, target_rows - 1)));
    assert_false(can_start(request(0, PASS_SCAN, OPTION_SETS_MAX + 1, measure, 0)));
    assert_false(can_start(request(0, PASS_SCAN, UINT32_MAX, measure, 0)));
    assert_false(can_start(request(0, PASS_SCAN, 1, measure, target_rows)));
    assert_false(can_start(request(0, PASS_SCAN, 1, measure, UINT32_MAX)));
    assert_false(can_start(request(0, PASS_SCAN, 1, format, 0)));
    assert_false(can_start(request(0, PASS_SCAN, 1, rows, 0)));
    assert_false(can_start(request(0, PASS_SCAN, 1, UINT32_MAX, 0)));
    /* Without a set, directory and target are ignored. */
    assert_true(can_start(request(0, PASS_SCAN, 0, UINT32_MAX, UINT32_MAX)));
}

/* Runs the monitor with that front, in a process of its own. */
static void assert_serves(hostile_front front_runs)
{
    static struct front front;
    struct options options = {.sandbox.mode = SANDBOX_OFF};
    struct mount mount = {.directory = "/nothing is mounted here"};
    char path[] = "/tmp/instar-monitor-XXXXXX";
    int status, file = mkstemp(path);
    pid_t pid;

    assert_true(file >= 0 && ftruncate(file, 1 << 20) == 0);
    close(file);
    hostile = front_runs;
    pid = fork();
    if (pid == 0) {
        alarm(60);
        monitor_block_signals();
        front = (struct front){.options = &options};
        if (layers_begin(&front.image.layers, path, false) < 0)
            _exit(2);
        _exit(monitor_run(&front, &mount, -1));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    unlink(path);
    assert_int_equal(status, 0);
}

/* Receives the next answer and its descriptor. Returns 1 or -errno (EPIPE: the monitor has closed
 * the socket; ETIME: no answer). */
static int next_answer(int socket, struct wire_answer *answer, int *fd)
{
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    int received = poll(&wait, 1, 10000) > 0 ? wire_receive(socket, answer, sizeof *answer, fd) : 0;

    return received ? received : -ETIME;
}

/* Sends the request, with a descriptor that the monitor does not expect, and reads all that the job
 * writes. Returns whether the answer has that status. */
static bool is_answered(int socket, struct wire_request r, int status)
{
    struct wire_answer a;
    char bytes[4096];
    ssize_t n = 0;
    bool runs;
    int fd;

    if (wire_send(socket, &r, sizeof r, socket) < 0 || next_answer(socket, &a, &fd) != 1)
        return false;
    runs = a.kind == WIRE_STARTED && a.job == r.job && a.status == status &&
           (fd >= 0) == (status == 0);
    if (fd < 0)
        return runs;
    for (struct pollfd wait = {.fd = fd, .events = POLLIN}; poll(&wait, 1, 10000) > 0;) {
        n = read(fd, bytes, sizeof bytes);
        if (n <= 0)
            break;
    }
    close(fd);
    return runs && n == 0 && next_answer(socket, &a, &fd) == 1 && a.kind == WIRE_ENDED &&
           a.status == 0;
}

static bool sends_bad_requests(int socket)
{
    const struct wire_request unknown = {.kind = 77, .job = 1};
    const struct wire_request kill = {.kind = WIRE_KILL, .job = UINT32_MAX};

    return is_answered(socket, request(0, PASS_HEADER, 0, 0, 0), 0) &&
           is_answered(socket, request(0, 0, 0, 0, 0), -EPROTO) &&
           is_answered(socket, request(0, PASSES, 0, 0, 0), -EPROTO) &&
           is_answered(socket, request(2, PASS_HEADER, 0, 0, 0), -EPROTO) &&
           is_answered(socket, request(UINT32_MAX, PASS_HEADER, 0, 0, 0), -EPROTO) &&
           is_answered(socket, request(0, PASS_SCAN, 1, UINT32_MAX, 0), -EPROTO) &&
           wire_send(socket, &unknown, sizeof unknown, socket) == 0 &&
           wire_send(socket, &kill, sizeof kill, socket) == 0 &&
           is_answered(socket, request(view_named(VIEW_LAYER, 0), PASS_SCAN, 0, 0, 0), 0);
}

/* A message of another length ends the connection. */
static bool sends_short_request(int socket)
{
    const struct wire_request r = request(0, PASS_HEADER, 0, 0, 0);
    struct wire_answer a;
    int fd;

    return wire_send(socket, &r, sizeof r - 1, socket) == 0 &&
           next_answer(socket, &a, &fd) == -EPIPE;
}

static bool sends_long_request(int socket)
{
    const struct wire_request r[2] = {request(0, PASS_HEADER, 0, 0, 0)};
    struct wire_answer a;
    int fd;

    return wire_send(socket, r, sizeof r, -1) == 0 && next_answer(socket, &a, &fd) == -EPIPE;
}

/* Descriptors sent with requests do not stay open in the monitor. */
static bool sends_descriptors(int socket)
{
    const struct wire_request r = {.kind = WIRE_KILL};
    int ends[2];
    char byte;

    if (pipe(ends) < 0)
        return false;
    for (unsigned i = 0; i < 1000; i++) {
        int error = wire_send(socket, &r, sizeof r, ends[1]);

        if (error == -EAGAIN || error == -ETOOMANYREFS)
            i--;
        else if (error)
            return false;
    }
    close(ends[1]);
    return is_answered(socket, request(0, PASS_HEADER, 0, 0, 0), 0) && read(ends[0], &byte, 1) == 0;
}

static void test_hostile_fronts(void **state)
{
    (void)state;
    assert_serves(sends_bad_requests);
    assert_serves(sends_short_request);
    assert_serves(sends_long_request);
    assert_serves(sends_descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_hostile_fronts),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
