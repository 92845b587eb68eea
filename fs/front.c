// SPDX-License-Identifier: Apache-2.0
/* The front's loop over the kernel, the monitor and the jobs. */
#include "front.h"

#include "detect/files/image-file.h"
#include "fs/jobs/progress.h"
#include "fs/tree/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wchar.h>

#include "formats/image.h"

struct layer *front_layer(struct front *front, unsigned view)
{
    return &front->layers.items[view ? view - 1 : 0];
}

/* Says that what is shown has no name any more; error: what layers_look() says of it. */
static void say_away(struct front *front, int error)
{
    const char *words =
        error == -EPERM || error == -ELOOP
            ? "what has the image's name now may not be opened, as it is a link, no "
              "regular file or another owner's: what is shown is of the file that was"
        : error == -EACCES
            ? "what has the image's name now cannot be opened (permission denied): what is shown "
              "is of the file that was"
            : "the image is no longer there under its name: what is shown is of the "
              "file that was";

    text_add_lines_once(&front->jobs.views[0].problems, words, strlen(words));
}

/* Everything is computed anew. */
static void begin_generation(struct front *front)
{
    jobs_forget(&front->jobs);
    front->generation++;
    front->changed = true;
    if (front->layers.items[0].st.st_nlink == 0)
        say_away(front, -ENOENT);
}

/* Whether such an error of layers_look() says that the image has its name no more. */
static bool is_away(int error)
{
    static const int away[] = {-ENOENT, -ENOTDIR, -EPERM, -ELOOP, -EACCES};

    for (size_t i = 0; i < sizeof away / sizeof *away; i++)
        if (error == away[i])
            return true;
    return false;
}

/* What looking for another file with the image's name has told: that is the image now, or none may
 * be. */
static void take_look(void *context, const struct wire_answer *a, int fd)
{
    struct front *front = context;

    front->is_looking = false;
    if (a->status && a->status != -EALREADY && !is_away(a->status)) /* nothing is known of it */
        return;
    front->is_away = is_away(a->status);
    if (front->is_away)
        say_away(front, a->status);
    if (fd < 0 || layers_replace(&front->layers, fd, a->storage) < 0)
        return;
    begin_generation(front);
}

/* Looks further where the files that are open do not tell all. */
static void look(struct front *front)
{
    bool is_gone = front->is_away || front->layers.items[0].st.st_nlink == 0;
    bool is_due = is_gone || front->layers.storage & STORAGE_REMOTE;

    if (!is_due || now_ms() - front->looked_at < (front->is_looking ? LOOK_AGAIN_MS : LOOK_MS))
        return;
    front->looked_at = now_ms();
    front->is_looking = jobs_look(&front->jobs) && is_gone;
}

bool front_is_looking(const struct front *front)
{
    return front->is_looking && now_ms() - front->looked_at < JOBS_LOOK_MS;
}

/* Whether an open file has changed. */
static bool have_changed(struct layers *layers)
{
    bool changed = false;

    for (unsigned i = 0; i < layers->count; i++)
        changed |= image_file_has_changed(layers->items[i].fd, &layers->items[i].st);
    for (size_t i = 0; i < layers->held_count; i++)
        changed |= image_file_has_changed(layers->held[i]->fd, &layers->held[i]->st);
    return changed;
}

/* What jobs find out of an image that has changed meanwhile is not of this generation. */
static bool find_change(void *context)
{
    struct front *front = context;

    if (!have_changed(&front->layers))
        return false;
    begin_generation(front);
    return true;
}

bool front_refresh(struct front *front)
{
    bool changed = front->changed;

    if (!watch_is_due(&front->watch) && !changed)
        return false;
    if (!find_change(front))
        look(front);
    changed = front->changed;
    front->changed = false;
    return changed;
}

/* Whether somebody waits for files with that set of options. */
static bool is_awaited(void *context, uint32_t set)
{
    const struct jobs *jobs = context;

    for (const struct job *job = jobs->all; job; job = job->next)
        if (job->task.set == set)
            return true;
    for (const struct waiter *w = jobs->lookers; w; w = w->next)
        if (w->task.set == set)
            return true;
    return false;
}

void front_reclaim_sets(struct front *front)
{
    struct jobs *jobs = &front->jobs;

    option_sets_reclaim(&front->sets, is_awaited, jobs);
    for (unsigned i = 0; i < jobs->views_count; i++)
        results_forget_sets(&jobs->views[i].results, &front->sets);
    inodes_forget_sets(&front->inodes, &front->sets);
    jobs->set_bytes = 0;
}

static ssize_t read_request(int fd, void *bytes, size_t size, void *front)
{
    (void)front;
    return read(fd, bytes, size);
}

/*
 * libfuse 3.14 promises that looks in one directory do not wait for each other (its
 * FUSE_CAP_PARALLEL_DIROPS), but forgets to ask the kernel for it. The answer to FUSE_INIT, which
 * is the first of all, does.
 */
