// SPDX-License-Identifier: Apache-2.0
/*
 * The mount point. /proc/self/mountinfo lists what is mounted where without a request to the
 * mounted file system, which may be dead or slow. But it can be long, and then reading it takes a
 * good part of the time of a mount. So statx(2) is used first, where it returns
 * STATX_ATTR_MOUNT_ROOT.
 */
#include "mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FS_TYPE "fuse.instar"

/* The fields used of one line of mountinfo. */
struct mountinfo {
    char device[32];
    char directory[PATH_MAX];
    char type[64];
};

/* Replaces \ooo in a mountinfo field by the byte, in place. */
static void unescape(char *text)
{
    char *out = text;

    for (const char *p = text; *p; out++) {
        if (p[0] == '\\' && p[1] && p[2] && p[3]) {
            *out = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            p += 4;
        } else {
            *out = *p++;
        }
    }
    *out = '\0';
}

/* Parses "ID PARENT MAJOR:MINOR ROOT DIRECTORY OPTIONS... - TYPE SOURCE SUPER". */
static bool parse_mountinfo(const char *line, struct mountinfo *info)
{
    const char *type = strstr(line, " - ");

    /* Only space, tab, newline and backslash are escaped; other white space is part of a name. */
    if (!type ||
        sscanf(line, "%*[^ ] %*[^ ] %31[^ ] %*[^ ] %4095[^ ]", info->device, info->directory) != 2)
        return false;
    if (sscanf(type + 3, "%63s", info->type) != 1)
        return false;
    unescape(info->directory);
    return true;
}

/* Finds the topmost mount with that directory and device; NULL matches any. Returns whether there
 * is one. */
static bool find_mount(const char *directory, const char *device, struct mountinfo *found)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool any = false;

    while (file && getline(&line, &size, file) > 0) {
        struct mountinfo info;

        if (!parse_mountinfo(line, &info) || (directory && strcmp(info.directory, directory) != 0))
            continue;
        if (device && strcmp(info.device, device) != 0)
            continue;
        *found = info;
        any = true;
    }
    free(line);
    if (file)
        fclose(file);
    return any;
}

/* The attributes of directory that the kernel knows without a request to its file system. If it
 * reports mount points, returns true and sets *is_root. */
static bool statx_cached(const char *directory, struct statx *stx, bool *is_root)
{
    if (statx(AT_FDCWD, directory, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, 0,
              stx) < 0)
        return false;
    *is_root = stx->stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return stx->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT;
}

/* The topmost mount on directory; as find_mount(). */
static bool find_mount_on(const char *directory, struct mountinfo *found)
{
    struct statx stx;
    bool is_root;

    if (statx_cached(directory, &stx, &is_root) && !is_root)
        return false;
    return find_mount(directory, NULL, found);
}

/* Sets device to that of the mount just made on directory; leaves it "" if the mount is gone. */
static void find_device(const char *directory, char *device, size_t size)
{
    struct mountinfo info;
    struct statx stx;
    bool is_root;

    if (statx_cached(directory, &stx, &is_root) && is_root)
        snprintf(device, size, "%u:%u", stx.stx_dev_major, stx.stx_dev_minor);
    else if (find_mount(directory, NULL, &info) && strcmp(info.type, FS_TYPE) == 0)
        snprintf(device, size, "%s", info.device);
}

static bool is_empty(const char *directory)
{
    DIR *dir = opendir(directory);
    int entries = 0;

    while (dir && entries <= 2 && readdir(dir))
        entries++;
    if (dir)
        closedir(dir);
    return entries <= 2;
}

/* Prints why directory cannot be used, by errno. */
static int complain_directory(const char *directory)
{
    if (errno == ENOTCONN)
        complain(
            "cannot mount on '%s': a FUSE mount whose process has ended is there; run: %s '%s'",
            directory, geteuid() ? "fusermount3 -u" : "umount", directory);
    else
        complain("cannot mount on '%s': %s", directory, strerror(errno));
    return EXIT_MOUNT;
}

