// SPDX-License-Identifier: Apache-2.0
/* The monitor's loop over signals and the front's requests. */
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/image.h"
#include "fs/jobs/children.h"
#include "fs/jobs/job-ends.h"
#include "fs/jobs/job.h"
#include "fs/jobs/wire.h"

enum {
    REQUESTS_AT_ONCE = 32, /* then signals and children are handled */
    END_MS = 1000,         /* how long killed jobs are waited for at the end */
};

struct monitor {
    struct front *front;
    const struct mount *mount;
    pid_t front_pid;
    bool front_ended;
    int front_status; /* as of waitpid(2) */
    int signals;
    int socket;       /* to the front; -1: it sent an invalid message, or is gone */
    int rechecked[2]; /* socket from processes that recheck: they write to the second */
    pid_t rechecker;  /* checks whether another file has the image's name; 0: none runs */

    /* Refresh attributes of open files, one process for each file system; 0: none runs. */
    pid_t refreshers[LAYERS_DEVICES_MAX];
    bool is_behind;        /* the socket to the front is too full for answers */
    int ready;             /* for the front; -1: none */
    unsigned end_requests; /* signals to end */
    struct children children;
};

/* The signals that the monitor handles. */
static void handled_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
}

/* Restores signals that a shell ignores for background jobs. */
void monitor_block_signals(void)
{
    sigset_t set;

    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    handled_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What every child does first. Signals of the terminal are for the monitor; none stays blocked. */
static void become_child(const struct monitor *m)
{
    sigset_t none;

    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(m->signals);
    close(m->rechecked[0]);
}

/* Forks the front, with a socket between it and the monitor. Returns 0 or -errno. */
static int start_front(struct monitor *m)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    m->front_pid = fork();
    if (m->front_pid < 0)
        return -errno;
    if (m->front_pid == 0) {
        close(pair[0]);
        become_child(m);
        sandbox_exit(m->front->options->sandbox.mode, front_run(m->front, pair[1], m->ready));
    }
    if (m->ready >= 0)
        close(m->ready);
    close(pair[1]);
    m->socket = pair[0];
    /* Only the front keeps the FUSE connection, so that it ends with the front. */
    close(fuse_session_fd(m->front->session));
    return 0;
}

/* Closes the socket, and kills all jobs: nothing reads their results any more. */
static void hang_up(struct monitor *m)
{
    close(m->socket);
    m->socket = -1;
    children_kill(&m->children);
}

/*
 * Answers the front, with descriptor fd unless that is -1. Returns 0, or -errno if the kernel did
 * not take the descriptor (ETOOMANYREFS: the user has too many in flight); then nothing was sent.
 */
static int answer(struct monitor *m, struct wire_answer a, int fd)
{
    int error = m->socket < 0 ? 0 : wire_send(m->socket, &a, sizeof a, fd);

    if (fd >= 0 && (error == -ETOOMANYREFS || error == -ENOMEM || error == -ENOBUFS))
        return error;
    if (error)
        hang_up(m);
    return 0;
}

/* Whether there is room for answers, or the front is gone. Without room, requests and children
 * wait. */
static bool can_answer(const struct monitor *m)
{
    return m->socket < 0 || wire_has_room(m->socket);
}

/* Watches all open files. */
static void begin_watch(struct front *front)
{
    int fds[LAYERS_MAX + LAYERS_DATA_FILES_HELD];
    unsigned count = layers_descriptors(&front->image.layers, fds);

    watch_begin(&front->image.watch);
    for (unsigned i = 0; i < count; i++)
        watch_file(&front->image.watch, fds[i]);
}

/* In a new process: checks whether another file has the image's name; if so, watches it, and makes
 * it the image of this process. Sends the monitor the result. */
static void recheck(struct monitor *m)
{
    struct layers *layers = &m->front->image.layers;
    struct stat st;
    int fd = layers_recheck(layers, &st);
    struct wire_rechecked result = {.status = fd < 0 ? fd : 0};

    if (fd >= 0) {
        watch_file(&m->front->image.watch, fd);
        result.storage = image_file_storage(fd);
    }
    wire_send(m->rechecked[1], &result, sizeof result, fd);
    if (fd >= 0)
        layers_replace(layers, fd, result.storage);
}