static ssize_t write_answer(int fd, struct iovec *parts, int count, void *data)
{
    struct front *front = data;

    if (!front->has_answered && count > 1 && parts[1].iov_len >= sizeof(struct fuse_init_out))
        ((struct fuse_init_out *)parts[1].iov_base)->flags |= FUSE_PARALLEL_DIROPS;
    front->has_answered = true;
    return writev(fd, parts, count);
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

/* Shows how far the first job is that tells. */
static void show_bar(struct front *front)
{
    const struct job *job = front->jobs.all;
    struct text name = {.bytes = NULL};

    while (job && !job->total)
        job = job->next;
    if (!job) {
        bar_clear(&front->bar);
        return;
    }
    progress_add_name(&name, &front->jobs, &job->task);
    if (name.length > 0)
        name.bytes[name.length - 1] = '\0';
    if (name.length > 0)
        bar_show(&front->bar, name.bytes, job->done, job->total, job->started);
    text_free(&name);
}

/* Waits for the kernel and the jobs, and does what there is to do. As serve_request(). */
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
        show_bar(front);
    return fds[0].revents ? serve_request(front, buffer) : true;
}

/* While there is nothing but the kernel to wait for, reading its next request waits for it. Else it
 * must not: one that was interrupted before it was read is gone again. */
static int wait_for_kernel(struct front *front, bool waits)
{
    if (waits == front->waits_for_kernel)
        return 0;
    front->waits_for_kernel = waits;
    return fcntl(fuse_session_fd(front->session), F_SETFL, waits ? 0 : O_NONBLOCK);
}

/* Serves until the session is over. */
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

/* Takes over what was found out before the mount. 0 or -ENOMEM. */
static int begin_jobs(struct front *front, int monitor)
{
    struct view *view;
    int error = jobs_begin(&front->jobs, monitor, 1 + front->layers.count, &front->sets);

    if (error)
        return error;
    front->jobs.looked = take_look;
    front->jobs.changed = find_change;
    front->jobs.context = front;
    view = &front->jobs.views[0];
    text_add_lines_once(&view->problems, front->known.problems.bytes, front->known.problems.length);
    view->costs[PASS_HEADER] = (struct pass_cost){
        .runs = 1, .bytes = front->known.cost.bytes, .reads = front->known.cost.reads};
    front->jobs.sandbox = front->known.sandbox;
    error = results_move(&view->results, &front->known.results);
    collected_end(&front->known);
    return error;
}

/* Closes what the front does not need, and enters the sandbox. 0 or -errno. */
static int enter_sandbox(struct front *front, int ready)
{
    const struct sandbox_process process = {
        .kind = SANDBOX_FRONT,
        .keeps_user = front->layers.storage & STORAGE_ONE_USER,
        .writes_files = front->options->debug,
        .filters = front->options->sandbox.filters,
    };
    char words[SANDBOX_WORDS];
    int keep[SANDBOX_KEPT_MAX], error;
    unsigned count = layers_descriptors(&front->layers, keep);

    _Static_assert(LAYERS_MAX + LAYERS_PARTS_HELD + 5 <= SANDBOX_KEPT_MAX, "room for all of them");
    keep[count++] = fuse_session_fd(front->session);
    keep[count++] = front->jobs.monitor;
    keep[count++] = front->watch.fd;
    keep[count++] = ready;
    keep[count++] = STDERR_FILENO;
    sandbox_close_others(keep, count);
    error = sandbox_enter(front->options->sandbox.mode, &process, &front->sandbox);
    if (sandbox_tell_lack(&front->sandbox, words, sizeof words))
        complain("%s", words);
    return error;
}

/* Tells whoever waits for it that the mount answers. If nobody does any more, nobody needs to know.
 */
static void tell_ready(int ready)
{
    if (ready < 0)
        return;
    wire_write(ready, "", 1);
    close(ready);
}

int front_run(struct front *front, int monitor, int ready)
{
    const struct fuse_custom_io io = {.writev = write_answer, .read = read_request};

    /* Whoever asks all of our processes to end asks the monitor, too: it unmounts, and that ends
     * this one. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    /* What libfuse says on standard error may have to go to a file, and must not take a descriptor
     * of its own, as perror(3) does for a stream of neither kind. */
    signal(SIGXFSZ, SIG_IGN);
    fwide(stderr, -1);
    inodes_begin(&front->inodes);
    if (begin_jobs(front, monitor) < 0 ||
        fuse_session_custom_io(front->session, &io, fuse_session_fd(front->session)) < 0) {
        complain("out of memory");
        return EXIT_SYSTEM;
    }
    front->waits_for_kernel = true; /* as it was opened */
    watch_listen(&front->watch);
    bar_begin(&front->bar, STDERR_FILENO);
    front->generation = 1;
    front->jobs.kills_done = front->options->sandbox.mode != SANDBOX_OFF;
    front->jobs.stall_ms = (int64_t)front->options->stall_seconds * 1000;
    front->jobs.patience_ms = (int64_t)front->request_timeout * 1000 / 2;
    if (enter_sandbox(front, ready) < 0)
        return EXIT_SYSTEM;
    tell_ready(ready);
    serve(front);
    watch_end(&front->watch);
    jobs_end(&front->jobs);
    inodes_end(&front->inodes);
    option_sets_end(&front->sets);
    return EXIT_GOOD;
}
