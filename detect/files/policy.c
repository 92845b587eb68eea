// SPDX-License-Identifier: Apache-2.0
/* The policy's rules, and the resolution of names. The options: policy-options.c. */
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
    DIRECTORY_SAID = 80, /* bytes: the rest of the sentence must fit in a struct reason */
};

/* Where a name leads: a directory, and the name below it. */
struct route {
    int base;
    const char *name;
};

static enum policy_state say(struct reason *why, enum policy_state state, const char *words)
{
    snprintf(why->words, sizeof why->words, "%s", words);
    return state;
}

/* Opens name below base, as a place; flags: O_DIRECTORY or 0. A descriptor or -errno. */
static int resolve(const struct policy *p, int base, const char *name, int flags)
{
    const struct open_how how = {
        .flags = (unsigned)(O_PATH | O_CLOEXEC | flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
                   (p->follow_symlinks ? 0U : RESOLVE_NO_SYMLINKS),
    };
    long fd = -1;

    /* EAGAIN: something was renamed on the way, just now. */
    for (int i = 0; i < RESOLVE_TRIES; i++) {
        fd = syscall(SYS_openat2, base, name, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

/* The place where a file is, which is not opened yet. A descriptor or -errno. */
static int find_place(const struct policy *policy, int base, const char *name)
{
    int place = base < 0 ? open(name, O_PATH | O_CLOEXEC) : resolve(policy, base, name, 0);

    return place < 0 && base < 0 ? -errno : place;
}

int policy_reopen(const struct policy *policy, int base, const char *name, struct stat *st)
{
    int place = find_place(policy, base, name);

    return place < 0 ? place : image_file_reopen(place, policy->blockdev, st);
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

/* The name as a path of this system; what is not one is refused. The name's first use of a colon
 * decides as it does in qemu: before any slash it ends a protocol. */
static enum policy_state take_name(const struct reference *r, char *name, struct reason *why)
{
    if (r->length == 0)
        return say(why, POLICY_REFUSED, "the image does not tell a path");
    if (r->length > POLICY_NAME_BYTES_MAX)
        return say(why, POLICY_REFUSED, "the path is longer than 1023 bytes");
    if (memchr(r->path, '\0', r->length))
        return say(why, POLICY_REFUSED, "the path has a NUL in it");
    memcpy(name, r->path, r->length);
    name[r->length] = '\0';
    if (r->is_windows)
        for (char *c = name; *c; c++)
            *c = *c == '\\' ? '/' : *c;
    if (r->is_windows && ((name[0] && name[1] == ':') || name[0] == '/'))
        return say(why, POLICY_REFUSED, "the path is an absolute one of Windows");
    if (strcspn(name, ":") < strcspn(name, "/"))
        return say(why, POLICY_REFUSED,
                   "the path begins with a protocol (json:, nbd:...), which is never followed");
    return POLICY_GRANTED;
}

/* What of path is below directory: both absolute, compared part by part. NULL: nothing. */
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
 * The directory of policy->under that the path is below, by its names alone; what they lead to the
 * kernel says, which does not let it out of there. Returns whether there is one.
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
 * A name as an absolute one; to be freed. The directory has no links in it, so that the parts with
 * which a name leads up at once can be taken off both; then *leads_up. NULL: out of memory.
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

/* The directory of path as it can be said and typed: "DIR" where it is long, or is of bytes that
 * would have to be escaped. out has DIRECTORY_SAID. */
static const char *say_directory(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash > path ? (size_t)(slash - path) : 1;

    if (length >= DIRECTORY_SAID || escape_text(out, DIRECTORY_SAID, path, length) != length)
        return "DIR";
    return out;
}

/* Finds the option that covers name; path has the absolute name then. Beside its referrer is
 * nothing whose name leads up: that is left to the other options, if they cover it. */
static enum policy_state find_route(const struct policy *p, const struct policy_referrer *from,
                                    size_t n, const char *name, const char *path, bool leads_up,
                                    struct route *route, struct reason *why)
{
    bool is_absolute = name[0] == '/';
    char number[32], directory[DIRECTORY_SAID];

    if ((leads_up || is_absolute || !p->beside) && route_under(p, path, route))
        return POLICY_GRANTED;
    if (p->beside && !is_absolute) {
        *route = (struct route){from->directory_fd, name};
        return POLICY_GRANTED;
    }
    snprintf(number, sizeof number, from->layer ? "%u/%zu" : "%.0u%zu", from->layer, n);
    if (is_absolute || leads_up)
        snprintf(why->words, sizeof why->words, "-o follow=under:%s or -o ref=%s:PATH grants it",
                 is_absolute ? say_directory(path, directory) : "DIR", number);
    else
        snprintf(why->words, sizeof why->words, "-o follow=beside or -o ref=%s:PATH grants it",
                 number);
    return POLICY_NOT_GRANTED;
}

/* What keeps the file that is at place from being taken, in words; NULL: nothing. */
static const char *find_fault(const struct policy *p, const struct policy_referrer *from, int place)
{
    struct stat st;

    if (p->any_owner)
        return NULL;
    if (fstat(place, &st) < 0)
        return strerror(errno);
    if (st.st_uid == from->owner || st.st_uid == 0 || st.st_uid == p->caller)
        return NULL;
    return "it belongs to another user than the image (-o any-owner takes it all the same)";
}

enum policy_state policy_say_error(struct reason *why, int error)
{
    switch (error) {
    case -EXDEV:
        return say(why, POLICY_REFUSED, "the path leads out of the directory that was granted");
    case -ELOOP:
        return say(why, POLICY_REFUSED,
                   "there is a symbolic link in the path (-o follow-symlinks allows those that "
                   "stay in the directory)");
    case -ENOSYS:
        return say(why, POLICY_REFUSED, "this kernel cannot resolve names safely (openat2)");
    case -EISDIR:
    case -ENODEV:
    case -ENOTBLK:
        return say(why, POLICY_REFUSED, image_file_error(error));
    case -ENOENT:
    case -ENOTDIR:
    case -ENAMETOOLONG:
        return say(why, POLICY_MISSING, strerror(-error));
    default:
        return say(why, POLICY_UNREADABLE, strerror(-error));
    }
}

/* Opens what the route leads to. Who names a file with ref= means that one, whoever's it is. 0 or
 * -ENOMEM. */
static int open_route(const struct policy *p, const struct policy_referrer *from,
                      const struct route *route, struct policy_file_found *found)
{
    int place = find_place(p, route->base, route->name);
    const char *fault = place < 0 || route->base < 0 ? NULL : find_fault(p, from, place);

    found->name = strdup(route->name);
    found->base = route->base;
    if (fault || !found->name) {
        if (place >= 0)
            close(place);
        found->state = fault ? say(&found->why, POLICY_REFUSED, fault) : POLICY_MISSING;
        return found->name ? 0 : -ENOMEM;
    }
    found->fd = place < 0 ? place : image_file_reopen(place, p->blockdev, &found->st);
    if (found->fd < 0) {
        found->state = policy_say_error(&found->why, found->fd);
        found->fd = -1;
    }
    return 0;
}

/* The file that ref= names for the reference, or NULL. */
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
        found->state = take_name(reference, name, &found->why);
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
