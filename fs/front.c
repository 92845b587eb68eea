// SPDX-License-Identifier: Apache-2.0
/* The front's loop over the kernel, the monitor and the jobs. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wchar.h>

#include "fs/jobs/progress.h"
#include "fs/jobs/recheck.h"

/* Takes the monitor's answer to a recheck of the image's name. */
static const struct views *take_recheck(void *context, const struct wire_answer *a, int fd)
{
    struct front *front = context;

    return mounted_take_recheck(&front->image, a->status, fd, a->storage) ? &front->image.views
                                                                          : NULL;
}

/* Results of a job belong to the generation in which it ends, so it checks for changes then. */
static bool has_changed(void *context, const struct views *views)
{
    struct front *front = context;

    (void)views;
    return mounted_has_changed(&front->image);
}

bool front_refresh(struct front *front)
{
    struct mounted *m = &front->image;
    bool changed = m->has_changed;

    if (!watch_is_due(&m->watch) && !changed)
        return false;
    if (mounted_has_changed(m))
        jobs_restart(&front->jobs, &m->views);
    else if (mounted_recheck_is_due(m))
        mounted_note_recheck(m, jobs_recheck(&front->jobs));
    changed = m->has_changed;
    m->has_changed = false;
    return changed;
}

/* Whether a reader waits for files with that option set. */
static bool is_awaited(void *context, uint32_t set)
{
    return jobs_await_set(context, set);
}

void front_reclaim_sets(struct front *front)
{
    struct views *views = &front->image.views;

    option_sets_reclaim(&front->sets, is_awaited, &front->jobs);
    for (size_t i = 0; i < views->count; i++)
        results_forget_sets(&views->items[i]->results, &front->sets);
    inodes_forget_sets(&front->inodes, &front->sets);
    jobs_reset_set_bytes(&front->jobs);
}

static ssize_t read_request(int fd, void *bytes, size_t size, void *front)
{
    (void)front;
    return read(fd, bytes, size);
}

/*
 * libfuse 3.14 offers parallel lookups in a directory (FUSE_CAP_PARALLEL_DIROPS), but does not set
 * the flag for the kernel. It is set here, in the answer to FUSE_INIT, which is the first answer.
 */
static ssize_t write_answer(int fd, struct iovec *parts, int count, void *data)
{
    struct front *front = data;

    if (!front->has_answered && count > 1 && parts[1].iov_len >= sizeof(struct fuse_init_out))
        ((struct fuse_init_out *)parts[1].iov_base)->flags |= FUSE_PARALLEL_DIROPS;
    front->has_answered = true;
    return writev(fd, parts, count);
}

/* Serves one request of the kernel. Returns false when the session has ended. */
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

/* Waits for requests of the kernel and for jobs, and handles both. Returns as serve_request(). */
static bool serve_all(struct front *front, struct fuse_buf *buffer)
{
    struct pollfd fds[1 + JOBS_POLLFDS];
    nfds_t count;
    int timeout = jobs_poll(&front->jobs, fds + 1, &count), found;

    fds[0] = (struct pollfd){.fd = fuse_session_fd(front->session), .events = POLLIN};
    found = poll(fds, 1 + count, timeout);
    if (found < 0)
        return errno == EINTR;
    jobs_handle(&front->jobs, fds + 1, count);
    if (front->options->progress)
        progress_show(&front->bar, &front->jobs);
    return fds[0].revents ? serve_request(front, buffer) : true;
}

/* Makes reading the next request wait for it, if only the kernel is waited for; else reading must
 * not wait: a request that poll(2) reported is gone if it was interrupted before it was read. */
static int wait_for_kernel(struct front *front, bool waits)
{
    if (waits == front->waits_for_kernel)
        return 0;
    front->waits_for_kernel = waits;
    return fcntl(fuse_session_fd(front->session), F_SETFL, waits ? 0 : O_NONBLOCK);
}

