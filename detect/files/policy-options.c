// SPDX-License-Identifier: Apache-2.0
/* The options of the policy. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/extents.h"
#include "policy.h"

/* Returns the rest of option if it begins with key, else NULL. */
static const char *value_of(const char *option, const char *key)
{
    size_t length = strlen(key);

    return strncmp(option, key, length) == 0 ? option + length : NULL;
}

static int refuse(struct reason *why, const char *option, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct reason *why, const char *option, const char *format, ...)
{
    size_t length = (size_t)snprintf(why->words, sizeof why->words, "%s ", option);
    va_list arguments;

    va_start(arguments, format);
    if (length < sizeof why->words)
        vsnprintf(why->words + length, sizeof why->words - length, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* Returns the path as an absolute one; NULL: out of memory. */
static char *make_absolute(const char *path)
{
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0), *absolute = NULL;

    if (path[0] == '/')
        return strdup(path);
    if (!directory || asprintf(&absolute, "%s/%s", directory, path) < 0)
        absolute = NULL;
    free(directory);
    return absolute;
}

static int take_under(struct policy *p, const char *option, const char *directory,
                      struct reason *why)
{
    struct policy_directory *d = &p->under[p->under_count];

    if (!*directory)
        return refuse(why, option, "names no directory");
    if (p->under_count == POLICY_UNDER_MAX)
        return refuse(why, option, "is one directory more than the limit of %d", POLICY_UNDER_MAX);
    *d = (struct policy_directory){
        .given = make_absolute(directory),
        .path = realpath(directory, NULL),
        .fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC),
    };
    p->under_count++;
    if (d->fd < 0 || !d->path || !d->given) {
        snprintf(why->words, sizeof why->words, "%s: %s", option, strerror(errno));
        return -EINVAL;
    }
    return 1;
}

/* Parses a decimal number of at most `most`, without sign or space. *end: behind it. */
static bool take_number(const char *text, unsigned long most, unsigned long *value, char **end)
{
    *value = strtoul(text, end, 10);
    return *text >= '0' && *text <= '9' && *value <= most;
}

/* [L/]N:PATH */
static int take_file(struct policy *p, const char *option, const char *value, struct reason *why)
{
    struct policy_file *file = &p->files[p->files_count];
    unsigned long layer = 0, reference;
    char *end;
    bool good = take_number(value, UINT32_MAX, &reference, &end);

    if (good && *end == '/') {
        layer = reference;
        good = layer < LAYERS_MAX && take_number(end + 1, UINT32_MAX, &reference, &end);
    }
    if (!good || *end != ':' || !end[1])
        return refuse(why, option, "is not ref=N:PATH or ref=LAYER/N:PATH");
    if (p->files_count == POLICY_FILES_MAX)
        return refuse(why, option, "is one file more than the limit of %d", POLICY_FILES_MAX);
    *file = (struct policy_file){(unsigned)layer, reference, make_absolute(end + 1)};
    p->files_count++;
    return file->path ? 1 : refuse(why, option, "could not be stored: out of memory");
}

static void close_directories(struct policy *p)
{
    for (size_t i = 0; i < p->under_count; i++) {
        free(p->under[i].given);
        free(p->under[i].path);
        if (p->under[i].fd >= 0)
            close(p->under[i].fd);
    }
    p->under_count = 0;
}

/* Cancels earlier follow= options. */
static int take_none(struct policy *p)
{
    p->beside = false;
    close_directories(p);
    return 1;
}

static int take_follow(struct policy *p, const char *option, const char *value, struct reason *why)
{
    const char *directory = value_of(value, "under:");

    if (directory)
        return take_under(p, option, directory, why);
    if (strcmp(value, "none") == 0)
        return take_none(p);
    if (strcmp(value, "beside") != 0)
        return refuse(why, option, "is not none, beside or under:DIR");
    p->beside = true;
    return 1;
}

static int take_format(struct policy *p, const char *option, const char *value, struct reason *why)
{
    p->backing_format = format_by_name(value);
    return p->backing_format ? 1 : refuse(why, option, "is not a known format");
}

static int take_depth(struct policy *p, const char *option, const char *value, struct reason *why)
{
    unsigned long depth;
    char *end;

    if (!take_number(value, LAYERS_MAX, &depth, &end) || *end || !depth)
        return refuse(why, option, "is not a number from 1 to %d", LAYERS_MAX);
    p->depth = (unsigned)depth;
    return 1;
}

/* Returns the flag that an option without a value sets, or NULL. */
static bool *flag_of(struct policy *p, const char *option)
{
    if (strcmp(option, "follow-symlinks") == 0)
        return &p->follow_symlinks;
    if (strcmp(option, "any-owner") == 0)
        return &p->any_owner;
    return strcmp(option, "blockdev") == 0 ? &p->blockdev : NULL;
}

int policy_take(struct policy *policy, const char *option, struct reason *why)
{
    bool *flag = flag_of(policy, option);
    const char *value;

    if (flag) {
        *flag = true;
        return 1;
    }
    if ((value = value_of(option, "follow=")))
        return take_follow(policy, option, value, why);
    if ((value = value_of(option, "ref=")))
        return take_file(policy, option, value, why);
    if ((value = value_of(option, "backing-format=")))
        return take_format(policy, option, value, why);
    if ((value = value_of(option, "depth=")))
        return take_depth(policy, option, value, why);
    return 0;
}

void policy_end(struct policy *policy)
{
    close_directories(policy);
    for (size_t i = 0; i < policy->files_count; i++)
        free(policy->files[i].path);
    *policy = (struct policy){.depth = 0};
}

/* Writes a path with the escapes that -o needs. */
static void write_path(const char *path, FILE *out)
{
    for (; *path; path++) {
        if (*path == ',' || *path == '\\')
            fputc('\\', out);
        fputc(*path, out);
    }
}

void policy_describe(const struct policy *p, FILE *out)
{
    if (p->beside)
        fputs(",follow=beside", out);
    for (size_t i = 0; i < p->under_count; i++) {
        fputs(",follow=under:", out);
        write_path(p->under[i].given, out);
    }
    for (size_t i = 0; i < p->files_count; i++) {
        const struct policy_file *file = &p->files[i];

        fputs(",ref=", out);
        if (file->layer)
            fprintf(out, "%u/", file->layer);
        fprintf(out, "%zu:", file->reference);
        write_path(file->path, out);
    }
    if (p->backing_format)
        fprintf(out, ",backing-format=%s", p->backing_format->name);
    if (p->depth)
        fprintf(out, ",depth=%u", p->depth);
    fputs(p->follow_symlinks ? ",follow-symlinks" : "", out);
    fputs(p->any_owner ? ",any-owner" : "", out);
    fputs(p->blockdev ? ",blockdev" : "", out);
}
