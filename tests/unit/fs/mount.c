// SPDX-License-Identifier: Apache-2.0
/* The mount point, without libfuse mounting: which directories are refused, the arguments for
 * libfuse, and which mounts mount_end() unmounts. */
#include "fs/mount.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/support.h"

static char top[] = "/tmp/test_mount-XXXXXX";
static char message[1024]; /* printed on stderr */
static struct mount mount_;

static int begin(void **state)
{
    (void)state;
    return mkdtemp(top) ? 0 : -1;
}

static int end(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command);
}

static const char *in_top(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

/* mount_check() of the directory; keeps its message. */
static int check(const char *directory, bool nonempty)
{
    struct options o = {.directory = strdup(directory), .nonempty = nonempty};
    int before = dup(STDERR_FILENO), fd = temporary_file("/tmp"), status;
    ssize_t n;

    dup2(fd, STDERR_FILENO);
    status = mount_check(&mount_, &o);
    dup2(before, STDERR_FILENO);
    n = pread(fd, message, sizeof message - 1, 0);
    message[n > 0 ? n : 0] = '\0';
    close(before);
    close(fd);
    free(o.directory);
    return status;
}

static void assert_refused_directory(const char *directory, const char *words)
{
    assert_int_equal(check(directory, false), EXIT_MOUNT);
    if (!strstr(message, words) || !strstr(message, directory) ||
        strchr(message, '\n') != message + strlen(message) - 1)
        fail_msg("%s: \"%s\"", directory, message);
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_top("empty"), 0700), 0);
    assert_int_equal(check(in_top("empty"), false), 0);
    assert_string_equal(message, "");
    assert_string_equal(mount_.directory, in_top("empty"));
    assert_string_equal(mount_.device, "");
    /* Another name for the same directory. */
    assert_int_equal(symlink("empty", in_top("link")), 0);
    assert_int_equal(check(in_top("link/../link/."), false), 0);
    assert_string_equal(mount_.directory, in_top("empty"));
}

static void test_bad(void **state)
{
    FILE *file = fopen(in_top("file"), "w");

    (void)state;
    assert_non_null(file);
    fclose(file);
    assert_refused_directory(in_top("none"), "No such file or directory");
    assert_refused_directory(in_top("file"), "not a directory");
    assert_refused_directory("", "No such file or directory");
    assert_refused_directory("/proc", "mount point (proc)");
    assert_int_equal(check("/proc", true), EXIT_MOUNT);
}

/* One entry more than "." and "..". */
static void test_not_empty(void **state)
{
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(mkdir(in_top("full"), 0700), 0);
    assert_int_equal(mkdir(in_top("full/.hidden"), 0700), 0);
    snprintf(path, sizeof path, "%s", in_top("full"));
    assert_refused_directory(path, "-o nonempty");
    assert_int_equal(check(path, true), 0);
    assert_int_equal(rmdir(in_top("full/.hidden")), 0);
    assert_int_equal(check(path, false), 0);
}

/* White space in a name neither hides a mount point nor makes a directory look like one. */
static void test_names(void **state)
{
    static const char *const list[] = {"a b", "tab\there",  "new\nline", "back\\040slash",
                                       "\v",  "proc - proc"};

    (void)state;
    for (size_t i = 0; i < COUNT(list); i++) {
        assert_int_equal(mkdir(in_top(list[i]), 0700), 0);
        assert_int_equal(check(in_top(list[i]), false), 0);
        assert_string_equal(mount_.directory, in_top(list[i]));
    }
}

static void assert_arguments(const struct options *o, const char *source, const char *list,
                             bool debug)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);

    assert_int_equal(mount_arguments(&args, o, source), 0);
    assert_int_equal(args.argc, debug ? 4 : 3);
    assert_string_equal(args.argv[0], "mount.instar");
    assert_string_equal(args.argv[1], "-o");
    assert_string_equal(args.argv[2], list);
    if (debug)
        assert_string_equal(args.argv[3], "-d");
    fuse_opt_free_args(&args);
}

/* A comma in the source's name must not begin another option. */
static void test_arguments(void **state)
{
    struct options plain = {.image = NULL}, all = {.allow_other = true, .debug = true};

    (void)state;
    assert_arguments(&plain, "/a.img",
                     "ro,nosuid,nodev,noexec,default_permissions,subtype=instar,fsname=/a.img",
                     false);
    assert_arguments(
        &all, "/a.img",
        "ro,nosuid,nodev,noexec,default_permissions,subtype=instar,fsname=/a.img,allow_other",
        true);
    assert_arguments(
        &plain, "/a,suid,b\\c.img",
        "ro,nosuid,nodev,noexec,default_permissions,subtype=instar,fsname=/a\\,suid\\,b\\\\c.img",
        false);
}

/* The device of the topmost file system on a directory, in the form of /proc/self/mountinfo. */
static void device_of(const char *directory, char *device, size_t size)
{
    struct stat st;

    device[0] = '\0';
    if (stat(directory, &st) == 0)
        snprintf(device, size, "%u:%u", major(st.st_dev), minor(st.st_dev));
}

/* Runs in a mount namespace of its own. Returns the line number of the check that failed, or 0. */
static int mount_and_end(const char *directory)
{
    char before[32], below[32];

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("x", directory, "tmpfs", 0, NULL) < 0)
        return __LINE__;
    if (check(directory, true) != EXIT_MOUNT || !strstr(message, "mount point (tmpfs)"))
        return __LINE__;
    device_of(directory, below, sizeof below);
    if (mount("x", directory, "tmpfs", 0, NULL) < 0)
        return __LINE__;
    /* A mount with another device stays. */
    mount_ = (struct mount){.device = ""};
    snprintf(mount_.directory, sizeof mount_.directory, "%s", directory);
    mount_end(&mount_);
    snprintf(mount_.device, sizeof mount_.device, "%s", "999:999");
    mount_end(&mount_);
    device_of(directory, before, sizeof before);
    if (strcmp(before, below) == 0)
        return __LINE__;
    /* A mount that replies stays. */
    snprintf(mount_.device, sizeof mount_.device, "%s", before);
    mount_end_dead(&mount_);
    device_of(directory, before, sizeof before);
    if (strcmp(before, mount_.device) != 0)
        return __LINE__;
    mount_end(&mount_);
    device_of(directory, before, sizeof before);
    return strcmp(before, below) == 0 ? 0 : __LINE__;
}

static void test_mount_points(void **state)
{
    static const char *const list[] = {"mnt", "m n t", "m\tn\nt", "\\040", "m\vn", "x - ext4 y"};

    (void)state;
    if (!runs_as_root())
        skip();
    for (size_t i = 0; i < COUNT(list); i++) {
        int status = 0;
        pid_t pid;

        assert_int_equal(mkdir(in_top(list[i]), 0700), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            _exit(unshare(CLONE_NEWNS) < 0 ? 1 : mount_and_end(in_top(list[i])));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
            skip(); /* root of a container without CAP_SYS_ADMIN */
        if (status)
            fail_msg("\"%s\": failed in line %d (modulo 256)", list[i], WEXITSTATUS(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_not_empty), cmocka_unit_test(test_names),
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_mount_points),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
