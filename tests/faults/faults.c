// SPDX-License-Identifier: Apache-2.0
/*
 * A library for LD_PRELOAD in which call number FAULT_AT of the kind FAULT_KIND fails. Calls of all
 * processes of the program are counted together, those of sanitizers not at all. The file
 * FAULT_SEEN is created at that call: if it is missing, the program has made fewer such calls.
 *
 * FAULT_KIND: alloc (ENOMEM), read and write (EIO; also messages), fork (EAGAIN), pipe (EMFILE;
 * also sockets, signalfd and inotify), open (EMFILE; also openat2(2)), short (a read of a file
 * returns one byte), interrupt (EINTR, before anything is read or written), answer (ENOMEM, of a
 * reply to the kernel: its client waits until the mount ends), descriptor (ETOOMANYREFS, of
 * messages that carry a descriptor). Reading requests from the kernel never fails: the kernel sends
 * none after that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* The function of that name in the next library. */
#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static const char *kind = "";
static unsigned long at;
static atomic_ulong *calls; /* shared by all processes */
static bool is_ready;

static bool is_kind(const char *wanted)
{
    return is_ready && strcmp(kind, wanted) == 0;
}

/* Whether this call of the kind is the one that fails. */
static bool fails(const char *wanted)
{
    const char *seen;
    long fd;

    if (!is_kind(wanted) || atomic_fetch_add(calls, 1) + 1 != at)
        return false;
    seen = getenv("FAULT_SEEN");
    if (seen) {
        fd = syscall(SYS_openat, AT_FDCWD, seen, O_WRONLY | O_CREAT, 0600);
        if (fd >= 0)
            syscall(SYS_close, fd);
    }
    return true;
}

/* Returns -1 with that errno if this call is the one that fails. */
#define FAIL_AS(wanted, number)                                                                    \
    if (fails(wanted)) {                                                                           \
        errno = number;                                                                            \
        return -1;                                                                                 \
    }

__attribute__((constructor)) static void begin(void)
{
    void *shared =
        mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED || !getenv("FAULT_KIND") || !getenv("FAULT_AT"))
        return;
    calls = shared;
    kind = getenv("FAULT_KIND");
    at = strtoul(getenv("FAULT_AT"), NULL, 10);
    is_ready = true;
}

/* Memory for dlsym() while it looks up the allocator. */
static void *early(size_t size)
{
    static _Alignas(16) char room[64 << 10];
    static size_t used;
    void *bytes = room + used;

    used += (size + 15) / 16 * 16;
    if (used > sizeof room)
        abort();
    return bytes;
}

static bool is_looking_up; /* the allocator */

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);

static void find_allocator(void)
{
    is_looking_up = true;
    next_calloc = NEXT(calloc);
    next_realloc = NEXT(realloc);
    next_malloc = NEXT(malloc);
    is_looking_up = false;
}

void *malloc(size_t size)
{
    if (is_looking_up)
        return early(size);
    if (!next_malloc)
        find_allocator();
    if (fails("alloc")) {
        errno = ENOMEM;
        return NULL;
    }
    return next_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (is_looking_up)
        return early(count * size); /* it is zero: nothing is freed */
    if (!next_calloc)
        find_allocator();
    if (fails("alloc")) {
        errno = ENOMEM;
        return NULL;
    }
    return next_calloc(count, size);
}

void *realloc(void *bytes, size_t size)
{
    if (!next_realloc)
        find_allocator();
    if (fails("alloc")) {
        errno = ENOMEM;
        return NULL;
    }
    return next_realloc(bytes, size);
}

/* Whether it is /dev/fuse. */
static bool is_fuse(int fd)
{
    struct stat st;

    return syscall(SYS_fstat, fd, &st) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == makedev(10, 229);
}

ssize_t read(int fd, void *bytes, size_t length)
{
    if (is_fuse(fd))
        return NEXT(read)(fd, bytes, length);
    FAIL_AS("read", EIO)
    FAIL_AS("interrupt", EINTR)
    return NEXT(read)(fd, bytes, length);
}

static ssize_t read_at(int fd, void *bytes, size_t length, off_t offset)
{
    FAIL_AS("read", EIO)
    FAIL_AS("interrupt", EINTR)
    return NEXT(pread)(fd, bytes, length > 1 && fails("short") ? 1 : length, offset);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
    return read_at(fd, bytes, length, offset);
}

ssize_t pread64(int fd, void *bytes, size_t length, off_t offset)
{
    return read_at(fd, bytes, length, offset);
}

ssize_t recvmsg(int socket, struct msghdr *message, int flags)
{
    FAIL_AS("read", EIO)
    FAIL_AS("interrupt", EINTR)
    return NEXT(recvmsg)(socket, message, flags);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    FAIL_AS("write", EIO)
    FAIL_AS("interrupt", EINTR)
    return NEXT(write)(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    FAIL_AS("answer", ENOMEM)
    return NEXT(writev)(fd, parts, count);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags)
{
    if (message->msg_controllen)
        FAIL_AS("descriptor", ETOOMANYREFS)
    FAIL_AS("write", EIO)
    FAIL_AS("interrupt", EINTR)
    return NEXT(sendmsg)(socket, message, flags);
}

pid_t fork(void)
{
    FAIL_AS("fork", EAGAIN)
    return NEXT(fork)();
}

int pipe(int fds[2])
{
    FAIL_AS("pipe", EMFILE)
    return NEXT(pipe)(fds);
}

int pipe2(int fds[2], int flags)
{
    FAIL_AS("pipe", EMFILE)
    return NEXT(pipe2)(fds, flags);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    FAIL_AS("pipe", EMFILE)
    return NEXT(socketpair)(domain, type, protocol, fds);
}

int signalfd(int fd, const sigset_t *set, int flags)
{
    FAIL_AS("pipe", EMFILE)
    return NEXT(signalfd)(fd, set, flags);
}

int inotify_init1(int flags)
{
    FAIL_AS("pipe", EMFILE)
    return NEXT(inotify_init1)(flags);
}

/* The mode, which open(2) has only with some flags. */
#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                       \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = va_arg(args, mode_t);                                                               \
        va_end(args);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    FAIL_AS("open", EMFILE)
    return NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    FAIL_AS("open", EMFILE)
    return NEXT(open64)(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags)
    FAIL_AS("open", EMFILE)
    return NEXT(openat)(directory, path, flags, mode);
}

/* The C library has no function for openat2(2). Passes six arguments on, however many there are. */
long syscall(long number, ...)
{
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_openat2)
        FAIL_AS("open", EMFILE)
    return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
