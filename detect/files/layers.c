// SPDX-License-Identifier: Apache-2.0
/* The files of a chain: decides on references, opens files and holds them open. */
#include "layers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/escape.h"
#include "formats/image.h"
#include "formats/reference.h"
#include "image-file.h"

/* Continues an FNV-1a hash with the bytes and their number. */
static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(1099511628211);
    return (hash ^ length) * UINT64_C(1099511628211);
}

/* Returns a hash of what decisions depend on. */
static uint64_t fingerprint_of(const struct reference *references, size_t count)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < count; i++) {
        const struct reference *r = &references[i];

        hash = hash_bytes(hash, r->path, r->length);
        hash = hash_bytes(hash, r->format ? r->format : "", r->format ? strlen(r->format) : 0);
        hash = (hash ^ (unsigned)r->role) * UINT64_C(1099511628211);
    }
    return hash;
}

static void note_storage(struct layers *layers, struct layer *layer)
{
    layer->storage = image_file_storage(layer->fd);
    layers->storage |= layer->storage;
}

int layers_begin(struct layers *layers, const char *path, bool block_devices)
{
    struct layer *layer = &layers->items[0];
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

    *layer = (struct layer){.directory_fd = -1};
    layers->count = 1;
    layer->fd = image_file_open(path, block_devices, &layer->st);
    if (layer->fd >= 0 && directory) {
        layer->path = realpath(path, NULL);
        layer->directory = realpath(directory, NULL);
        layer->directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    free(directory);
    if (layer->fd < 0)
        return layer->fd;
    note_storage(layers, layer);
    return layer->path && layer->directory && layer->directory_fd >= 0 ? 0 : -errno;
}

static void close_directory(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void grant_end(struct grant *grant)
{
    free(grant->why);
    free(grant->resolved);
    free(grant->name);
    if (grant->fd >= 0)
        close(grant->fd);
}

/* Ends a layer that has no grants. */
static void layer_end(struct layer *layer)
{
    free(layer->path);
    free(layer->directory);
    if (layer->fd >= 0)
        close(layer->fd);
    close_directory(&layer->directory_fd);
}

void layers_end(struct layers *layers)
{
    for (unsigned i = 0; i < layers->count; i++) {
        struct layer *layer = &layers->items[i];

        for (size_t n = 0; n < layer->grants_count; n++)
            grant_end(&layer->grants[n]);
        free(layer->grants);
        free(layer->numbers);
        layer_end(layer);
    }
    policy_end(&layers->policy);
    layers->count = 0;
}

/* Returns the path of an open file, from the kernel; NULL: not known. */
static char *path_of(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path);
    return length > 0 && (size_t)length < sizeof path ? strndup(path, (size_t)length) : NULL;
}

/* Sets the state of a reference that is not opened, and the reason. Returns 0 or -ENOMEM. */
static int set_grant(struct grant *grant, enum grant_state state, const char *why)
{
    grant->state = state;
    grant->why = strdup(why);
    return grant->why ? 0 : -ENOMEM;
}

static enum grant_state grant_state_of(enum policy_state state)
{
    switch (state) {
    case POLICY_NOT_GRANTED:
        return GRANT_NONE;
    case POLICY_MISSING:
        return GRANT_MISSING;
    case POLICY_UNREADABLE:
        return GRANT_UNREADABLE;
    default:
        return GRANT_REFUSED;
    }
}

/* Sets the state of a file that was found but has been moved or removed since. */
static int set_grant_error(struct grant *grant, int error)
{
    struct reason why;
    enum policy_state state = policy_error_state(&why, error);

    return set_grant(grant, grant_state_of(state), why.words);
}

/* Whether a file is already a layer. */
static bool is_layer(const struct layers *layers, const struct stat *st)
{
    for (unsigned i = 0; i < layers->count; i++)
        if (image_file_is_same(&layers->items[i].st, st))
            return true;
    return false;
}

/* Returns the number of a data file: that of the first reference to the same file. It is found by a
 * hash, since an image may have thousands of references to a few files. */
static size_t file_number(struct layer *layer, size_t n, const struct stat *st)
{
    uint64_t hash = ((uint64_t)st->st_dev ^ (uint64_t)st->st_ino) * UINT64_C(11400714819323198485);
    size_t slot = hash >> 32 & layer->numbers_mask;

    for (; layer->numbers[slot]; slot = (slot + 1) & layer->numbers_mask)
        if (image_file_is_same(&layer->grants[layer->numbers[slot] - 1].st, st))
            return layer->numbers[slot] - 1;
    layer->numbers[slot] = (uint32_t)n + 1;
    return n;
}

/* Allocates the hash table, with room for twice as many numbers as there are references. Returns 0
 * or -ENOMEM. */
static int begin_numbers(struct layer *layer)
{
    size_t room = 2;

    while (room < 2 * layer->grants_count)
        room *= 2;
    layer->numbers_mask = room - 1;
    layer->numbers = calloc(room, sizeof *layer->numbers);
    return layer->numbers ? 0 : -ENOMEM;
}

/* Holds a data file open, if it is not held yet and there is room. Else it is opened when it is
 * read. */
static void hold_data_file(struct layers *layers, struct layer *layer, size_t n, int fd)
{
    struct grant *grant = &layer->grants[n];

    if (grant->number == n && layers->held_count < LAYERS_DATA_FILES_HELD) {
        grant->fd = fd;
        layers->held[layers->held_count++] = grant;
        return;
    }
    close(fd);
    if (layer->grants[grant->number].fd < 0)
        layers->has_data_files_to_open = true;
}

/* Takes over a data file that was found for reference n. */
static int take_data_file(struct layers *layers, struct layer *layer, size_t n,
                          struct policy_file_found *found)
{
    struct grant *grant = &layer->grants[n];

    grant->st = found->st;
    grant->number = file_number(layer, n, &found->st);
    grant->base = found->base;
    grant->name = found->name;
    found->name = NULL;
    grant->resolved = path_of(found->fd);
    grant->state = GRANT_OPENED;
    if (found->st.st_dev != layer->st.st_dev) /* of thousands, most are on the image's device */
        layers->storage |= image_file_storage(found->fd);
    hold_data_file(layers, layer, n, found->fd);
    return 0;
}

/* Returns the format of a backing image, which is never detected. NULL: *why is the reason. */
static const struct format_driver *format_of(const struct policy *policy,
                                             const struct reference *reference, const char **why)
{
    const struct format_driver *format =
        reference->format ? format_by_name(reference->format) : policy->backing_format;

    if (!format && reference->format)
        *why = "the image names a format that is not known";
    else if (!format)
        *why = "the image does not name its format (-o backing-format=FMT sets it)";
    return format;
}

/* Fills in the layer of a backing image. As in qemu, its relative references are resolved in the
 * directory of its name, also if the name is a link to another directory. Returns 0 or -errno. */
static int begin_layer(const struct policy *policy, struct layer *layer,
                       const struct policy_file_found *found)
{
    *layer = (struct layer){.fd = found->fd, .st = found->st};
    layer->directory_fd = policy_open_directory(policy, found->base, found->name);
    if (layer->directory_fd < 0)
        return layer->directory_fd;
    layer->path = path_of(found->fd);
    layer->directory = path_of(layer->directory_fd);
    return layer->path && layer->directory ? 0 : -ENOMEM;
}

/* Makes a file that was found the next layer. Returns 0 or -errno. */
static int take_layer(struct layers *layers, struct layer *layer, size_t n,
                      const struct reference *reference, struct policy_file_found *found)
{
    struct grant *grant = &layer->grants[n];
    struct layer *next = &layers->items[layers->count];
    const char *why = NULL;
    const struct format_driver *format = format_of(&layers->policy, reference, &why);
    unsigned depth = layers->policy.depth ? layers->policy.depth : POLICY_DEPTH;
    int error;

    if (!why && layers->count >= depth)
        why = "the chain has more images than allowed (-o depth=N)";
    if (why) {
        close(found->fd);
        return set_grant(grant, GRANT_REFUSED, why);
    }
    error = begin_layer(&layers->policy, next, found);
    if (error) {
        layer_end(next);
        return error == -ENOMEM ? error : set_grant_error(grant, error);
    }
    layers->count++;
    note_storage(layers, next);
    next->format = format;
    grant->resolved = next->path ? strdup(next->path) : NULL;
    grant->state = GRANT_OPENED;
    return 0;
}

/* Decides on reference n by the policy, and takes over the file that is found. Returns 0 or
 * -ENOMEM. */
static int apply_policy(struct layers *layers, struct layer *layer, size_t n,
                        const struct reference *reference)
{
    const struct policy_referrer from = {(unsigned)(layer - layers->items), layer->directory,
                                         layer->directory_fd, layers->items[0].st.st_uid};
    struct grant *grant = &layer->grants[n];
    struct policy_file_found found;
    int error = policy_find(&layers->policy, &from, n, reference, &found);

    if (!error && found.state != POLICY_GRANTED) {
        error = set_grant(grant, grant_state_of(found.state), found.why.words);
    } else if (!error && is_layer(layers, &found.st)) {
        close(found.fd);
        error = set_grant(grant, GRANT_REFUSED, "it is the image itself, or an image above it");
    } else if (!error && reference->role == REFERENCE_DATA) {
        error = take_data_file(layers, layer, n, &found);
    } else if (!error) {
        error = take_layer(layers, layer, n, reference, &found);
    }
    free(found.name);
    return error;
}

/* Whether the path of a reference is relative. */
static bool is_relative(const struct reference *r)
{
    if (r->is_windows && r->length > 1 && r->path[1] == ':')
        return false;
    return r->length > 0 && r->path[0] != '/' && r->path[0] != '\\';
}

/* The order in which several paths to one backing image are tried. */
enum rank { RANK_NAMED, RANK_RELATIVE, RANK_OTHERS, RANKS };

static enum rank rank_of(const struct layers *layers, const struct layer *layer, size_t n,
                         const struct reference *r)
{
    if (policy_names(&layers->policy, (unsigned)(layer - layers->items), n))
        return RANK_NAMED;
    return is_relative(r) ? RANK_RELATIVE : RANK_OTHERS;
}

/* Tries the paths of that rank to the backing image, until one is opened: then *done is set. */
static int try_backing(struct layers *layers, struct layer *layer,
                       const struct reference_list *references, enum rank rank, bool *done)
{
    int error = 0;

    for (size_t n = 0; n < references->count && !error; n++) {
        const struct reference *r = &references->items[n];

        if (r->role != REFERENCE_BACKING || rank_of(layers, layer, n, r) != rank)
            continue;
        if (*done)
            error = set_grant(&layer->grants[n], GRANT_UNUSED,
                              "another path to the same image was used");
        else
            error = apply_policy(layers, layer, n, r);
        *done |= layer->grants[n].state == GRANT_OPENED;
    }
    return error;
}

int layers_grant(struct layers *layers, unsigned number, const struct reference_list *references)
{
    struct layer *layer = &layers->items[number];
    bool done = false;
    int error = 0;

    layer->fingerprint = fingerprint_of(references->items, references->count);
    if (!references->count)
        return 0;
    layer->grants = calloc(references->count, sizeof *layer->grants);
    if (!layer->grants)
        return -ENOMEM;
    layer->grants_count = references->count;
    for (size_t n = 0; n < references->count; n++)
        layer->grants[n] = (struct grant){.fd = -1, .base = -1};
    error = begin_numbers(layer);
    for (size_t n = 0; n < references->count && !error; n++) {
        if (references->items[n].role == REFERENCE_DATA)
            error = apply_policy(layers, layer, n, &references->items[n]);
        else if (references->items[n].role == REFERENCE_OTHER)
            error = set_grant(&layer->grants[n], GRANT_UNUSED, "it holds no guest data");
    }
    for (enum rank rank = RANK_NAMED; rank < RANKS && !error; rank++)
        error = try_backing(layers, layer, references, rank, &done);
    return error;
}

const struct grant *layers_grants(const struct layers *layers, unsigned number,
                                  const struct reference *references, size_t count)
{
    const struct layer *layer = &layers->items[number];

    if (count != layer->grants_count || layer->fingerprint != fingerprint_of(references, count))
        return NULL;
    return layer->grants;
}

bool layers_has_reference(const struct layers *layers, unsigned number, size_t reference)
{
    return number < layers->count && reference < layers->items[number].grants_count;
}

int layers_open_data_file(const struct layers *layers, unsigned number, size_t reference)
{
    const struct grant *grant = NULL;
    struct stat st;
    int fd;

    if (layers_has_reference(layers, number, reference))
        grant = &layers->items[number].grants[reference];
    if (!grant || grant->state != GRANT_OPENED || !grant->name)
        return -EACCES;
    fd = policy_reopen(&layers->policy, grant->base, grant->name, &st);
    /* Inode numbers are reused, so compare the owner too: the decision depends on it. */
    if (fd >= 0 && (!image_file_is_same(&st, &grant->st) || st.st_uid != grant->st.st_uid)) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

bool grant_is_lost(const struct grant *grant)
{
    return grant->state == GRANT_MISSING || grant->state == GRANT_UNREADABLE;
}

const char *grant_state_name(enum grant_state state)
{
    static const char *const names[] = {
        [GRANT_NONE] = "not-granted",      [GRANT_REFUSED] = "refused", [GRANT_MISSING] = "missing",
        [GRANT_UNREADABLE] = "unreadable", [GRANT_UNUSED] = "unused",   [GRANT_OPENED] = "granted",
    };

    return names[state];
}

bool layers_advise(const struct layers *layers, unsigned number,
                   const struct reference_list *references, char *out, size_t size)
{
    const struct layer *layer = &layers->items[number];
    size_t first = SIZE_MAX, lacking = 0;
    bool has_backing = false;
    char path[256], count[32] = "";

    for (size_t n = 0; n < layer->grants_count && n < references->count; n++)
        has_backing |= layer->grants[n].state == GRANT_OPENED &&
                       references->items[n].role == REFERENCE_BACKING;
    for (size_t n = 0; n < layer->grants_count && n < references->count; n++) {
        if (layer->grants[n].state >= GRANT_UNUSED ||
            (has_backing && references->items[n].role == REFERENCE_BACKING))
            continue;
        first = first == SIZE_MAX ? n : first;
        lacking++;
    }
    if (!lacking)
        return false;
    escape_text(path, sizeof path, references->items[first].path, references->items[first].length);
    if (lacking > 1)
        snprintf(count, sizeof count, " (one of %zu)", lacking);
    snprintf(out, size, "the %s \"%s\"%s is not opened (%s): %s", references->items[first].kind,
             path, count, grant_state_name(layer->grants[first].state), layer->grants[first].why);
    return true;
}
