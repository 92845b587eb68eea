// SPDX-License-Identifier: Apache-2.0
/* Messages: of the right length and of others, with descriptors, after the other side is gone. */
#include "fs/jobs/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/support.h"

static int ends[2];

static int begin(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int end(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void test_message(void **state)
{
    struct wire_request sent = {.kind = WIRE_START, .job = 7, .view = 1, .pass = 3}, got;
    int fd = 99;

    (void)state;
    assert_int_equal(wire_receive(ends[1], &got, sizeof got, &fd), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(wire_send(ends[0], &sent, sizeof sent, -1), 0);
    sent.job = 8;
    assert_int_equal(wire_send(ends[0], &sent, sizeof sent, -1), 0);
    assert_int_equal(wire_receive(ends[1], &got, sizeof got, &fd), 1);
    assert_int_equal(fd, -1);
    assert_int_equal(got.kind, WIRE_START);
    assert_int_equal(got.job, 7);
    assert_int_equal(got.pass, 3);
    assert_int_equal(wire_receive(ends[1], &got, sizeof got, &fd), 1);
    assert_int_equal(got.job, 8);
    assert_int_equal(wire_receive(ends[1], &got, sizeof got, &fd), 0);
}

static void test_descriptor(void **state)
{
    int file = temporary_file("/tmp"), fd = -1;
    struct stat sent, got;
    char byte = 'x';

    (void)state;
    assert_int_equal(wire_send(ends[0], &byte, 1, file), 0);
    assert_int_equal(wire_receive(ends[1], &byte, 1, &fd), 1);
    assert_true(fd >= 0 && fd != file);
    assert_int_equal(fstat(file, &sent), 0);
    assert_int_equal(fstat(fd, &got), 0);
    assert_int_equal(sent.st_ino, got.st_ino);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    /* The next message has none. */
    assert_int_equal(wire_send(ends[0], &byte, 1, -1), 0);
    assert_int_equal(wire_receive(ends[1], &byte, 1, &fd), 1);
    assert_int_equal(fd, -1);
    close(file);
}

/* A message of another length is -EPROTO, its descriptor is closed, and the next can be read. */
static void test_length(void **state)
{
    char bytes[9] = "12345678";
    unsigned before = open_descriptors();

    (void)state;
    for (size_t length = 1; length <= 9; length += 2) {
        int fd = 99, expected = length == 5 ? 1 : -EPROTO;

        assert_int_equal(wire_send(ends[0], bytes, length, ends[0]), 0);
        assert_int_equal(wire_receive(ends[1], bytes, 5, &fd), expected);
        assert_int_equal(fd >= 0, length == 5);
        if (fd >= 0)
            close(fd);
    }
    assert_int_equal(open_descriptors(), before);
}

/* A message with several descriptors leaves none of them open. */
static void test_more_descriptors(void **state)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {.bytes = {0}};
    int three[3] = {ends[0], ends[0], ends[0]}, fd = -1;
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes};
    unsigned before = open_descriptors();

    (void)state;
    for (unsigned count = 1; count <= 3; count++) {
        struct cmsghdr *c;

        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), three, count * sizeof(int));
        assert_int_equal(sendmsg(ends[0], &msg, 0), 1);
        wire_receive(ends[1], &byte, 1, &fd);
        if (fd >= 0)
            close(fd);
        assert_int_equal(open_descriptors(), before);
    }
}

/* Without room for a descriptor, the kernel drops it: it is never open here. */
static void test_unwanted_descriptor(void **state)
{
    unsigned before = open_descriptors();
    int in_out[2];
    char byte = 'x';

    (void)state;
    assert_int_equal(pipe(in_out), 0);
    assert_int_equal(wire_send(ends[0], &byte, 1, in_out[1]), 0);
    close(in_out[1]);
    assert_int_equal(wire_receive(ends[1], &byte, 1, NULL), 1);
    assert_int_equal(read(in_out[0], &byte, 1), 0); /* the write end is closed */
    close(in_out[0]);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(wire_send(ends[0], &before, sizeof before, in_out[0]), -EBADF);
    assert_int_equal(wire_send(ends[0], &before, sizeof before, ends[0]), 0);
    assert_int_equal(wire_receive(ends[1], &byte, 1, NULL), -EPROTO);
    assert_int_equal(open_descriptors(), before);
}

