/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mount.instar, as typed or as passed by mount(8). */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fs/sandbox/sandbox.h"
#include "fs/tree/image-options.h"

/* Exit statuses: those of mount(8). */
enum {
    EXIT_GOOD = 0,
    EXIT_USAGE = 1,  /* wrong arguments */
    EXIT_SYSTEM = 2, /* out of memory, fork() failed ... */
    EXIT_INTERRUPTED = 8,
    EXIT_MOUNT = 32, /* the mount failed */
};

struct options {
    char *image;     /* as given */
    char *directory; /* as given */
    struct image_options image_options;
    bool allow_other;
    bool nonempty; /* the directory need not be empty */
    bool has_uid, has_gid;
    unsigned uid, gid, umask;
    struct sandbox_options sandbox;
    unsigned stall_seconds; /* a job without progress for so long is killed; 0: never */
    bool foreground, debug, verbose, progress;
    bool fake; /* mount -f: check everything, do not mount */
    bool help, version;
};

/*
 * Parses the arguments, in any order. Returns 0 (then options_free() frees them), or an exit status
 * after printing what is wrong, in one sentence, on stderr.
 */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/* The options in force, in the syntax of -o, for status/options; to be freed. NULL: out of memory.
 */
char *options_describe(const struct options *options);

/* Writes the help text to stdout. */
void options_help(void);

/* Prints "mount.instar: ", the sentence and a newline on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
