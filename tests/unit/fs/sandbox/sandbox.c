// SPDX-License-Identifier: Apache-2.0
/* Each layer of the sandbox alone stops what it should; all of them together allow what jobs and
 * the front need, and nothing else. */
#include "fs/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/random.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detect/files/image-file.h"
#include "fs/sandbox/sanitizers.h"
#include "tests/support/support.h"

/* An action tried in the sandbox. Returns 0, or the errno with which it failed. */
typedef int (*attempt)(void);

enum { ESCAPED = 200 };

static int image, out[2]; /* descriptors that the processes keep */
static bool is_root;      /* root runs the tests */

/* A directory that all users may enter, with a file and a directory. Tests add a set-uid program,
 * and move or link the file into the directory. */
static char top[32], file[48], program[48], below[48], moved[48], linked[48];

/* A listening socket with an abstract name; this process enters no layer. */
static int listener;
static struct sockaddr_un listens_at;
static socklen_t listens_length;

static struct sandbox_filter filters[SANDBOX_KINDS];

static int make_filters(void **state)
{
    (void)state;
    for (enum sandbox_kind kind = 0; kind < SANDBOX_KINDS; kind++)
        sandbox_filter_make(&filters[kind], kind);
    return 0;
}

static int open_files(void **state)
{
    (void)state;
    is_root = getuid() == 0;
    image = temporary_file("/tmp");
    return image < 0 || pwrite(image, "image", 5, 0) != 5 || pipe(out) < 0;
}

static int close_files(void **state)
{
    (void)state;
    close(image);
    close(out[0]);
    close(out[1]);
    return 0;
}

static int make_tree(void)
{
    int fd;

    snprintf(top, sizeof top, "/tmp/instar-sandbox-XXXXXX");
    if (!mkdtemp(top) || chmod(top, 0755) < 0)
        return -1;
    snprintf(file, sizeof file, "%s/file", top);
    snprintf(program, sizeof program, "%s/program", top);
    snprintf(below, sizeof below, "%s/below", top);
    snprintf(moved, sizeof moved, "%s/below/moved", top);
    snprintf(linked, sizeof linked, "%s/below/linked", top);
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 || close(fd) < 0 || mkdir(below, 0700) < 0 ? -1 : 0;
}

/* The kernel chooses the name. */
static int begin_listening(void)
{
    struct sockaddr *at = (struct sockaddr *)&listens_at;

    listens_at.sun_family = AF_UNIX;
    listens_length = sizeof listens_at;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return listener < 0 || bind(listener, at, sizeof listens_at.sun_family) < 0 ||
                   listen(listener, 8) < 0 || getsockname(listener, at, &listens_length) < 0
               ? -1
               : 0;
}

static int open_tree(void **state)
{
    return open_files(state) || make_tree() < 0 || begin_listening() < 0;
}

static int close_tree(void **state)
{
    const char *const files[] = {file, program, moved, linked};

    for (size_t i = 0; i < COUNT(files); i++)
        unlink(files[i]);
    close(listener);
    return rmdir(below) < 0 || rmdir(top) < 0 || close_files(state);
}

/* Enters the layer (SANDBOX_LAYERS: all) in a child process, and calls try there. Returns the wait
 * status. */
static int run(enum sandbox_kind kind, enum sandbox_layer layer, attempt try)
{
    struct sandbox_process process = {.kind = kind, .filters = filters};
    struct sandbox_state state;
    int status, error;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        if (layer == SANDBOX_LANDLOCK) /* without no_new_privs only root may enter it */
            sandbox_enter_layer(SANDBOX_NO_NEW_PRIVS, &process, &state);
        error = layer == SANDBOX_LAYERS ? sandbox_enter(SANDBOX_REQUIRE, &process, &state)
                                        : sandbox_enter_layer(layer, &process, &state);
        _exit(error ? ESCAPED : try());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* If this is root, becomes a user without privileges. */
static int become_user(void)
{
    return is_root && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0) ? -1 : 0;
}

