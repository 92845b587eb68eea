// SPDX-License-Identifier: Apache-2.0
/*
 * The layers of the sandbox; the system calls of the last one are in calls.c. Layers that need
 * privileges to be entered come before those that drop them.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sanitizers.h"

enum {
    NOBODY = 65534,          /* the kernel's default overflow user ID */
    JOB_MEMORY = 256 << 20,  /* bytes of address space: a session has 16 MiB, the rest is code */
    JOB_DESCRIPTORS = 192,   /* layers, and extent files open at a time */
    FRONT_MEMORY = 1 << 30,  /* bytes: results of all files, and data received from jobs */
    FRONT_DESCRIPTORS = 320, /* layers, extent files held open, pipes of jobs */
    ERRNO_MAX = 4095,        /* the kernel's MAX_ERRNO */
    CALLS_MAX = 64,
    LANDLOCK_ABI = 7, /* the newest that this program supports */
};

/* Rights by the ABI that introduced them. Numbers, as the headers may be older than the kernel. */
static const struct {
    int abi;
    uint64_t files, network, scopes;
} landlock_rights[] = {
    {1, 0x1fff, 0, 0},  /* EXECUTE to MAKE_SYM */
    {2, 1 << 13, 0, 0}, /* REFER */
    {3, 1 << 14, 0, 0}, /* TRUNCATE */
    {4, 0, 3, 0},       /* BIND_TCP, CONNECT_TCP */
    {5, 1 << 15, 0, 0}, /* IOCTL_DEV */
    {6, 0, 0, 3},       /* ABSTRACT_UNIX_SOCKET, SIGNAL */
};

/* struct landlock_ruleset_attr as of ABI 6. */
struct ruleset {
    uint64_t files, network, scopes;
};

/* Sets the parent death signal again, which a change of user clears, and checks that the parent is
 * still the same: a signal meanwhile would have been lost. 0 or -errno. */
static int restore_death_signal(int number, pid_t parent)
{
    if (number && prctl(PR_SET_PDEATHSIG, number) < 0)
        return -errno;
    return number && getppid() != parent ? -ESRCH : 0;
}

/* Empties the bounding set: root would otherwise regain capabilities by execve(2). The first call
 * fails where the process may not do it, or no longer may; the last one behind the last capability.
 */
static void drop_bounding_set(void)
{
    for (int i = 0; prctl(PR_CAPBSET_DROP, i) == 0; i++)
        continue;
}

/* Whether this process has CAP_KILL, and so its parent has: without it, the parent could not kill a
 * child that has become another user. */
static bool has_cap_kill(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3];

    return syscall(SYS_capget, &head, own) == 0 && own[0].effective & 1u << CAP_KILL;
}

static int enter_user(const struct sandbox_process *process, struct sandbox_state *state)
{
    pid_t parent = getppid();
    int number = 0, error = 0, restored;

    state->user = geteuid();
    if (geteuid() != 0 && getuid() != 0)
        return 0;
    if (process->keeps_user || !has_cap_kill())
        return -EPERM;
    prctl(PR_GET_PDEATHSIG, &number);
    drop_bounding_set();
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        error = -errno;
    state->user = geteuid();
    restored = restore_death_signal(number, parent);
    return error ? error : restored;
}

static int enter_capabilities(const struct sandbox_process *process, struct sandbox_state *state)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{.effective = 0}};

    (void)process;
    (void)state;
    drop_bounding_set();
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

