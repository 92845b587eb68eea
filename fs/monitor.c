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

enum { REQUESTS_AT_ONCE = 32 }; /* then others have their turn: signals, children */

enum { END_MS = 1000 }; /* for the last of them to end in */

struct monitor {
    struct front *front;
    const struct mount *mount;
    pid_t front_pid;
    bool front_ended;
    int front_status;    /* as of waitpid(2) */
    int signals, socket; /* socket: -1: the front said nonsense, or is gone */
    int news[2];         /* of files that were found: to read, and for those who look to write */
    pid_t looker, askers[LAYERS_DEVICES_MAX]; /* 0: none */
    bool is_behind;                         /* the front takes no more answers now */
    int ready;                              /* the front's; -1: nobody waits */
    unsigned asked_to_end;
    struct children children;
};

static void signals_taken(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGQUIT);
}

/* What a shell made us ignore for being in its background is not ignored. */
void monitor_block_signals(void)
{
    sigset_t set;

    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signals_taken(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What every child does first: what a terminal sends is the monitor's to take, all else is as it
 * was. */
static void become_child(const struct monitor *m)
{
    sigset_t none;

    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(m->signals);
    close(m->news[0]);
}

/* Forks the front, which gets the other end of the socket. Returns 0 or -errno. */
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
    /* The connection must end with the front. */
    close(fuse_session_fd(m->front->session));
    return 0;
}

/* Ends the connection, and all jobs: nobody is there whom they could tell. */
static void hang_up(struct monitor *m)
{
    close(m->socket);
    m->socket = -1;
    children_kill(&m->children);
}

/*
 * Answers the front, with descriptor fd unless that is -1. 0 or -errno: the kernel did not take
 * that descriptor (ETOOMANYREFS: the user has too many on their way), and nothing was sent.
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

/* Whether the front takes answers, or is gone. If it does not, what there is to tell waits. */
static bool takes_answers(const struct monitor *m)
{
    return m->socket < 0 || wire_has_room(m->socket);
}

/* Watches all files that are open. */
static void begin_watch(struct front *front)
{
    int fds[LAYERS_MAX + LAYERS_DATA_FILES_HELD];
    unsigned count = layers_descriptors(&front->image.layers, fds);

    watch_begin(&front->image.watch);
    for (unsigned i = 0; i < count; i++)
        watch_file(&front->image.watch, fds[i]);
}

/* In a new process: looks for another file of the image's name, takes and watches it, and tells of
 * it. */
static void look(struct monitor *m)
{
    struct layers *layers = &m->front->image.layers;
    struct stat st;
    int fd = layers_recheck(layers, &st);
    struct wire_news news = {.status = fd < 0 ? fd : 0};

    if (fd >= 0) {
        watch_file(&m->front->image.watch, fd);
        news.storage = image_file_storage(fd);
    }
    wire_send(m->news[1], &news, sizeof news, fd);
    if (fd >= 0)
        layers_replace(layers, fd, news.storage);
}

/* In a new process: runs the job that r asks for; socket: on which it asks for parts, or -1. */
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
    if (r->recheck &&
        view_layer(r->view) == 0) /* those of other layers need not wait for its storage */
        look(m);
    if (r->set) {
        set.directory = &nodes[r->directory];
        set.target = targets[r->target];
        order.set = &set;
    }
    if (socket >= 0) {
        front->image.layers.fetch = job_fetch_part;
        front->image.layers.fetch_context = socket;
    }
    job_run(&order);
}

/*
 * Forks the process that opens parts for a job, as opening a file may take as long as its file
 * system likes, and the monitor never waits. Without it, the job's questions fail.
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
        close(m->news[1]);
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

/* Forks a job: *child. Returns the read end of its pipe, or -errno. */
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
        /* A job ends with its monitor. (A front does not: it can answer what it knows, and be
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

/* Forks a process that looks or asks, and ends: *pid is its number, 0 if there is none. Returns
 * whether this is it. */