static void assert_errno(enum sandbox_layer layer, attempt try, int expected)
{
    int status = run(SANDBOX_JOB, layer, try);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

/* In each kind of process the system call is killed by SIGSYS. */
static void assert_killed(attempt try)
{
    for (enum sandbox_kind kind = SANDBOX_JOB; kind <= SANDBOX_FRONT; kind++) {
        int status = run(kind, SANDBOX_SECCOMP, try);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

static int result(long value)
{
    return value < 0 ? errno : 0;
}

static int try_open(void)
{
    return result(open("/etc/passwd", O_RDONLY));
}

static int try_openat2(void)
{
    const uint64_t how[3] = {O_RDONLY};

    return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how));
}

static int try_create(void)
{
    return result(open("/tmp/instar-sandbox", O_WRONLY | O_CREAT, 0600));
}

static int try_socket(void)
{
    return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_connect(void)
{
    const struct sockaddr_un abstract = {AF_UNIX, "\0instar-sandbox"};

    return result(connect(out[0], (const struct sockaddr *)&abstract, 3 + 14));
}

static int try_connect_abstract(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return fd < 0 ? ESCAPED
                  : result(connect(fd, (const struct sockaddr *)&listens_at, listens_length));
}

/* No server need listen there: only EACCES, from Landlock, is a failure. */
static int try_connect_tcp(void)
{
    const struct sockaddr_in first = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return ESCAPED;
    return connect(fd, (const struct sockaddr *)&first, sizeof first) < 0 && errno == EACCES
               ? EACCES
               : 0;
}

static int try_bind_tcp(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? ESCAPED : result(bind(fd, (const struct sockaddr *)&any, sizeof any));
}

static int try_truncate(void)
{
    return result(truncate(file, 1));
}

static int try_link(void)
{
    return result(link(file, linked));
}

static int try_rename(void)
{
    return result(rename(file, moved));
}

/* A device opened with O_ACCMODE, neither for reading nor for writing, needs no right until
 * ioctl(2).
 */
static int try_device(void)
{
    int fd = open("/dev/urandom", O_ACCMODE | O_CLOEXEC), bits;

    return fd < 0 ? ESCAPED : result(ioctl(fd, RNDGETENTCNT, &bits));
}

static int try_exec(void)
{
    char *const arguments[] = {(char[]){"/bin/true"}, NULL};

    return result(execv(arguments[0], arguments));
}

static int try_fork(void)
{
    return result(fork());
}

/* RLIMIT_NPROC does not limit root. */
static int try_fork_as_user(void)
{
    return become_user() < 0 ? ESCAPED : try_fork();
}

static int try_thread(void)
{
    return result(syscall(SYS_clone, CLONE_VM | CLONE_FS, NULL, NULL, NULL, NULL));
}

static int try_ptrace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_kill_first(void)
{
    return result(kill(1, 0));
}

/* PTRACE_SEIZE, as it does not stop the parent, which has to wait for this process. */
static int try_trace_parent(void)
{
    return result(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}

/* Traces a child that has entered the layer; both are of the same user, without privileges. */
static int trace_child(enum sandbox_layer layer)
{
    struct sandbox_process process = {.kind = SANDBOX_JOB, .filters = filters};
    struct sandbox_state state;
    int ends[2], error;
    pid_t pid;
    char byte;

    if (become_user() < 0 || pipe(ends) < 0 || (pid = fork()) < 0)
        return ESCAPED;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_DUMPABLE, 1); /* the change of user has cleared it, not the layer */
        if (sandbox_enter_layer(layer, &process, &state) == 0 && write(ends[1], "x", 1) == 1)
            pause();
        _exit(0);
    }
    close(ends[1]);
    error = read(ends[0], &byte, 1) == 1 ? result(ptrace(PTRACE_SEIZE, pid, NULL, NULL)) : ESCAPED;
    kill(pid, SIGKILL);
    return error;
}

static int try_trace_undumpable(void)
{
    return trace_child(SANDBOX_UNDUMPABLE);
}

static int try_trace_another(void)
{
    return trace_child(SANDBOX_NO_NEW_PRIVS);
}

/* Executes the set-uid program, which exits with EPERM if it is not root's process. */
static int try_set_uid(void)
{
    char *const arguments[] = {program, (char[]){"user"}, NULL};

    return become_user() < 0 ? ESCAPED : result(execv(program, arguments));
}

static int try_kill(void)
{
    return result(kill(getppid(), 0));
}

static int try_kill_itself(void)
{
    return result(kill(getpid(), 0));
}

static int try_executable_memory(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? errno : 0;
}

static int try_make_executable(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? errno : result(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int try_map_image(void)
{
    void *memory = mmap(NULL, 5, PROT_READ, MAP_PRIVATE, image, 0);

    return memory == MAP_FAILED ? errno : 0;
}

static int try_stat(void)
{
    struct statx stx;

    return result(statx(AT_FDCWD, "/etc/passwd", 0, STATX_SIZE, &stx));
}

static int try_stat_with_flag(void)
{
    struct statx stx;

    return result(statx(AT_FDCWD, "/etc/passwd", AT_EMPTY_PATH, STATX_SIZE, &stx));
}

static int try_terminal(void)
{
    return result(ioctl(image, TIOCSTI, "x"));
}

static int try_duplicate(void)
{
    return result(dup(image));
}

static int try_raise_limit(void)
{
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

    return become_user() < 0 ? ESCAPED : result(setrlimit(RLIMIT_FSIZE, &none));
}

/* The filter allows O_NONBLOCK only. */
static int try_set_flags(void)
{
    return result(fcntl(image, F_SETFL, O_APPEND));
}

static int try_setuid(void)
{
    return result(setuid(0));
}

static int try_mount_namespace(void)
{
    return result(syscall(SYS_unshare, CLONE_NEWNS));
}

static int try_write_file(void)
{
    signal(SIGXFSZ, SIG_IGN);
    return result(pwrite(image, "x", 1, 0));
}

static int try_much_memory(void)
{
    void *memory = mmap(NULL, UINT64_C(512) << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? errno : 0;
}

static int get_dumpable(void)
{
    return prctl(PR_GET_DUMPABLE);
}

static int check_no_new_privs(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : ESCAPED;
}

/* Limits that were lower stay. */
static int check_lower_limits(void)
{
    const struct sandbox_process process = {.cpu_seconds = 600};
    const struct rlimit lower = {.rlim_cur = 50, .rlim_max = 100};
    struct sandbox_state state = {.layers = 0};
    struct rlimit cpu;

    if (setrlimit(RLIMIT_CPU, &lower) < 0 || become_user() < 0 ||
        sandbox_enter_layer(SANDBOX_LIMITS, &process, &state) < 0)
        return ESCAPED;
    return getrlimit(RLIMIT_CPU, &cpu) < 0 || cpu.rlim_cur != 50 || cpu.rlim_max != 100 ||
           state.cpu_seconds != 50;
}

static int check_core(void)
{
    struct rlimit core;

    return getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max;
}

/* All five capability sets are empty. Only root can empty the bounding set; for other users
 * no_new_privs makes it ineffective. */
static int check_capabilities(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    int found = 0, bad = 0;

    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "Cap", 3) == 0) {
            found++;
            bad |=
                strtoull(line + 7, NULL, 16) != 0 && (is_root || strncmp(line, "CapBnd", 6) != 0);
        }
    return found == 5 && !bad ? 0 : ESCAPED;
}

static int check_user(void)
{
    bool has_groups = is_root && getgroups(0, NULL) != 0;

    return getuid() && geteuid() && getgid() && getegid() && !has_groups ? 0 : ESCAPED;
}

/* Without the layer each attempt succeeds: otherwise its failure would not show what the layer
 * does.
 */
static void test_without(void **state)
{
    static const attempt attempts[] = {
        try_open,        try_openat2,
        try_socket,      try_fork,
        try_ptrace,      try_kill,
        try_stat,        try_executable_memory,
        try_map_image,   try_stat_with_flag,
        try_exec,        try_duplicate,
        try_kill_itself, try_make_executable,
        try_write_file,  try_much_memory,
        try_truncate,    try_link,
        try_bind_tcp,    try_connect_tcp,
        try_device,      try_connect_abstract,
        try_set_flags,   try_rename,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(attempts); i++)
        assert_errno(SANDBOX_UNDUMPABLE, attempts[i], 0);
}

/* Yama's restriction of ptrace(2), 0 to 3; 0 if the kernel does not have Yama. */
static int yama_scope(void)
{
    FILE *scope = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int digit = scope ? fgetc(scope) : '0';

    if (scope)
        fclose(scope);
    return digit - '0';
}

static void test_without_tracing(void **state)
{
    (void)state;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* for Yama */
    assert_errno(SANDBOX_UNDUMPABLE, try_trace_parent,
                 yama_scope() < (is_root ? 3 : 2) ? 0 : EPERM);
    prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}

static void test_user(void **state)
{
    (void)state;
    assert_errno(SANDBOX_USER, check_user, 0);
    assert_errno(SANDBOX_USER, try_setuid, EPERM);
    assert_errno(SANDBOX_USER, try_kill_first, EPERM);
    assert_errno(SANDBOX_USER, try_kill, is_root ? EPERM : 0);
    assert_errno(SANDBOX_USER, try_mount_namespace, EPERM);
}

static void test_capabilities(void **state)
{
    (void)state;
    assert_errno(SANDBOX_CAPABILITIES, check_capabilities, 0);
    assert_errno(SANDBOX_CAPABILITIES, try_mount_namespace, EPERM);
}

static void test_undumpable(void **state)
{
    (void)state;
    assert_errno(SANDBOX_UNDUMPABLE, get_dumpable, 0);
    assert_errno(SANDBOX_NO_NEW_PRIVS, try_trace_another, yama_scope() < 2 ? 0 : EPERM);
    assert_errno(SANDBOX_NO_NEW_PRIVS, try_trace_undumpable, EPERM);
}

/* Copies this program to a set-uid file. */
static int copy_program(void)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    ssize_t copied;

    do
        copied = sendfile(to, from, NULL, 1 << 20);
    while (copied > 0);
    if (copied == 0 && fchmod(to, 04755) < 0)
        copied = -1;
    close(from);
    close(to);
    return (int)copied;
}

static void test_no_new_privs(void **state)
{
    struct statvfs storage;
    bool raises;
    int refusal;

    (void)state;
    assert_errno(SANDBOX_NO_NEW_PRIVS, check_no_new_privs, 0);
    assert_int_equal(statvfs(top, &storage), 0);
    assert_int_equal(copy_program(), 0);
    /* The copy is set-uid root only if root made it and the file system allows such programs. */
    raises = is_root && !(storage.f_flag & (ST_NOSUID | ST_NOEXEC));
    refusal = storage.f_flag & ST_NOEXEC ? EACCES : EPERM;
    assert_errno(SANDBOX_UNDUMPABLE, try_set_uid, raises ? 0 : refusal);
    assert_errno(SANDBOX_NO_NEW_PRIVS, try_set_uid, refusal);
}

/* Older kernels deny less; but links and renames between directories every ABI denies. */
static void test_landlock(void **state)
{
    static const struct {
        long abi; /* that introduced the right */
        attempt try;
        int before, since;
    } cases[] = {
        {1, try_open, 0, EACCES},        {1, try_openat2, 0, EACCES},
        {1, try_create, 0, EACCES},      {1, try_exec, 0, EACCES},
        {1, try_trace_parent, 0, EPERM}, {2, try_link, EXDEV, EACCES},
        {2, try_rename, EXDEV, EACCES},  {3, try_truncate, 0, EACCES},
        {4, try_bind_tcp, 0, EACCES},    {4, try_connect_tcp, 0, EACCES},
        {5, try_device, 0, EACCES},      {6, try_connect_abstract, 0, EPERM},
        {6, try_kill, 0, EPERM},
    };
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_errno(SANDBOX_LANDLOCK, cases[i].try,
                     abi < cases[i].abi ? cases[i].before : cases[i].since);
}

static void test_limits(void **state)
{
    (void)state;
    assert_errno(SANDBOX_LIMITS, try_open, EMFILE);
    assert_errno(SANDBOX_LIMITS, try_socket, EMFILE);
    assert_errno(SANDBOX_LIMITS, try_duplicate, EMFILE);
    assert_errno(SANDBOX_LIMITS, check_core, 0);
    assert_errno(SANDBOX_UNDUMPABLE, check_lower_limits, 0);
    assert_errno(SANDBOX_LIMITS, try_raise_limit, EPERM);
    assert_errno(SANDBOX_LIMITS, try_fork_as_user, EAGAIN);
    assert_errno(SANDBOX_LIMITS, try_write_file, EFBIG);
    assert_errno(SANDBOX_LIMITS, try_much_memory, HAS_SANITIZERS ? 0 : ENOMEM);
}

static void test_seccomp(void **state)
{
    static const attempt attempts[] = {
        try_open,       try_openat2,
        try_create,     try_socket,
        try_connect,    try_exec,
        try_fork,       try_thread,
        try_ptrace,     try_trace_parent,
        try_kill,       try_kill_itself,
        try_stat,       try_executable_memory,
        try_map_image,  try_stat_with_flag,
        try_terminal,   try_duplicate,
        try_setuid,     try_mount_namespace,
        try_write_file, try_raise_limit,
        try_set_flags,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(attempts); i++)
        assert_killed(attempts[i]);
    /* Sanitizers use mprotect(2). */
    assert_int_equal(run(SANDBOX_JOB, SANDBOX_SECCOMP, try_make_executable),
                     HAS_SANITIZERS ? 0 : SIGSYS);
}

/* A job may write to its standard output only. */
static int write_elsewhere(void)
{
    return result(write(out[0], "x", 1));
}

/* What a job needs. */
static int do_job(void)
{
    struct fiemap list = {.fm_length = 1};
    struct stat st;
    char bytes[5];
    char *memory = malloc(1 << 20);

    if (!memory || pread(image, bytes, 5, 0) != 5 || memcmp(bytes, "image", 5) != 0)
        return 1;
    if (syscall(SYS_fstat, image, &st) < 0 || lseek(image, 0, SEEK_DATA) != 0)
        return 2;
    if (ioctl(image, FS_IOC_FIEMAP, &list) < 0 && errno != EOPNOTSUPP && errno != ENOTTY)
        return 3;
    free(memory);
    return write(STDOUT_FILENO, "done", 4) == 4 ? 0 : 4;
}

/* What the front needs. */
static int do_front(void)
{
    struct pollfd wait = {.fd = out[1], .events = POLLOUT};
    struct stat st = {.st_size = 0};

    if (poll(&wait, 1, 0) != 1 || !image_file_has_changed(image, &st) || st.st_size != 5)
        return 1;
    if (fcntl(out[1], F_SETFL, O_NONBLOCK) < 0 || strcmp(image_file_use(image), "no") != 0)
        return 2;
    return write(out[1], "done", 4) == 4 ? 0 : 3;
}

static void assert_done(enum sandbox_kind kind, attempt try)
{
    char bytes[5] = "";

    assert_int_equal(run(kind, SANDBOX_LAYERS, try), 0);
    assert_int_equal(read(out[0], bytes, 4), 4);
    assert_string_equal(bytes, "done");
}

static void test_work(void **state)
{
    /* Sanitizers write to the standard error. */
    const int elsewhere = HAS_SANITIZERS ? EBADF << 8 : SIGSYS;

    (void)state;
    assert_done(SANDBOX_JOB, do_job);
    assert_done(SANDBOX_FRONT, do_front);
    assert_int_equal(run(SANDBOX_JOB, SANDBOX_LAYERS, write_elsewhere), elsewhere);
}

/* Enters with that mode; keeps_user makes the layer user fail for root. Returns the state. */
static struct sandbox_state enter(enum sandbox_mode mode, bool keeps_user, int *error)
{
    const struct sandbox_process process = {.keeps_user = keeps_user, .filters = filters};
    struct {
        struct sandbox_state state;
        int error;
    } answer;
    int status;

    if (fork() == 0) {
        dup2(out[1], STDOUT_FILENO);
        answer.error = sandbox_enter(mode, &process, &answer.state);
        _exit(write(STDOUT_FILENO, &answer, sizeof answer) != sizeof answer);
    }
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    assert_int_equal(read(out[0], &answer, sizeof answer), sizeof answer);
    *error = answer.error;
    return answer.state;
}

static void test_modes(void **state)
{
    const uint32_t all = (1u << SANDBOX_LAYERS) - 1;
    /* For a process that is not root's the layer user succeeds, and changes nothing. */
    const uint32_t kept = is_root ? all & ~(1u << SANDBOX_USER) : all;
    struct sandbox_state s;
    int error;

    (void)state;
    s = enter(SANDBOX_REQUIRE, false, &error);
    assert_int_equal(error, 0);
    assert_int_equal(s.layers, all);
    assert_int_equal(s.failed, SANDBOX_LAYERS);
    assert_true(s.landlock_abi >= 1);
    assert_true(s.calls >= 10 && s.calls <= 21);
    s = enter(SANDBOX_OFF, false, &error);
    assert_int_equal(error, 0);
    assert_int_equal(s.layers, 0);
    s = enter(SANDBOX_REQUIRE, true, &error);
    assert_int_equal(error, is_root ? -EPERM : 0);
    assert_int_equal(s.failed, is_root ? SANDBOX_USER : SANDBOX_LAYERS);
    assert_int_equal(s.error, error);
    for (enum sandbox_mode mode = SANDBOX_DEFAULT; mode < SANDBOX_OFF;
         mode += SANDBOX_BEST_EFFORT - SANDBOX_DEFAULT) {
        s = enter(mode, true, &error);
        assert_int_equal(error, 0);
        assert_int_equal(s.layers, kept);
        assert_int_equal(s.user, getuid());
    }
}

/* The number of allowed calls, for all kinds of processes. */
static void test_calls(void **state)
{
    (void)state;
    for (enum sandbox_kind kind = 0; kind < SANDBOX_KINDS; kind++) {
        assert_int_equal(filters[kind].error, 0);
        assert_true(filters[kind].calls <= (kind == SANDBOX_FRONT ? 30 : 21));
    }
}

/* If the filter could not be made, entering the layer returns the reason. */
static void test_no_filter(void **state)
{
    const struct sandbox_filter none[SANDBOX_KINDS] = {{.error = -ENOSYS}};
    const struct sandbox_process process = {.filters = none};
    struct sandbox_state s = {.layers = 0};

    (void)state;
    assert_int_equal(sandbox_enter_layer(SANDBOX_SECCOMP, &process, &s), -ENOSYS);
    assert_int_equal(s.layers, 0);
}

/* The end of the parent kills the child, although that has become another user. */
static void test_death_signal(void **state)
{
    const struct sandbox_process process = {.kind = SANDBOX_JOB};
    char byte;

    (void)state;
    if (fork() == 0) {
        pid_t child = fork();

        if (child == 0) {
            struct sandbox_state s = {.layers = 0};

            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(out[0]);
            if (sandbox_enter_layer(SANDBOX_USER, &process, &s) == 0 && write(out[1], "x", 1) == 1)
                pause();
            _exit(0);
        }
        if (read(out[0], &byte, 1) != 1)
            kill(child, SIGKILL);
        _exit(0);
    }
    wait(NULL);
    close(out[1]);
    assert_int_equal(read(out[0], &byte, 1), 0); /* end of file: the child has ended */
    out[1] = dup(out[0]);
}

static void test_close_others(void **state)
{
    int fds[20], status;

    (void)state;
    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = dup(image);
    if (fork() == 0) {
        int keep[] = {fds[11], -1, STDERR_FILENO, fds[3], fds[4]};
        bool right = true;
        struct stat st;

        for (int fd = 0; fd < 3; fd++)
            dup2(image, fd);
        sandbox_close_others(keep, COUNT(keep));
        for (size_t i = 0; i < COUNT(fds); i++)
            right &= (fcntl(fds[i], F_GETFD) >= 0) == (i == 11 || i == 3 || i == 4);
        for (int fd = 0; fd < 3; fd++)
            right &= fstat(fd, &st) == 0 && (fd == STDERR_FILENO) == S_ISREG(st.st_mode);
        _exit(!right);
    }
    wait(&status);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(sandbox_mode_by_name("require"), SANDBOX_REQUIRE);
    assert_int_equal(sandbox_mode_by_name("best-effort"), SANDBOX_BEST_EFFORT);
    assert_int_equal(sandbox_mode_by_name("none"), -1);
    for (int i = 0; i < SANDBOX_MODES; i++)
        assert_int_equal(sandbox_mode_by_name(sandbox_mode_name((enum sandbox_mode)i)), i);
    assert_string_equal(sandbox_layer_name(SANDBOX_LANDLOCK), "landlock");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(test_without_tracing, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_user, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_capabilities, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_undumpable, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_no_new_privs, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(test_landlock, open_tree, close_tree),
        cmocka_unit_test_setup_teardown(test_limits, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_seccomp, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_work, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_modes, open_files, close_files),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_no_filter),
        cmocka_unit_test_setup_teardown(test_death_signal, open_files, close_files),
        cmocka_unit_test_setup_teardown(test_close_others, open_files, close_files),
        cmocka_unit_test(test_names),
    };

    if (argc > 1 && strcmp(argv[1], "user") == 0) /* started by one of the tests */
        _exit(geteuid() == 0 ? 0 : EPERM);
    return cmocka_run_group_tests(tests, make_filters, NULL);
}
