// SPDX-License-Identifier: Apache-2.0
/*
 * The mount point. /proc/self/mountinfo says what is mounted where; asking the directory itself
 * could wait for a dead or slow file system. But it is long, and costs a good part of the time that
 * a mount takes: where the kernel can tell a mount point by itself, that is asked first.
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

/* One line of mountinfo. */
struct mountinfo {
    char device[32];
    char directory[PATH_MAX];
    char type[64];
};

/* Undoes \ooo in a mountinfo field, in place. */
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

    /* Only space, tab, newline and backslash are escaped: other white space is part of a name. */
    if (!type ||
        sscanf(line, "%*[^ ] %*[^ ] %31[^ ] %*[^ ] %4095[^ ]", info->device, info->directory) != 2)
        return false;
    if (sscanf(type + 3, "%63s", info->type) != 1)
        return false;
    unescape(info->directory);
    return true;
}

/* The topmost mount on directory and with device, of which either may be NULL. Returns whether
 * there is one. */
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

/* What the kernel knows of directory without asking its file system. Returns whether it knows
 * whether that is a mount point; then *is_root says so. */
static bool look_at(const char *directory, struct statx *stx, bool *is_root)
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

    if (look_at(directory, &stx, &is_root) && !is_root)
        return false;
    return find_mount(directory, NULL, found);
}

/* The device of the mount that was just made on directory; "" if it is gone again. */
static void find_device(const char *directory, char *device, size_t size)
{
    struct mountinfo info;
    struct statx stx;
    bool is_root;

    if (look_at(directory, &stx, &is_root) && is_root)
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

static int complain_directory(const char *directory)
{
    if (errno == ENOTCONN)
        complain("'%s' is the mount point of a file system that has died; run: umount '%s' (or: "
                 "fusermount3 -u '%s')",
                 directory, directory, directory);
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

        /* stat() may have been answered from the cache. */
        if (strcmp(info.type, FS_TYPE) == 0 && statfs(mount->directory, &fs) < 0 &&
            errno == ENOTCONN)
            return complain_directory(options->directory);
        complain("'%s' is a mount point already (%s)", options->directory, info.type);
        return EXIT_MOUNT;
    }
    if (!options->nonempty && !is_empty(mount->directory)) {
        complain("'%s' is not empty (-o nonempty mounts all the same)", options->directory);
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

int mount_begin(struct mount *mount, struct fuse_session *session)
{
    if (access("/dev/fuse", F_OK) < 0) {
        complain("/dev/fuse is missing: this machine or container has no FUSE");
        return EXIT_MOUNT;
    }
    if (fuse_session_mount(session, mount->directory) < 0) {
        complain("cannot mount on '%s'%s", mount->directory,
                 geteuid() ? ": is it yours, may you use /dev/fuse, and is fusermount3 installed?"
                           : "");
        return EXIT_MOUNT;
    }
    find_device(mount->directory, mount->device, sizeof mount->device);
    return 0;
}

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
    unsigned usual = read_setting("/proc/sys/fs/fuse/default_request_timeout");
    unsigned most = read_setting("/proc/sys/fs/fuse/max_request_timeout");

    return most && (!usual || most < usual) ? most : usual;
}

/* Runs fusermount3, which may unmount for a user. */
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

    /* Looking at a new mount would keep it busy for a moment: mostly, there is none. */
    if (!find_mount(mount->directory, mount->device, &info))
        return;
    if (statfs(mount->directory, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED))
        mount_end(mount);
}
