// SPDX-License-Identifier: Apache-2.0
/* The pipe and the socket of a job. */
#include "job-ends.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

int job_ends_open(struct job_ends *ends, bool with_socket)
{
    const int least = 1;
    int error = 0;

    ends->socket[0] = ends->socket[1] = -1;
    if (pipe2(ends->pipe, O_CLOEXEC) < 0)
        return -errno;
    fcntl(ends->pipe[0], F_SETFL, O_NONBLOCK); /* the front never waits for a job */
    if (with_socket && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends->socket) < 0) {
        error = -errno;
        close(ends->pipe[0]);
        close(ends->pipe[1]);
    }
    /* The smallest send buffer: a job that receives none of its files cannot have many descriptors
     * in flight, of which the kernel allows each user a limited number. */
    if (ends->socket[0] >= 0)
        setsockopt(ends->socket[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    return error;
}

void job_ends_close(const struct job_ends *ends, int which)
{
    close(ends->pipe[which]);
    if (ends->socket[which] >= 0)
        close(ends->socket[which]);
}

void job_ends_serve_data_files(const struct layers *layers, int socket)
{
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    int received = 0;

    while (received >= 0) {
        struct wire_open_answer a = {.status = 0};
        struct wire_open_request request;
        int fd;

        if (poll(&wait, 1, -1) < 0 && errno != EINTR)
            return;
        received = wire_receive(socket, &request, sizeof request, NULL);
        if (received != 1)
            continue;
        fd = layers_open_data_file(layers, request.layer, request.reference);
        a.status = fd < 0 ? fd : 0;
        received = wire_send(socket, &a, sizeof a, fd);
        if (fd >= 0)
            close(fd);
    }
}
