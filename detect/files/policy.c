// SPDX-License-Identifier: Apache-2.0
/* The rules of the policy, and the resolution of names. Its options: policy-options.c. */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "formats/escape.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "image-file.h"

enum {
    RESOLVE_TRIES = 8,
    DIRECTORY_BYTES = 80, /* of a directory in a message, which must fit in a struct reason */
};

/* A directory, and a name below it. */
struct route {
    int base; /* -1: none, name is a path */
    const char *name;
};

/* Writes the reason and returns the state. */
static enum policy_state because(struct reason *why, enum policy_state state, const char *words)
{
    snprintf(why->words, sizeof why->words, "%s", words);
    return state;
}

/* Opens name below base with O_PATH; flags: O_DIRECTORY or 0. Returns a descriptor or -errno. */
static int resolve(const struct policy *p, int base, const char *name, int flags)
{
    const struct open_how how = {
        .flags = (unsigned)(O_PATH | O_CLOEXEC | flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                   (p->follow_symlinks ? 0U : RESOLVE_NO_SYMLINKS),
    };
    long fd = -1;

    /* EAGAIN: a directory in the path was renamed meanwhile. */
    for (int i = 0; i < RESOLVE_TRIES; i++) {
        fd = syscall(SYS_openat2, base, name, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

/* Finds a file, and opens it with O_PATH. Returns a descriptor or -errno. */
static int find_file(const struct policy *policy, int base, const char *name)
{
    int fd = base < 0 ? open(name, O_PATH | O_CLOEXEC) : resolve(policy, base, name, 0);

    return fd < 0 && base < 0 ? -errno : fd;
}

int policy_reopen(const struct policy *policy, int base, const char *name, struct stat *st)
{
    int fd = find_file(policy, base, name);

    return fd < 0 ? fd : image_file_reopen(fd, policy->blockdev, st);
}

int policy_open_directory(const struct policy *policy, int base, const char *name)
{
    const char *slash = strrchr(name, '/');
    char *directory = slash ? strndup(name, slash == name ? 1 : (size_t)(slash - name)) : NULL;
    const char *path = directory ? directory : ".";
    int fd;

    if (slash && !directory)
        return -ENOMEM;
    if (base < 0) {
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        fd = fd < 0 ? -errno : fd;
    } else {
        fd = resolve(policy, base, path, O_DIRECTORY);
    }
    free(directory);
    return fd;
}

/* Sets name to the reference's path as a path of this system, or refuses it. As in qemu, a colon
 * before the first slash ends a protocol. */
static enum policy_state local_name(const struct reference *r, char *name, struct reason *why)
{
    if (r->length == 0)
        return because(why, POLICY_REFUSED, "the image gives no path");
    if (r->length > POLICY_NAME_BYTES_MAX) {
        snprintf(why->words, sizeof why->words, "the path is longer than %d bytes",
                 POLICY_NAME_BYTES_MAX);
        return POLICY_REFUSED;
    }
    if (memchr(r->path, '\0', r->length))
        return because(why, POLICY_REFUSED, "the path contains a NUL byte");
    memcpy(name, r->path, r->length);
    name[r->length] = '\0';
    if (r->is_windows)
        for (char *c = name; *c; c++)
            *c = *c == '\\' ? '/' : *c;
    if (r->is_windows && ((name[0] && name[1] == ':') || name[0] == '/'))
        return because(why, POLICY_REFUSED, "the path is an absolute Windows path");
    if (strcspn(name, ":") < strcspn(name, "/"))
        return because(why, POLICY_REFUSED,
                       "the path begins with a protocol (json:, nbd:...), which is never followed");
    return POLICY_GRANTED;
}

/* Returns the rest of path below directory, NULL if it is not below. Both are absolute, and
 * compared component by component. */
static const char *below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    while (length && directory[length - 1] == '/')
        length--;
    if (strncmp(path, directory, length) != 0 || (path[length] && path[length] != '/'))
        return NULL;
    path += length;
    while (*path == '/')
        path++;
    return path;
}

/*
 * Finds the granted directory that the path is below, by comparing strings: it only chooses the
 * directory, and the kernel ensures that the name does not lead out of it. Returns whether there is
 * one.
 */
static bool route_under(const struct policy *p, const char *path, struct route *route)
{
    for (size_t i = 0; i < p->under_count; i++) {
        const struct policy_directory *d = &p->under[i];
        const char *name = below(path, d->path);

        if (!name)
            name = below(path, d->given);
        if (name && *name) {
            *route = (struct route){d->fd, name};
            return true;
        }
    }
    return false;
}

/*
 * Returns a name as an absolute path; the caller frees it. Leading "../" components are removed
 * together with the last components of the directory, which contains no links; then *leads_up is
 * set. NULL: out of memory.
 */
static char *make_path(const struct policy_referrer *from, const char *name, bool *leads_up)
{
    const char *directory = from->directory;
    size_t length = strcmp(directory, "/") != 0 ? strlen(directory) : 0;
    char *path;

    *leads_up = false;
    if (name[0] == '/')
        return strdup(name);
    for (;;) {
        if (strncmp(name, "../", 3) == 0) {
            *leads_up = true;
            name += 3;
            while (length && directory[--length] != '/')
                ;
        } else if (strncmp(name, "./", 2) == 0) {
            name += 2;
        } else {
            break;
        }
        name += strspn(name, "/");
    }
    return asprintf(&path, "%.*s/%s", (int)length, directory, name) < 0 ? NULL : path;
}

/* Returns the directory of path for a message that suggests it as an option: in out, which has
 * DIRECTORY_BYTES, or "DIR" if it is too long or would have to be escaped. */
static const char *shown_directory(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash > path ? (size_t)(slash - path) : 1;

    if (length >= DIRECTORY_BYTES || escape_text(out, DIRECTORY_BYTES, path, length) != length)
        return "DIR";
    return out;
}

/* Finds the option that grants name; path is name as an absolute path. follow=beside does not grant
 * a name that leads up, but another option may. */
static enum policy_state find_route(const struct policy *p, const struct policy_referrer *from,
                                    size_t n, const char *name, const char *path, bool leads_up,
                                    struct route *route, struct reason *why)
{
    bool is_absolute = name[0] == '/';
    char number[32], directory[DIRECTORY_BYTES];

    if ((leads_up || is_absolute || !p->beside) && route_under(p, path, route))
        return POLICY_GRANTED;
    if (p->beside && !is_absolute) {
        *route = (struct route){from->directory_fd, name};
        return POLICY_GRANTED;
    }
    snprintf(number, sizeof number, from->layer ? "%u/%zu" : "%.0u%zu", from->layer, n);
    if (is_absolute || leads_up)
        snprintf(why->words, sizeof why->words, "-o follow=under:%s or -o ref=%s:PATH grants it",
                 is_absolute ? shown_directory(path, directory) : "DIR", number);
    else
        snprintf(why->words, sizeof why->words, "-o follow=beside or -o ref=%s:PATH grants it",
                 number);
    return POLICY_NOT_GRANTED;
}

/* Checks the owner of a file. Returns the reason why it is refused; NULL: it is not. */
static const char *check_owner(const struct policy *p, const struct policy_referrer *from, int fd)
{
    struct stat st;

    if (p->any_owner)
        return NULL;
    if (fstat(fd, &st) < 0)
        return strerror(errno);
    if (st.st_uid == from->owner || st.st_uid == 0 || st.st_uid == p->caller)
        return NULL;
    return "its owner is not the owner of the image, the user or root (-o any-owner allows it)";
}

enum policy_state policy_error_state(struct reason *why, int error)
{
    switch (error) {
    case -EXDEV:
        return because(why, POLICY_REFUSED, "the path leads out of the granted directory");
    case -ELOOP:
        return because(
            why, POLICY_REFUSED,
            "the path contains a symbolic link (-o follow-symlinks allows links that stay "
            "in the directory)");
    case -ENOSYS:
        return because(why, POLICY_REFUSED, "this kernel does not have openat2(2)");
    case -EISDIR:
    case -ENODEV:
    case -ENOTBLK:
        return because(why, POLICY_REFUSED, image_file_error(error));
    case -ENOENT:
    case -ENOTDIR:
    case -ENAMETOOLONG:
        return because(why, POLICY_MISSING, strerror(-error));
    default:
        return because(why, POLICY_UNREADABLE, strerror(-error));
    }
}

/* Opens the file at the end of the route. For a file that the user named by ref=, links and owner
 * do not matter. Returns 0 or -ENOMEM. */
static int open_route(const struct policy *p, const struct policy_referrer *from,
                      const struct route *route, struct policy_file_found *found)
{
    int fd = find_file(p, route->base, route->name);
    const char *refusal = fd < 0 || route->base < 0 ? NULL : check_owner(p, from, fd);

    found->name = strdup(route->name);
    found->base = route->base;
    if (refusal || !found->name) {
        if (fd >= 0)
            close(fd);
        found->state = refusal ? because(&found->why, POLICY_REFUSED, refusal) : POLICY_MISSING;
        return found->name ? 0 : -ENOMEM;
    }
    found->fd = fd < 0 ? fd : image_file_reopen(fd, p->blockdev, &found->st);
    if (found->fd < 0) {
        found->state = policy_error_state(&found->why, found->fd);
        found->fd = -1;
    }
    return 0;
}

/* Returns the path that a ref= option gives for the reference, or NULL. */
static const char *named_file(const struct policy *p, unsigned layer, size_t n)
{
    for (size_t i = 0; i < p->files_count; i++)
        if (p->files[i].layer == layer && p->files[i].reference == n)
            return p->files[i].path;
    return NULL;
}

bool policy_names(const struct policy *policy, unsigned layer, size_t n)
{
    return named_file(policy, layer, n) != NULL;
}

int policy_find(const struct policy *policy, const struct policy_referrer *from, size_t n,
                const struct reference *reference, struct policy_file_found *found)
{
    const char *file = named_file(policy, from->layer, n);
    struct route route = {-1, file};
    char name[POLICY_NAME_BYTES_MAX + 1], *path = NULL;
    bool leads_up;
    int error;

    *found = (struct policy_file_found){.fd = -1, .base = -1, .state = POLICY_GRANTED};
    if (!file) {
        found->state = local_name(reference, name, &found->why);
        if (found->state != POLICY_GRANTED)
            return 0;
        path = make_path(from, name, &leads_up);
        if (!path)
            return -ENOMEM;
        found->state = find_route(policy, from, n, name, path, leads_up, &route, &found->why);
    }
    error = found->state == POLICY_GRANTED ? open_route(policy, from, &route, found) : 0;
    free(path);
    return error;
}