/* In a new process: runs the requested job. fd: its pipe; socket: to its opener, or -1. */
static void run_job(struct monitor *m, const struct wire_request *r, int fd, int socket)
{
    struct front *front = m->front;
    struct option_set set = {.options = r->options};
    struct job_order order = {.task = {r->view, (enum pass_id)r->pass, r->set},
                              .layers = &front->image.layers,
                              .options = &front->image.open,
                              .sandbox = front->options->sandbox,
                              .out = fd};

    close(m->socket);
    become_child(m);
    if (r->recheck && view_layer(r->view) == 0) /* other layers need not wait for its storage */
        recheck(m);
    if (r->set) {
        set.directory = &nodes[r->directory];
        set.target = targets[r->target];
        order.set = &set;
    }
    if (socket >= 0) {
        front->image.layers.fetch = job_fetch_data_file;
        front->image.layers.fetch_context = socket;
    }
    job_run(&order);
}

/*
 * Forks the process that opens data files for a job: opening a file may wait for its file system,
 * and the monitor never waits. Returns its pid; 0: it could not be forked, and the job's requests
 * fail.
 */
static pid_t start_opener(struct monitor *m, struct job_ends *ends)
{
    pid_t monitor = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != monitor)
            _exit(1);
        close(m->socket);
        close(ends->pipe[0]);
        become_child(m);
        close(m->rechecked[1]);
        job_ends_serve_data_files(&m->front->image.layers, ends->socket[0]);
        _exit(0);
    }
    close(ends->socket[0]);
    ends->socket[0] = -1;
    return pid < 0 ? 0 : pid;
}

bool monitor_can_start(const struct wire_request *r, const struct layers *layers)
{
    return pass_exists(r->pass) && view_exists(r->view, layers) &&
           (!r->set || (r->set <= OPTION_SETS_MAX && r->directory < nodes_count() &&
                        nodes[r->directory].parse && r->target < targets_count()));
}

/* Forks a job, and sets *child. Returns the read end of its pipe, or -errno. */
static int start_job(struct monitor *m, const struct wire_request *r, struct child **child)
{
    pid_t pid, monitor = getpid();
    struct job_ends ends;
    int error;

    if (!monitor_can_start(r, &m->front->image.layers))
        return -EPROTO;
    *child = children_room(&m->children);
    if (!*child)
        return -EAGAIN;
    error = job_ends_open(&ends, m->front->image.layers.has_data_files_to_open);
    if (error)
        return error;
    pid = fork();
    if (pid == 0) {
        /* A job ends with the monitor. (The front does not: it can answer what is known, and be
         * unmounted.) */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != monitor)
            _exit(1);
        job_ends_close(&ends, 0);
        run_job(m, r, ends.pipe[1], ends.socket[1]);
    }
    job_ends_close(&ends, 1);
    if (pid < 0) {
        job_ends_close(&ends, 0);
        return -EAGAIN;
    }
    **child = (struct child){.pid = pid, .job = r->job};
    if (ends.socket[0] >= 0)
        (*child)->opener = start_opener(m, &ends);
    return ends.pipe[0];
}

/* Forks a process that may wait for storage, and sets *pid (0: it could not be forked). Returns
 * true in the new process. */
static bool fork_helper(struct monitor *m, pid_t *pid)
{
    pid_t monitor = getpid(), child = fork();

    *pid = child > 0 ? child : 0;
    if (child || getpid() == monitor)
        return false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(m->socket);
    become_child(m);
    return true;
}

/* Checks whether another file has the image's name, and refreshes the attributes of open files:
 * each file system in a process of its own, as one may hang. */
static void start_recheck(struct monitor *m)
{
    const struct layers *layers = &m->front->image.layers;
    unsigned devices = layers_devices(layers);

    if (!m->rechecker && fork_helper(m, &m->rechecker)) {
        recheck(m);
        _exit(0);
    }
    for (unsigned n = 0; n < devices; n++)
        if (!m->refreshers[n] && fork_helper(m, &m->refreshers[n])) {
            layers_refresh(layers, n);
            _exit(0);
        }
}

/* Receives results of rechecks. Another file becomes the image, unless it could not be sent to the
 * front. */
static void read_rechecked(struct monitor *m)
{
    struct wire_rechecked result;
    int fd;

    while (wire_receive(m->rechecked[0], &result, sizeof result, &fd) == 1) {
        const struct wire_answer a = {
            .kind = WIRE_RECHECKED, .status = result.status, .storage = result.storage};

        if (answer(m, a, fd) < 0)
            close(fd);
        else if (fd >= 0)
            layers_replace(&m->front->image.layers, fd, result.storage);
    }
}