/* Serves until the session has ended. */
static void serve(struct front *front)
{
    struct fuse_buf buffer = {.mem = NULL};
    bool more = true;

    while (more) {
        bool idle = jobs_are_idle(&front->jobs);

        if (wait_for_kernel(front, idle) < 0)
            break;
        more = idle ? serve_request(front, &buffer) : serve_all(front, &buffer);
    }
    free(buffer.mem);
}

/* Begins the jobs, with the results from before the mount. Returns 0 or -ENOMEM. */
static int begin_jobs(struct front *front, int monitor)
{
    const struct jobs_config config = {
        .monitor = monitor,
        .sets = &front->sets,
        .kills_done = front->options->sandbox.mode != SANDBOX_OFF,
        .stall_ms = (int64_t)front->options->stall_seconds * 1000,
        .patience_ms = (int64_t)front->request_timeout * 1000 / 2,
        .rechecked = take_recheck,
        .changed = has_changed,
        .context = front,
    };
    struct collected *known = &front->known;
    struct view *view;
    int error;

    jobs_begin(&front->jobs, &config);
    jobs_set_sandbox(&front->jobs, &known->sandbox);
    mounted_begin(&front->image);
    view = views_get(&front->image.views, view_named(VIEW_WHOLE, 0));
    if (!view)
        return -ENOMEM;
    text_add_lines_once(&view->problems, known->problems.bytes, known->problems.length);
    view->costs[PASS_HEADER] =
        (struct pass_cost){.runs = 1, .bytes = known->cost.bytes, .reads = known->cost.reads};
    error = results_move(&view->results, &known->results);
    collected_end(known);
    return error;
}

/* Closes descriptors that the front does not need, and enters the sandbox. Returns 0 or -errno. */
static int enter_sandbox(struct front *front, int monitor, int ready)
{
    const struct sandbox_process process = {
        .kind = SANDBOX_FRONT,
        .keeps_user = front->image.layers.storage & STORAGE_ONE_USER,
        .writes_files = front->options->debug,
        .filters = front->options->sandbox.filters,
    };
    char words[SANDBOX_WORDS];
    int keep[SANDBOX_KEPT_MAX], error;
    unsigned count = layers_descriptors(&front->image.layers, keep);

    _Static_assert(LAYERS_MAX + LAYERS_DATA_FILES_HELD + 5 <= SANDBOX_KEPT_MAX,
                   "room for all of them");
    keep[count++] = fuse_session_fd(front->session);
    keep[count++] = monitor;
    keep[count++] = front->image.watch.fd;
    keep[count++] = ready;
    keep[count++] = STDERR_FILENO;
    sandbox_close_others(keep, count);
    error = sandbox_enter(front->options->sandbox.mode, &process, &front->sandbox);
    if (sandbox_describe_failure(&front->sandbox, words, sizeof words))
        complain("%s", words);
    return error;
}

/* Reports that the mount answers to the process that waits for it, which may be gone. */
static void report_ready(int ready)
{
    if (ready < 0)
        return;
    wire_write(ready, "", 1);
    close(ready);
}

int front_run(struct front *front, int monitor, int ready)
{
    const struct fuse_custom_io io = {.writev = write_answer, .read = read_request};

    /* SIGTERM to all our processes reaches the monitor too: it unmounts, which ends the front. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* libfuse prints on standard error, which may be a file at its size limit. perror(3) opens a
     * descriptor of its own for a stream without orientation. */
    signal(SIGXFSZ, SIG_IGN);
    fwide(stderr, -1);
    inodes_begin(&front->inodes);
    if (begin_jobs(front, monitor) < 0 ||
        fuse_session_custom_io(front->session, &io, fuse_session_fd(front->session)) < 0) {
        complain("out of memory");
        return EXIT_SYSTEM;
    }
    front->waits_for_kernel = true; /* as it was opened */
    watch_listen(&front->image.watch);
    bar_begin(&front->bar, STDERR_FILENO);
    if (enter_sandbox(front, monitor, ready) < 0)
        return EXIT_SYSTEM;
    report_ready(ready);
    serve(front);
    jobs_end(&front->jobs);
    mounted_end(&front->image);
    inodes_end(&front->inodes);
    option_sets_end(&front->sets);
    return EXIT_GOOD;
}
