// SPDX-License-Identifier: Apache-2.0
/* The front's loop over the kernel, the monitor and the jobs. */
#include "front.h"

#include "detect/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Whether a and b tell of the same bytes of the same file. */
static bool is_same_generation(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool front_refresh(struct front *front)
{
    struct stat now;

    if (image_file_stat(front->image_fd, &now) < 0 || is_same_generation(&now, &front->image_stat))
        return false;
    front->image_stat = now;
    jobs_forget(&front->jobs);
    return true;
}

/* Takes one request of the kernel. Returns false when the session is over. */
static bool serve_request(struct front *front, struct fuse_buf *buffer)
{
    int received = fuse_session_receive_buf(front->session, buffer);

    if (received == -EINTR || received == -EAGAIN)
        return true;
    if (received <= 0)
        return false;
    fuse_session_process_buf(front->session, buffer);
    return !fuse_session_exited(front->session);
}

static void serve(struct front *front)
{
    struct pollfd fds[1 + JOBS_POLLFDS] = {
        {.fd = fuse_session_fd(front->session), .events = POLLIN}};
    struct fuse_buf buffer = {.mem = NULL};
    bool more = true;

    while (more) {
        int timeout = jobs_poll(&front->jobs, fds + 1);
        int found = poll(fds, sizeof fds / sizeof *fds, timeout);

        if (found < 0 && errno != EINTR)
            break;
        if (found < 0)
            continue;
        jobs_handle(&front->jobs, fds + 1);
        if (fds[0].revents)
            more = serve_request(front, &buffer);
    }
    free(buffer.mem);
}

int front_run(struct front *front, int monitor)
{
    int fd = fuse_session_fd(front->session);

    /* Whoever asks all of our processes to end asks the monitor, too: it unmounts, and that ends
     * this one. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (inodes_begin(&front->inodes) < 0 || jobs_begin(&front->jobs, monitor) < 0)
        return EXIT_SYSTEM;
    /* A request that was interrupted before it was read is gone again: reading must not wait for
     * the next. */
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return EXIT_SYSTEM;
    front->jobs.patience_ms = (int64_t)front->request_timeout * 1000 / 2;
    serve(front);
    jobs_end(&front->jobs);
    inodes_end(&front->inodes);
    return EXIT_GOOD;
}