static bool fork_looker(struct monitor *m, pid_t *pid)
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

/* Looks for another file of the image's name; and asks the storage of all files, of which one may
 * hang. */
static void take_look(struct monitor *m)
{
    const struct layers *layers = &m->front->image.layers;
    unsigned asked = layers_devices(layers);

    if (!m->looker && fork_looker(m, &m->looker)) {
        look(m);
        _exit(0);
    }
    for (unsigned n = 0; n < asked; n++)
        if (!m->askers[n] && fork_looker(m, &m->askers[n])) {
            layers_refresh(layers, n);
            _exit(0);
        }
}

/* Takes what was found: another file is the image from now on, unless the front cannot be told. */
static void read_news(struct monitor *m)
{
    struct wire_news news;
    int fd;

    while (wire_receive(m->news[0], &news, sizeof news, &fd) == 1) {
        const struct wire_answer a = {
            .kind = WIRE_RECHECKED, .status = news.status, .storage = news.storage};

        if (answer(m, a, fd) < 0)
            close(fd);
        else if (fd >= 0)
            layers_replace(&m->front->image.layers, fd, news.storage);
    }
}

/* Starts a job, and sends the front the end of its pipe. */
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
        take_look(m);
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
        m->is_behind = !takes_answers(m);
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

/* Tells of the end of a job, or of its opener if that is the last of its processes. */
static void tell_end(struct monitor *m, struct child *child, pid_t pid, int status)
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
    if (pid == m->looker)
        m->looker = 0;
    for (unsigned n = 0; n < LAYERS_DEVICES_MAX; n++)
        if (pid == m->askers[n])
            m->askers[n] = 0;
    if (child)
        tell_end(m, child, pid, status);
}

static void reap(struct monitor *m)
{
    int status;
    pid_t pid;

    do {
        m->is_behind = !takes_answers(m);
        if (m->is_behind)
            return;
        pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0)
            take_end(m, pid, status);
    } while (pid > 0);
}

/* The first signal unmounts, lazily: what is open stays so. The second ends the front, whatever is
 * open. */
static void take_signals(struct monitor *m)
{
    struct signalfd_siginfo info;

    while (read(m->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue;
        if (m->asked_to_end++ == 0)
            mount_end(m->mount);
        else
            kill(m->front_pid, SIGKILL);
    }
}

static void watch(struct monitor *m)
{
    while (!m->front_ended) {
        short events = m->is_behind ? POLLOUT : POLLIN;
        struct pollfd fds[] = {{.fd = m->signals, .events = POLLIN},
                               {.fd = m->socket, .events = events},
                               {.fd = m->news[0], .events = POLLIN}};

        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[2].revents)
            read_news(m);
        if (fds[1].revents)
            read_requests(m);
        if (fds[0].revents)
            take_signals(m);
        reap(m);
    }
}

/* How the front ended, said if nobody wanted it so. Returns an exit status. */
static int front_status(const struct monitor *m)
{
    if (WIFEXITED(m->front_status))
        return WEXITSTATUS(m->front_status);
    if (m->asked_to_end > 1)
        return EXIT_GOOD;
    complain("the process that answers the kernel was killed by signal %d: it is unmounted",
             WTERMSIG(m->front_status));
    return EXIT_SYSTEM;
}

int monitor_run(struct front *front, const struct mount *mount, int ready)
{
    struct monitor m = {.front = front, .mount = mount, .socket = -1, .ready = ready};
    sigset_t set;

    begin_watch(front);
    signals_taken(&set);
    m.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (m.signals < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, m.news) < 0 ||
        start_front(&m) < 0) {
        complain("cannot start a process: %s", strerror(errno));
        mount_end(mount);
        return EXIT_SYSTEM;
    }
    watch(&m);
    mount_end_dead(mount);
    children_kill(&m.children);
    children_await(-1, END_MS);
    return front_status(&m);
}
