/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the files that images name may be opened: none but those that the user grants, and these
 * only below a directory that is named, without links, and read-only. Names are never compared as
 * strings alone: the kernel resolves them below a directory (openat2(2), RESOLVE_BENEATH).
 */
#ifndef DETECT_FILES_POLICY_H
#define DETECT_FILES_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "formats/format.h"

struct reference;

enum {
    POLICY_UNDER_MAX = 16,
    POLICY_FILES_MAX = 64,
    POLICY_DEPTH = 16,            /* images one below the other, if the user does not say */
    POLICY_NAME_BYTES_MAX = 1023, /* qemu's, for most formats */
};

/* A directory below which names are resolved. */
struct policy_directory {
    char *given; /* as the user wrote it */
    char *path;  /* absolute, without links */
    int fd;
};

/* ref=N:PATH, ref=L/N:PATH: reference N of layer L is that file. */
struct policy_file {
    unsigned layer;
    size_t reference;
    char *path;
};

/* What the user allows. All zero: nothing. */
struct policy {
    bool beside;          /* follow=beside */
    bool follow_symlinks; /* links are followed, as long as they stay below the directory */
    bool any_owner;
    bool blockdev;                              /* block devices, too */
    unsigned depth;                             /* 0: POLICY_DEPTH */
    const struct format_driver *backing_format; /* of an image whose format no reference tells */
    size_t under_count, files_count;
    struct policy_directory under[POLICY_UNDER_MAX];
    struct policy_file files[POLICY_FILES_MAX];
    uid_t caller;
};

/*
 * Takes one option: follow=none|beside|under:DIR, ref=[L/]N:PATH, follow-symlinks, any-owner,
 * blockdev, depth=N, backing-format=FMT. 1; 0: it is none of these; -EINVAL: why says what is wrong
 * with it. Paths are kept as absolute ones; a DIR is opened. follow=none takes back every follow=
 * before it.
 */
int policy_take(struct policy *policy, const char *option, struct reason *why);
void policy_end(struct policy *policy);

/* Writes the options in force to out, each behind a comma; what of them has a comma or a backslash
 * has a backslash before it. */
void policy_describe(const struct policy *policy, FILE *out);

/* The file that names others. */
struct policy_referrer {
    unsigned layer;
    const char *directory; /* its directory, absolute, without links */
    int directory_fd;
    uid_t owner; /* of the image */
};

enum policy_state {
    POLICY_NOT_GRANTED, /* no option covers it */
    POLICY_REFUSED,     /* a rule forbids it, whatever it is */
    POLICY_MISSING,     /* it is covered, but there is none */
    POLICY_UNREADABLE,  /* it is covered, but cannot be opened */
    POLICY_GRANTED,
};

/* What became of a reference. */
struct policy_file_found {
    enum policy_state state;
    int fd; /* POLICY_GRANTED: the file, read-only; else -1 */
    struct stat st;
    int base;   /* descriptor of the directory below which it was found; -1: it was named by ref= */
    char *name; /* relative to base, or the path; to be freed */
    struct reason why; /* in the other states */
};

/* Whether ref= names the file of reference n of that layer. */
bool policy_names(const struct policy *policy, unsigned layer, size_t n);

/*
 * Decides on reference number n of a referrer and opens the file if it is granted. Whether a file
 * exists that is not granted changes nothing. 0 or -ENOMEM.
 */
int policy_find(const struct policy *policy, const struct policy_referrer *from, size_t n,
                const struct reference *reference, struct policy_file_found *found);

/* What a file is that is covered by an option and could not be opened for that error, and why. */
enum policy_state policy_say_error(struct reason *why, int error);

/*
 * Opens the directory of what was found so, as a place in which it is looked for what that names. A
 * descriptor, or -errno.
 */
int policy_open_directory(const struct policy *policy, int base, const char *name);

/* Opens again what was found so. A descriptor, or -errno. */
int policy_reopen(const struct policy *policy, int base, const char *name, struct stat *st);

#endif
