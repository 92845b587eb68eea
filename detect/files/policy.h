/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy: which of the files that images name may be opened. Only those that the user grants,
 * and read-only: a file named by ref=, or a file below a granted directory. In a directory, the
 * kernel resolves the name (openat2(2), RESOLVE_BENEATH), so that it cannot lead out; links are
 * refused, unless follow-symlinks is given.
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
    POLICY_DEPTH = 16,            /* default of depth=: images of a chain */
    POLICY_NAME_BYTES_MAX = 1023, /* qemu's limit for most formats */
};

/* follow=under:DIR */
struct policy_directory {
    char *given; /* as the user wrote it, made absolute */
    char *path;  /* absolute, without links */
    int fd;
};

/* ref=N:PATH or ref=LAYER/N:PATH: reference N of that layer is the file PATH. */
struct policy_file {
    unsigned layer;
    size_t reference;
    char *path;
};

/* What the user allows. All zero: nothing. */
struct policy {
    bool beside;          /* follow=beside */
    bool follow_symlinks; /* follow links that stay below the granted directory */
    bool any_owner;
    bool blockdev;                              /* allow block devices */
    unsigned depth;                             /* 0: POLICY_DEPTH */
    const struct format_driver *backing_format; /* where the reference does not give it */
    size_t under_count, files_count;
    struct policy_directory under[POLICY_UNDER_MAX];
    struct policy_file files[POLICY_FILES_MAX];
    uid_t caller; /* the user who mounts */
};

/*
 * Parses one option: follow=none|beside|under:DIR, ref=[LAYER/]N:PATH, follow-symlinks, any-owner,
 * blockdev, depth=N, backing-format=FMT. Paths are made absolute; DIR is opened. follow=none
 * cancels earlier follow= options. Returns 1, 0 (it is none of these) or -EINVAL, with a message in
 * why.
 */
int policy_take(struct policy *policy, const char *option, struct reason *why);
void policy_end(struct policy *policy);

/* Writes the options in force, each with a comma in front; commas and backslashes in paths are
 * escaped by a backslash. */
void policy_describe(const struct policy *policy, FILE *out);

/* The file that has a reference. */
struct policy_referrer {
    unsigned layer;
    const char *directory; /* its directory, absolute, without links */
    int directory_fd;
    uid_t owner; /* of the image */
};

enum policy_state {
    POLICY_NOT_GRANTED, /* no option grants it */
    POLICY_REFUSED,     /* a rule forbids it */
    POLICY_MISSING,     /* granted, but it does not exist */
    POLICY_UNREADABLE,  /* granted, but it cannot be opened */
    POLICY_GRANTED,
};

/* The result for a reference. */
struct policy_file_found {
    enum policy_state state;
    int fd; /* POLICY_GRANTED: the file, read-only; else -1 */
    struct stat st;
    int base;          /* directory below which it was found; -1: named by ref= */
    char *name;        /* relative to base, or a path; the caller frees it */
    struct reason why; /* in all states but POLICY_GRANTED */
};

/* Whether a ref= option names the file of reference n of that layer. */
bool policy_names(const struct policy *policy, unsigned layer, size_t n);

/*
 * Decides on reference n of a file and opens the referenced file if it is granted. The result does
 * not reveal whether a file exists that is not granted. Returns 0 or -ENOMEM.
 */
int policy_find(const struct policy *policy, const struct policy_referrer *from, size_t n,
                const struct reference *reference, struct policy_file_found *found);

/* Returns the state of a granted file that could not be opened because of error, and writes the
 * reason. */
enum policy_state policy_error_state(struct reason *why, int error);

/* Opens the directory of a file that was found, with O_PATH, to resolve the file's references in
 * it. base, name: as found. Returns a descriptor or -errno. */
int policy_open_directory(const struct policy *policy, int base, const char *name);

/* Opens a file that was found again. base, name: as found. Returns a descriptor or -errno. */
int policy_reopen(const struct policy *policy, int base, const char *name, struct stat *st);

#endif