/* wire_has_room() is false long before the socket is full: requests to kill still fit. */
static void test_room(void **state)
{
    struct wire_request request = {.kind = WIRE_KILL};
    unsigned sent = 0, more = 0;
    int fd;

    (void)state;
    for (; wire_has_room(ends[0]); sent++)
        assert_int_equal(wire_send(ends[0], &request, sizeof request, -1), 0);
    while (wire_send(ends[0], &request, sizeof request, -1) == 0)
        more++;
    assert_true(sent > 0 && more > 2 * sent);
    while (wire_receive(ends[1], &request, sizeof request, &fd) == 1)
        ;
    assert_true(wire_has_room(ends[0]));
    close(ends[1]);
    assert_true(wire_has_room(ends[0]));
    ends[1] = -1;
}

static void test_gone(void **state)
{
    char byte = 'x';
    int fd;

    (void)state;
    assert_int_equal(wire_send(ends[0], &byte, 1, -1), 0);
    close(ends[0]);
    /* A message that was sent before is still received. */
    assert_int_equal(wire_receive(ends[1], &byte, 1, &fd), 1);
    assert_int_equal(wire_receive(ends[1], &byte, 1, &fd), -EPIPE);
    assert_int_equal(wire_send(ends[1], &byte, 1, -1), -EPIPE); /* and no SIGPIPE */
    ends[0] = -1;
    assert_int_equal(wire_send(-1, &byte, 1, -1), -EBADF);
    assert_int_equal(wire_receive(-1, &byte, 1, &fd), -EBADF);
    assert_int_equal(fd, -1);
}

/* A full socket is -EAGAIN; sending never waits. */
static void test_full(void **state)
{
    struct wire_request request = {.kind = WIRE_START, .job = 1, .pass = 1};
    int error = 0;

    (void)state;
    for (unsigned i = 0; !error && i < 1000000; i++)
        error = wire_send(ends[0], &request, sizeof request, -1);
    assert_int_equal(error, -EAGAIN);
}

/* More than a pipe holds; the reader reads small pieces. */
static void test_write(void **state)
{
    static uint8_t bytes[300001], piece[1000];
    int pipe_fds[2], status;
    size_t at = 0;
    ssize_t n;
    pid_t pid;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipe_fds[0]);
        _exit(wire_write(pipe_fds[1], bytes, sizeof bytes) == 0 ? 0 : 1);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], piece, sizeof piece)) > 0) {
        assert_true(at + (size_t)n <= sizeof bytes);
        assert_memory_equal(piece, bytes + at, (size_t)n);
        at += (size_t)n;
    }
    assert_int_equal(at, sizeof bytes);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(pipe_fds[0]);
}

static void test_write_fails(void **state)
{
    int pipe_fds[2];

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(wire_write(pipe_fds[1], "x", 0), 0);
    close(pipe_fds[0]);
    assert_int_equal(wire_write(pipe_fds[1], "x", 1), -EPIPE);
    assert_int_equal(wire_write(pipe_fds[1], "x", 0), 0);
    close(pipe_fds[1]);
    assert_int_equal(wire_write(-1, "x", 1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, begin, end),
        cmocka_unit_test_setup_teardown(test_descriptor, begin, end),
        cmocka_unit_test_setup_teardown(test_length, begin, end),
        cmocka_unit_test_setup_teardown(test_more_descriptors, begin, end),
        cmocka_unit_test_setup_teardown(test_unwanted_descriptor, begin, end),
        cmocka_unit_test_setup_teardown(test_room, begin, end),
        cmocka_unit_test_setup_teardown(test_gone, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
