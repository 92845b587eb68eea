/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process that reads hostile bytes, or talks to one that does, gives up before it begins:
 * layers, each of which holds by itself. Nothing that it has open is lost, nothing else can be
 * opened.
 */
#ifndef FS_SANDBOX_SANDBOX_H
#define FS_SANDBOX_SANDBOX_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which layers must be there, or the process does not run. */
enum sandbox_mode {
    SANDBOX_DEFAULT,     /* no_new_privs and seccomp; others where the system has them */
    SANDBOX_REQUIRE,     /* all */
    SANDBOX_BEST_EFFORT, /* none: those that the system has */
    SANDBOX_OFF,         /* none is entered */
    SANDBOX_MODES,
};

/* In the order in which they are entered. */
enum sandbox_layer {
    SANDBOX_USER,         /* root becomes nobody */
    SANDBOX_CAPABILITIES, /* none are left */
    SANDBOX_UNDUMPABLE,   /* no process of the same user may look into it */
    SANDBOX_NO_NEW_PRIVS, /* no program that it could start would give it any */
    SANDBOX_LANDLOCK,     /* no path, no network, no signals */
    SANDBOX_LIMITS,       /* memory, processor, descriptors, files */
    SANDBOX_SECCOMP,      /* few system calls; another one kills it */
    SANDBOX_LAYERS,
};

enum { SANDBOX_KEPT_MAX = 128, SANDBOX_WORDS = 256, SANDBOX_CODE_MAX = 256 };

enum sandbox_kind {
    SANDBOX_JOB,
    SANDBOX_ASKING_JOB, /* for parts, by a socket, by which descriptors come */
    SANDBOX_FRONT,
    SANDBOX_KINDS,
};

/* The system calls that are allowed, as the kernel takes them: made once, for all processes of a
 * kind that are forked afterwards. */
struct sandbox_filter {
    int error;       /* 0, or why there is none */
    uint16_t length; /* of the code, in its elements */
    uint32_t calls;
    struct sock_filter code[SANDBOX_CODE_MAX];
};

/* How those who read an image are to be held. */
struct sandbox_options {
    enum sandbox_mode mode;
    bool has_cpu_limit;
    uint64_t cpu_seconds;                 /* that a job may take, whatever its pass; 0: no limit */
    const struct sandbox_filter *filters; /* by kind, of the kinds that are to enter */
};

/* The process that enters. A job writes to its standard output, and nowhere else. */
struct sandbox_process {
    enum sandbox_kind kind;
    bool keeps_user;                      /* the files are on storage that answers no other user */
    bool writes_files;                    /* its standard error may be one, and that is wanted */
    uint64_t cpu_seconds;                 /* that it may take; 0: no limit */
    const struct sandbox_filter *filters; /* of the options */
};

/* What is in force. */
struct sandbox_state {
    uint32_t layers;       /* a bit for each */
    uint32_t landlock_abi; /* the newest that both sides know */
    uint32_t user;
    uint32_t calls;       /* that are allowed */
    uint32_t cpu_seconds; /* that it may take; 0: no limit was set */
    uint32_t failed; /* the layer that could not be entered and has to be; SANDBOX_LAYERS: none */
    int32_t error;   /* why: -errno */
};

/*
 * Enters the layers that the mode asks for; state tells which are in force. To be called before the
 * first byte of an image, in a process of one thread; there is no way back. Returns 0, or -errno
 * when a layer that has to be there is not.
 */
int sandbox_enter(enum sandbox_mode mode, const struct sandbox_process *process,
                  struct sandbox_state *state);

/* Enters one layer alone. 0 or -errno. */
int sandbox_enter_layer(enum sandbox_layer layer, const struct sandbox_process *process,
                        struct sandbox_state *state);

/* Says which layer was lacking, and why, if sandbox_enter() failed; returns whether it did. */
bool sandbox_tell_lack(const struct sandbox_state *state, char *words, size_t size);

/* Whether another process may have told that: its numbers can be used. */
bool sandbox_state_is_possible(const struct sandbox_state *state);

/* Closes all descriptors but for these, at most SANDBOX_KEPT_MAX (what is negative is none). Those
 * of the standard input, output and error that are not kept lead nowhere. */
void sandbox_close_others(const int *keep, unsigned count);

/* Ends the process: what is called at exit, by sanitizers for one, needs what a sandbox forbids. */
_Noreturn void sandbox_exit(enum sandbox_mode mode, int status);

const char *sandbox_mode_name(enum sandbox_mode mode);
const char *sandbox_layer_name(enum sandbox_layer layer);

/* The mode of that name; -1: there is none. */
int sandbox_mode_by_name(const char *name);

/* Makes the filter of such processes (sandbox-calls.c). */
void sandbox_filter_make(struct sandbox_filter *filter, enum sandbox_kind kind);

/* Enters the last layer. 0 or -errno. */
int sandbox_limit_calls(const struct sandbox_filter *filter);

#endif
