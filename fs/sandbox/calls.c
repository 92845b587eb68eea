// SPDX-License-Identifier: Apache-2.0
/*
 * The seccomp layer: the system calls that are allowed. None of them opens a file, connects, or
 * starts, signals or traces a process; memory is never executable and never a mapped file.
 * statx(2), the only one with a path, must be given image_file_no_path, which is "": by its
 * address, as seccomp cannot read the string. A front under an attacker's control could write
 * another path there, and so read attributes of files by name, but not open them.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "detect/files/image-file.h"
#include "sanitizers.h"

enum { ARGUMENTS = 2 };

/* A system call that is allowed if its arguments match all rules. */
struct call {
    int number;
    unsigned count; /* number of rules */
    struct scmp_arg_cmp rules[ARGUMENTS];
};

#define CALL(name)                                                                                 \
    {                                                                                              \
        .number = SCMP_SYS(name)                                                                   \
    }
#define RULE(argument, compare, a, b)                                                              \
    {                                                                                              \
        argument, SCMP_CMP_##compare, a, b                                                         \
    }

static const struct call common_calls[] = {
    CALL(brk),
    {SCMP_SYS(mmap),
     2,
     {RULE(2, MASKED_EQ, PROT_EXEC, 0), RULE(3, MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)}},
    CALL(mremap),
    CALL(munmap),
    CALL(madvise),
    CALL(lseek),
    CALL(fstat),
    CALL(clock_gettime),
    CALL(restart_syscall),
    CALL(exit_group),
};

static const struct call job_calls[] = {
    CALL(pread64),
    {SCMP_SYS(write), 1, {RULE(0, EQ, STDOUT_FILENO, 0)}},
    {SCMP_SYS(ioctl), 1, {RULE(1, EQ, FS_IOC_FIEMAP, 0)}},
};

/* Jobs that receive descriptors of extent files. */
static const struct call asking_job_calls[] = {CALL(poll), CALL(sendmsg), CALL(recvmsg),
                                               CALL(close)};

static const struct call front_calls[] = {
    CALL(read), /* FUSE requests, inotify events */
    CALL(writev),
    CALL(write), /* the progress bar */
    {SCMP_SYS(ioctl), 1, {RULE(1, EQ, TIOCGWINSZ, 0)}},
    CALL(poll),
    CALL(sendmsg),
    CALL(recvmsg),
    CALL(close),
    {SCMP_SYS(fcntl), 2, {RULE(1, EQ, F_SETFL, 0), RULE(2, EQ, 0, 0)}},
    {SCMP_SYS(fcntl), 2, {RULE(1, EQ, F_SETFL, 0), RULE(2, EQ, O_NONBLOCK, 0)}},
    {SCMP_SYS(fcntl), 1, {RULE(1, EQ, F_OFD_GETLK, 0)}},
    {SCMP_SYS(statx),
     2,
     {RULE(1, EQ, (scmp_datum_t)(uintptr_t)image_file_no_path, 0),
      RULE(2, MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)}},
    CALL(rt_sigreturn), /* from the handler of SIGIO */
};

/* What AddressSanitizer needs to run, and to print its report. */
static const struct call sanitizer_calls[] = {
    CALL(mprotect), CALL(sigaltstack), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(getpid),
    CALL(gettid),   CALL(futex),       CALL(sched_yield),  CALL(write),
};

/* Allows these calls, and adds to *number how many different ones they are (rows of one call are
 * adjacent). 0 or -errno. */
static int allow(scmp_filter_ctx filter, const struct call *calls, size_t count, uint32_t *number)
{
    int error = 0;

    for (size_t i = 0; i < count && !error; i++) {
        error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].number, calls[i].count,
                                       calls[i].rules);
        *number += i == 0 || calls[i].number != calls[i - 1].number;
    }
    return error;
}

#define ALLOW(filter, calls, number) allow(filter, calls, sizeof calls / sizeof *calls, number)

/* Compiles the rules into filter->code. libseccomp writes BPF only to a descriptor. 0 or -errno. */
static int export_code(scmp_filter_ctx rules, struct sandbox_filter *filter)
{
    int ends[2], error = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
    ssize_t bytes;

    if (error)
        return error;
    error = seccomp_export_bpf(rules, ends[1]); /* fits in a pipe's buffer */
    close(ends[1]);
    bytes = read(ends[0], filter->code, sizeof filter->code);
    close(ends[0]);
    if (!error && (bytes <= 0 || bytes == sizeof filter->code))
        error = bytes < 0 ? -errno : bytes ? -E2BIG : -EIO;
    filter->length = error ? 0 : (uint16_t)((size_t)bytes / sizeof *filter->code);
    return error;
}

static int make_filter(scmp_filter_ctx rules, struct sandbox_filter *filter, enum sandbox_kind kind)
{
    uint32_t not_counted = 0;
    int error = ALLOW(rules, common_calls, &filter->calls);

    if (!error && kind != SANDBOX_FRONT)
        error = ALLOW(rules, job_calls, &filter->calls);
    if (!error && kind == SANDBOX_ASKING_JOB)
        error = ALLOW(rules, asking_job_calls, &filter->calls);
    if (!error && kind == SANDBOX_FRONT)
        error = ALLOW(rules, front_calls, &filter->calls);
    if (!error && HAS_SANITIZERS)
        error = ALLOW(rules, sanitizer_calls, &not_counted);
    return error ? error : export_code(rules, filter);
}

void sandbox_filter_make(struct sandbox_filter *filter, enum sandbox_kind kind)
{
    scmp_filter_ctx rules = seccomp_init(SCMP_ACT_KILL_PROCESS);

    *filter = (struct sandbox_filter){.calls = 0};
    filter->error = rules ? make_filter(rules, filter, kind) : -ENOSYS;
    if (rules)
        seccomp_release(rules);
}

int sandbox_limit_calls(const struct sandbox_filter *filter)
{
    const struct sock_fprog program = {.len = filter->length,
                                       .filter = (struct sock_filter *)(uintptr_t)filter->code};

    if (filter->error)
        return filter->error;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}
