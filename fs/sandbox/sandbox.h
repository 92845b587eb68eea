/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of a process that reads hostile bytes, or the output of a process that does. It
 * consists of layers; each is effective without the others. Open descriptors stay usable; nothing
 * else can be opened.
 */
#ifndef FS_SANDBOX_SANDBOX_H
#define FS_SANDBOX_SANDBOX_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which layers are required: if one of these cannot be entered, the process does not run. */
enum sandbox_mode {
    SANDBOX_DEFAULT,     /* no_new_privs and seccomp; the others are entered where available */
    SANDBOX_REQUIRE,     /* all */
    SANDBOX_BEST_EFFORT, /* none; all are entered where available */
    SANDBOX_OFF,         /* none is entered */
    SANDBOX_MODES,
};

/* The layers, in the order in which they are entered. */
enum sandbox_layer {
    SANDBOX_USER,         /* root becomes user 65534 */
    SANDBOX_CAPABILITIES, /* all capabilities are dropped */
    SANDBOX_UNDUMPABLE,   /* other processes of the user cannot trace it or read its memory */
    SANDBOX_NO_NEW_PRIVS, /* execve(2) cannot add privileges */
    SANDBOX_LANDLOCK,     /* no path can be opened, no network, no signals to other processes */
    SANDBOX_LIMITS,       /* resource limits: memory, processor time, descriptors, file size */
    SANDBOX_SECCOMP,      /* few system calls are allowed; any other kills the process */
    SANDBOX_LAYERS,
};

enum { SANDBOX_KEPT_MAX = 128, SANDBOX_WORDS = 256, SANDBOX_CODE_MAX = 256 };

enum sandbox_kind {
    SANDBOX_JOB,
    SANDBOX_ASKING_JOB, /* also receives descriptors of extent files over a socket */
    SANDBOX_FRONT,
    SANDBOX_KINDS,
};

/* The seccomp filter of one kind of process: BPF code, made once, before such processes are forked.
 */
struct sandbox_filter {
    int error;       /* 0; -errno: it could not be made */
    uint16_t length; /* of code, in elements */
    uint32_t calls;  /* number of system calls that are allowed */
    struct sock_filter code[SANDBOX_CODE_MAX];
};

/* The options of the command line. */
struct sandbox_options {
    enum sandbox_mode mode;
    bool has_cpu_limit;
    uint64_t cpu_seconds;                 /* limit for a job of any pass; 0: no limit */
    const struct sandbox_filter *filters; /* by kind; only those that are used need be made */
};

/* The process that enters. A job may write to its standard output, and nowhere else. */
struct sandbox_process {
    enum sandbox_kind kind;
    bool keeps_user;      /* root stays root: the storage of the files replies to no other user */
    bool writes_files;    /* no file size limit: its standard error may be a file */
    uint64_t cpu_seconds; /* limit of processor time; 0: no limit */
    const struct sandbox_filter *filters; /* as in the options */
};

/* The layers in force. */
struct sandbox_state {
    uint32_t layers;       /* bit i: enum sandbox_layer i */
    uint32_t landlock_abi; /* the newest ABI that both the kernel and this program support */
    uint32_t user;
    uint32_t calls;       /* number of system calls that are allowed */
    uint32_t cpu_seconds; /* limit of processor time; 0: none was set */
    uint32_t failed;      /* the required layer that could not be entered; SANDBOX_LAYERS: none */
    int32_t error;        /* -errno of that layer */
};

/*
 * Enters the layers that the mode requires or allows, and sets *state. Call it before the first
 * byte of an image is read, in a process with one thread; it cannot be undone. Returns 0, or -errno
 * if a required layer cannot be entered.
 */
int sandbox_enter(enum sandbox_mode mode, const struct sandbox_process *process,
                  struct sandbox_state *state);

/* Enters one layer, whatever the mode. 0 or -errno. */
int sandbox_enter_layer(enum sandbox_layer layer, const struct sandbox_process *process,
                        struct sandbox_state *state);

/* If sandbox_enter() failed, writes a sentence with the layer and the reason to words, and returns
 * true. size: SANDBOX_WORDS is enough. */
bool sandbox_describe_failure(const struct sandbox_state *state, char *words, size_t size);

/* Whether all values are in range: checks a state that another process has sent. */
bool sandbox_state_is_possible(const struct sandbox_state *state);

/*
 * Closes all descriptors except those in keep, at most SANDBOX_KEPT_MAX; negative ones are ignored.
 * Standard input, output and error that are not kept become /dev/null.
 */
void sandbox_close_others(const int *keep, unsigned count);

/* Ends the process. In a sandbox by _exit(2): exit handlers, such as those of sanitizers, use
 * system calls that it forbids. */
_Noreturn void sandbox_exit(enum sandbox_mode mode, int status);

const char *sandbox_mode_name(enum sandbox_mode mode);
const char *sandbox_layer_name(enum sandbox_layer layer);

/* The mode with that name, or -1. */
int sandbox_mode_by_name(const char *name);

/* Makes the seccomp filter of that kind of process; filter->error is set on failure. */
void sandbox_filter_make(struct sandbox_filter *filter, enum sandbox_kind kind);

/* Enters the last layer, seccomp. 0 or -errno. */
int sandbox_limit_calls(const struct sandbox_filter *filter);

#endif