int mount_check(struct mount *mount, const struct options *options)
{
    struct mountinfo info;
    struct stat st;

    *mount = (struct mount){.device = ""};
    if (stat(options->directory, &st) < 0 || !realpath(options->directory, mount->directory))
        return complain_directory(options->directory);
    if (!S_ISDIR(st.st_mode)) {
        complain("cannot mount on '%s': not a directory", options->directory);
        return EXIT_MOUNT;
    }
    if (find_mount_on(mount->directory, &info) && strcmp(info.type, "autofs") != 0) {
        struct statfs fs;

        /* stat() may have used the cache. */
        if (strcmp(info.type, FS_TYPE) == 0 && statfs(mount->directory, &fs) < 0 &&
            errno == ENOTCONN)
            return complain_directory(options->directory);
        complain("cannot mount on '%s': already a mount point (%s)", options->directory, info.type);
        return EXIT_MOUNT;
    }
    if (!options->nonempty && !is_empty(mount->directory)) {
        complain("cannot mount on '%s': not empty (-o nonempty allows that)", options->directory);
        return EXIT_MOUNT;
    }
    return 0;
}

int mount_arguments(struct fuse_args *args, const struct options *options, const char *source)
{
    char *fsname = NULL, *list = NULL;
    int failed = fuse_opt_add_arg(args, "mount.instar");

    if (asprintf(&fsname, "fsname=%s", source) < 0)
        fsname = NULL;
    failed |= !fsname ||
              fuse_opt_add_opt(&list, "ro,nosuid,nodev,noexec,default_permissions,subtype=instar");
    failed |= !fsname || fuse_opt_add_opt_escaped(&list, fsname);
    if (options->allow_other)
        failed |= fuse_opt_add_opt(&list, "allow_other");
    failed |= fuse_opt_add_arg(args, "-o") || !list || fuse_opt_add_arg(args, list);
    if (options->debug)
        failed |= fuse_opt_add_arg(args, "-d");
    free(fsname);
    free(list);
    if (failed)
        complain("out of memory");
    return failed ? EXIT_SYSTEM : 0;
}

/* Whether fusermount3 is in PATH, or where libfuse looks first. */
static bool has_fusermount(void)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];

    if (access("/usr/bin/fusermount3", X_OK) == 0)
        return true;
    while (path && *path) {
        size_t length = strcspn(path, ":");

        snprintf(file, sizeof file, "%.*s/fusermount3", (int)length, path);
        if (access(file, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

/* Why libfuse could not mount on directory. Root mounts by mount(2), other users by fusermount3. */
static const char *find_mount_fault(const char *directory)
{
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        return "no permission to use /dev/fuse";
    if (geteuid() && !has_fusermount())
        return "fusermount3 is not installed";
    if (geteuid() && access(directory, W_OK) < 0)
        return "no permission to write to the directory";
    return "libfuse failed, for the reason it has printed";
}

int mount_begin(struct mount *mount, struct fuse_session *session)
{
    if (access("/dev/fuse", F_OK) < 0) {
        complain("cannot mount on '%s': /dev/fuse is missing, this system or container has no FUSE",
                 mount->directory);
        return EXIT_MOUNT;
    }
    if (fuse_session_mount(session, mount->directory) < 0) {
        complain("cannot mount on '%s': %s", mount->directory, find_mount_fault(mount->directory));
        return EXIT_MOUNT;
    }
    find_device(mount->directory, mount->device, sizeof mount->device);
    return 0;
}

/* The number in that file; 0 if there is none. */
static unsigned read_setting(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned value = 0;

    if (file && fscanf(file, "%u", &value) != 1)
        value = 0;
    if (file)
        fclose(file);
    return value;
}

unsigned mount_request_timeout(void)
{
    unsigned timeout = read_setting("/proc/sys/fs/fuse/default_request_timeout");
    unsigned maximum = read_setting("/proc/sys/fs/fuse/max_request_timeout");

    return maximum && (!timeout || maximum < timeout) ? maximum : timeout;
}

/* Unmounts by fusermount3, which is set-user-ID root: only root may call umount2(2). */
static void run_fusermount(const char *directory)
{
    pid_t pid = fork();

    if (pid == 0) {
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", directory, (char *)NULL);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

void mount_end(const struct mount *mount)
{
    struct mountinfo info;

    if (!mount->device[0] || !find_mount(NULL, mount->device, &info))
        return;
    if (umount2(info.directory, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        run_fusermount(info.directory);
}

void mount_end_dead(const struct mount *mount)
{
    struct mountinfo info;
    struct statfs st;

    /* statfs() on a new mount keeps it busy for a moment: call it only if there is a mount. */
    if (!find_mount(mount->directory, mount->device, &info))
        return;
    if (statfs(mount->directory, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED))
        mount_end(mount);
}