/* Starts a job, and sends the front the read end of its pipe. */
static void take_start(struct monitor *m, const struct wire_request *r)
{
    struct child *child = NULL;
    int fd = start_job(m, r, &child);
    struct wire_answer a = {
        .kind = WIRE_STARTED, .job = r->job, .status = fd < 0 ? fd : 0, .is_gone = fd < 0};
    int error = answer(m, a, fd);

    if (error) {
        child_kill(child);
        a.status = error;
        answer(m, a, -1);
    }
    if (fd >= 0)
        close(fd);
}

static void take_request(struct monitor *m, const struct wire_request *r)
{
    if (r->kind == WIRE_RECHECK)
        start_recheck(m);
    else if (r->kind == WIRE_START)
        take_start(m, r);
    else if (r->kind == WIRE_KILL)
        children_kill_job(&m->children, r->job);
}

static void read_requests(struct monitor *m)
{
    struct wire_request r;
    int received;

    for (unsigned i = 0; i < REQUESTS_AT_ONCE && m->socket >= 0; i++) {
        m->is_behind = !can_answer(m);
        if (m->is_behind)
            return;
        received = wire_receive(m->socket, &r, sizeof r, NULL);
        if (received == 0)
            return;
        if (received == 1)
            take_request(m, &r);
        else
            hang_up(m);
    }
}

/* Reports that a job's process has ended, or its opener, if no process of the job is left. */
static void report_end(struct monitor *m, struct child *child, pid_t pid, int status)
{
    struct wire_answer a = {.kind = WIRE_ENDED, .job = child->job, .status = status};

    if (child->opener == pid) {
        child->opener = 0;
        a.kind = WIRE_GONE;
    } else {
        child->pid = 0;
        child_kill(child);
    }
    a.is_gone = !child->pid && !child->opener;
    if (a.kind == WIRE_ENDED || a.is_gone)
        answer(m, a, -1);
}

static void take_end(struct monitor *m, pid_t pid, int status)
{
    struct child *child = children_find(&m->children, pid);

    if (pid == m->front_pid) {
        m->front_ended = true;
        m->front_status = status;
    }
    if (pid == m->rechecker)
        m->rechecker = 0;
    for (unsigned n = 0; n < LAYERS_DEVICES_MAX; n++)
        if (pid == m->refreshers[n])
            m->refreshers[n] = 0;
    if (child)
        report_end(m, child, pid, status);
}

static void reap(struct monitor *m)
{
    int status;
    pid_t pid;

    do {
        m->is_behind = !can_answer(m);
        if (m->is_behind)
            return;
        pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0)
            take_end(m, pid, status);
    } while (pid > 0);
}

/* The first signal unmounts lazily: open files stay open. The second kills the front. */
static void take_signals(struct monitor *m)
{
    struct signalfd_siginfo info;

    while (read(m->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (m->end_requests++ == 0)
            mount_end(m->mount);
        else
            kill(m->front_pid, SIGKILL);
    }
}

/* Serves the front until it ends. */
static void serve(struct monitor *m)
{
    while (!m->front_ended) {
        short events = m->is_behind ? POLLOUT : POLLIN;
        struct pollfd fds[] = {{.fd = m->signals, .events = POLLIN},
                               {.fd = m->socket, .events = events},
                               {.fd = m->rechecked[0], .events = POLLIN}};

        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[2].revents)
            read_rechecked(m);
        if (fds[1].revents)
            read_requests(m);
        if (fds[0].revents)
            take_signals(m);
        reap(m);
    }
}

/* Returns the exit status for how the front ended, and reports a signal that was not ours. */
static int front_status(const struct monitor *m)
{
    if (WIFEXITED(m->front_status))
        return WEXITSTATUS(m->front_status);
    if (m->end_requests > 1)
        return EXIT_GOOD;
    complain("the front process was killed by signal %d: the image is unmounted",
             WTERMSIG(m->front_status));
    return EXIT_SYSTEM;
}

int monitor_run(struct front *front, const struct mount *mount, int ready)
{
    struct monitor m = {.front = front, .mount = mount, .socket = -1, .ready = ready};
    sigset_t set;

    begin_watch(front);
    handled_signals(&set);
    m.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (m.signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, m.rechecked) < 0 ||
        start_front(&m) < 0) {
        complain("cannot start a process: %s", strerror(errno));
        mount_end(mount);
        return EXIT_SYSTEM;
    }
    serve(&m);
    mount_end_dead(mount);
    children_kill(&m.children);
    children_await(-1, END_MS);
    return front_status(&m);
}
