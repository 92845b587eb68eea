/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mount.instar, as a person or mount(8) gives it. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fs/tree/image-options.h"
#include "fs/sandbox/sandbox.h"

/* Exit statuses: those of mount(8). */
enum {
    EXIT_GOOD = 0,
    EXIT_USAGE = 1,  /* wrong invocation or no permission */
    EXIT_SYSTEM = 2, /* out of memory, cannot fork ... */
    EXIT_INTERRUPTED = 8,
    EXIT_MOUNT = 32, /* the mount failed */
};

struct options {
    char *image;     /* as given */
    char *directory; /* as given */
    struct image_options image_options;
    bool allow_other;
    bool nonempty; /* -o nonempty: hide what the directory holds */
    bool has_uid, has_gid;
    unsigned uid, gid, umask;
    struct sandbox_options sandbox;
    unsigned stall_seconds; /* a job that tells nothing for so long is given up; 0: none is */
    bool foreground, debug, verbose, progress;
    bool fake; /* check all, mount nothing */
    bool help, version;
};

/*
 * Parses the arguments, in any order. Returns 0 (free with options_free()), or an exit status after
 * it has said what is wrong in one sentence on stderr.
 */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/* The options in force, as -o takes them: for status/options; to be freed. NULL: out of memory. */
char *options_describe(const struct options *options);

/* Writes the help text to stdout. */
void options_help(void);

/* Says a sentence on stderr, behind the program's name. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
