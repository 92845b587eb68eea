// SPDX-License-Identifier: Apache-2.0
/* Messages between the processes of a mount. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int wire_write(int fd, const void *bytes, size_t length)
{
    const char *p = bytes;

    while (length) {
        ssize_t n = write(fd, p, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int wire_send(int socket, const void *message, size_t length, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = length};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    do
        n = sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* Linux reports a UNIX socket as writable while at most a quarter of its send buffer is used. */
bool wire_has_room(int socket)
{
    struct pollfd wait = {.fd = socket, .events = POLLOUT};

    return poll(&wait, 1, 0) > 0;
}

/* The descriptor in the control message, or -1. */
static int received_descriptor(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int wire_receive(int socket, void *message, size_t length, int *fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = message, .iov_len = length};
    /* CMSG_LEN, not CMSG_SPACE: its padding would have room for a second descriptor. */
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = fd ? control.bytes : NULL,
                         .msg_controllen = fd ? CMSG_LEN(sizeof(int)) : 0};
    ssize_t n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    int received = n < 0 ? -1 : received_descriptor(&msg);
    bool is_whole = n == (ssize_t)length && !(msg.msg_flags & MSG_TRUNC);

    if (fd)
        *fd = is_whole ? received : -1;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (is_whole)
        return 1;
    if (received >= 0)
        close(received);
    return n == 0 ? -EPIPE : -EPROTO;
}