static int enter_undumpable(const struct sandbox_process *process, struct sandbox_state *state)
{
    (void)process;
    (void)state;
    return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

static int enter_no_new_privs(const struct sandbox_process *process, struct sandbox_state *state)
{
    (void)process;
    (void)state;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* The size of struct ruleset for a kernel with that ABI. */
static size_t ruleset_bytes(int abi)
{
    return abi < 4   ? offsetof(struct ruleset, network)
           : abi < 6 ? offsetof(struct ruleset, scopes)
                     : sizeof(struct ruleset);
}

/* Handles all rights, and adds no rule that grants one. */
static int enter_landlock(const struct sandbox_process *process, struct sandbox_state *state)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset all = {.files = 0};
    int fd, error;

    (void)process;
    if (abi < 1)
        return abi < 0 ? -errno : -ENOSYS;
    abi = abi > LANDLOCK_ABI ? LANDLOCK_ABI : abi;
    for (size_t i = 0; i < sizeof landlock_rights / sizeof *landlock_rights; i++)
        if (landlock_rights[i].abi <= abi) {
            all.files |= landlock_rights[i].files;
            all.network |= landlock_rights[i].network;
            all.scopes |= landlock_rights[i].scopes;
        }
    fd = (int)syscall(SYS_landlock_create_ruleset, &all, ruleset_bytes((int)abi), 0);
    if (fd < 0)
        return -errno;
    error = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
    close(fd);
    state->landlock_abi = error ? 0 : (uint32_t)abi;
    return error;
}

/* Lowers a resource limit; one that is lower already stays. 0 or -errno. */
static int lower_limit(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
        return -errno;
    if (now.rlim_cur > soft)
        now.rlim_cur = soft;
    if (now.rlim_max > hard)
        now.rlim_max = hard;
    return setrlimit((__rlimit_resource_t)resource, &now) < 0 ? -errno : 0;
}

/* SIGXCPU shows why the process ended. If it is ignored, SIGKILL follows a second later. Sets *set
 * to the limit in force. */
static int limit_cpu(uint64_t seconds, uint32_t *set)
{
    struct rlimit now;
    int error;

    if (!seconds)
        return 0;
    error = lower_limit(RLIMIT_CPU, seconds, seconds + 1);
    if (!error && getrlimit(RLIMIT_CPU, &now) == 0 && now.rlim_cur <= INT32_MAX)
        *set = (uint32_t)now.rlim_cur;
    return error;
}

static int enter_limits(const struct sandbox_process *process, struct sandbox_state *state)
{
    bool is_job = process->kind != SANDBOX_FRONT;
    rlim_t descriptors = FRONT_DESCRIPTORS, memory = is_job ? JOB_MEMORY : FRONT_MEMORY;
    int error = lower_limit(RLIMIT_CORE, 0, 0);

    if (is_job)
        descriptors = process->kind == SANDBOX_ASKING_JOB ? JOB_DESCRIPTORS : 0;
    if (!error)
        error = lower_limit(RLIMIT_NPROC, 0, 0);
    if (!error)
        error = lower_limit(RLIMIT_NOFILE, descriptors, descriptors);
    if (!error && !process->writes_files)
        error = lower_limit(RLIMIT_FSIZE, 0, 0);
    if (!error && !HAS_SANITIZERS) /* their shadow memory takes terabytes of address space */
        error = lower_limit(RLIMIT_AS, memory, memory);
    return error ? error : limit_cpu(process->cpu_seconds, &state->cpu_seconds);
}

static int enter_seccomp(const struct sandbox_process *process, struct sandbox_state *state)
{
    const struct sandbox_filter *filter = &process->filters[process->kind];

    state->calls = filter->calls;
    return sandbox_limit_calls(filter);
}

static const struct {
    const char *name;
    int (*enter)(const struct sandbox_process *process, struct sandbox_state *state);
    bool is_required; /* in mode default */
} layers[SANDBOX_LAYERS] = {
    [SANDBOX_USER] = {"user", enter_user, false},
    [SANDBOX_CAPABILITIES] = {"capabilities", enter_capabilities, false},
    [SANDBOX_UNDUMPABLE] = {"undumpable", enter_undumpable, false},
    [SANDBOX_NO_NEW_PRIVS] = {"no_new_privs", enter_no_new_privs, true},
    [SANDBOX_LANDLOCK] = {"landlock", enter_landlock, false},
    [SANDBOX_LIMITS] = {"limits", enter_limits, false},
    [SANDBOX_SECCOMP] = {"seccomp", enter_seccomp, true},
};

static const char *const mode_names[SANDBOX_MODES] = {
    [SANDBOX_DEFAULT] = "default",
    [SANDBOX_REQUIRE] = "require",
    [SANDBOX_BEST_EFFORT] = "best-effort",
    [SANDBOX_OFF] = "off",
};

int sandbox_enter_layer(enum sandbox_layer layer, const struct sandbox_process *process,
                        struct sandbox_state *state)
{
    int error = layers[layer].enter(process, state);

    if (!error)
        state->layers |= 1u << layer;
    return error;
}

int sandbox_enter(enum sandbox_mode mode, const struct sandbox_process *process,
                  struct sandbox_state *state)
{
    *state = (struct sandbox_state){.user = geteuid(), .failed = SANDBOX_LAYERS};
    for (enum sandbox_layer i = 0; i < SANDBOX_LAYERS && mode != SANDBOX_OFF; i++) {
        int error = sandbox_enter_layer(i, process, state);

        if (error &&
            (mode == SANDBOX_REQUIRE || (mode == SANDBOX_DEFAULT && layers[i].is_required))) {
            state->failed = i;
            state->error = error;
            return error;
        }
    }
    return 0;
}

bool sandbox_describe_failure(const struct sandbox_state *state, char *words, size_t size)
{
    if (!state->error || state->failed >= SANDBOX_LAYERS)
        return false;
    snprintf(words, size, "sandbox: cannot enter layer %s: %s (see -o sandbox in mount.instar(8))",
             layers[state->failed].name, strerror(-state->error));
    return true;
}

bool sandbox_state_is_possible(const struct sandbox_state *state)
{
    return state->failed <= SANDBOX_LAYERS && state->error <= 0 && state->error >= -ERRNO_MAX &&
           state->layers < 1u << SANDBOX_LAYERS && state->landlock_abi <= LANDLOCK_ABI &&
           state->calls <= CALLS_MAX && state->cpu_seconds <= INT32_MAX;
}

/* Closes descriptors first to last; one by one if the kernel has no close_range(2) (before 5.9). */
static void close_descriptors(unsigned first, unsigned last)
{
    struct rlimit limits;

    if (first > last || close_range(first, last, 0) == 0 || getrlimit(RLIMIT_NOFILE, &limits) < 0)
        return;
    for (unsigned fd = first; fd <= last && fd < limits.rlim_max; fd++)
        close((int)fd);
}

static bool is_among(int fd, const int *fds, unsigned count)
{
    unsigned i = 0;

    while (i < count && fds[i] != fd)
        i++;
    return i < count;
}

/* Redirects standard input, output and error that are not in keep to /dev/null. */
static void redirect_standard(const int *keep, unsigned count)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        if (!is_among(fd, keep, count))
            dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void sandbox_close_others(const int *keep, unsigned count)
{
    unsigned first = STDERR_FILENO + 1;
    int sorted[SANDBOX_KEPT_MAX];

    memcpy(sorted, keep, count * sizeof *keep);
    qsort(sorted, count, sizeof *sorted, compare_ints);
    for (unsigned i = 0; i < count; i++) {
        unsigned kept = (unsigned)sorted[i];

        if (sorted[i] < 0 || kept < first)
            continue;
        if (kept > first)
            close_descriptors(first, kept - 1);
        first = kept + 1;
    }
    close_descriptors(first, UINT32_MAX);
    redirect_standard(keep, count);
}

void sandbox_exit(enum sandbox_mode mode, int status)
{
    if (mode == SANDBOX_OFF)
        exit(status);
    _exit(status);
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    return mode_names[mode];
}

const char *sandbox_layer_name(enum sandbox_layer layer)
{
    return layers[layer].name;
}

int sandbox_mode_by_name(const char *name)
{
    int mode = 0;

    while (mode < SANDBOX_MODES && strcmp(mode_names[mode], name) != 0)
        mode++;
    return mode < SANDBOX_MODES ? mode : -1;
}
