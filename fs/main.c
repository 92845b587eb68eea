// SPDX-License-Identifier: Apache-2.0
/* mount.instar: checks, mounts, goes to the background, and exits when the mount replies. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detect/files/image-file.h"
#include "formats/image.h"
#include "fs/jobs/collect.h"
#include "monitor.h"

/* Opens /dev/null for those of descriptors 0, 1, 2 that are closed, so that no other file gets one
 * of these numbers. Returns whether all three are open. */
static bool open_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

/* Returns 0, or an exit status after printing the reason. */
static int open_image(struct front *front, struct options *o)
{
    int error;

    front->image.layers.policy = o->image_options.policy;
    o->image_options.policy = (struct policy){.depth = 0};
    front->image.layers.policy.caller = getuid();
    front->image.open = o->image_options.open;
    error = layers_begin(&front->image.layers, o->image, front->image.layers.policy.blockdev);
    if (error) {
        complain("cannot open image '%s': %s", o->image, image_file_error(error));
        return EXIT_MOUNT;
    }
    front->image.open.name = strrchr(front->image.layers.items[0].path, '/') + 1;
    return 0;
}

/* Whether a job ended because a required layer of the sandbox failed; then prints which. */
static bool lacks_sandbox(const struct sandbox_state *state)
{
    char words[SANDBOX_WORDS];

    if (!sandbox_describe_failure(state, words, sizeof words))
        return false;
    complain("%s", words);
    return true;
}

/* Prints a line for each ref= that names no reference of any layer. */
static void report_unused(const struct layers *layers)
{
    for (size_t i = 0; i < layers->policy.files_count; i++) {
        const struct policy_file *f = &layers->policy.files[i];

        if (f->layer >= layers->count)
            complain("ref=%u/%zu is not used: there is no layer %u", f->layer, f->reference,
                     f->layer);
        else if (!layers_has_reference(layers, f->layer, f->reference))
            complain("ref=%u/%zu is not used: layer %u has no reference %zu", f->layer,
                     f->reference, f->layer, f->reference);
    }
}

/*
 * Opens the files that the images name and the user grants, and prints a line for each layer that
 * needs one that is not granted. The results of the first header pass are kept in front->known if
 * layer 0 has no references: a pass over the whole chain would give the same.
 */
static int open_references(struct front *front)
{
    char advice[1024];
    int error = 0;

    for (unsigned i = 0; i < front->image.layers.count && !error; i++) {
        struct reference_list references = {.items = NULL};

        error = collect_references(&front->image.layers, i, &front->image.open,
                                   &front->options->sandbox, &references,
                                   i == 0 ? &front->known : NULL);
        if (error == 0 && lacks_sandbox(&front->known.sandbox))
            return EXIT_SYSTEM;
        if (error == 0)
            complain("cannot read the references of layer %u: none of them is opened", i);
        error = error < 0 ? error : 0;
        if (!error)
            error = layers_grant(&front->image.layers, i, &references);
        if (!error && layers_advise(&front->image.layers, i, &references, advice, sizeof advice))
            complain("%s", advice);
        if (references.count)
            collected_end(&front->known);
        reference_list_end(&references);
    }
    if (error)
        complain("cannot open the files that the image names: %s", strerror(-error));
    else
        report_unused(&front->image.layers);
    return error ? EXIT_SYSTEM : 0;
}

/* Mounts. Returns 0, or an exit status after printing the reason. */
static int begin_session(struct front *front, struct mount *mount, const struct options *o)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    int status = mount_arguments(&args, o, front->image.layers.items[0].path);

    if (!status) {
        front->session = fuse_session_new(&args, &front_operations, sizeof front_operations, front);
        if (!front->session) {
            complain("libfuse cannot create a session"); /* it may have printed why */
            status = EXIT_MOUNT;
        }
    }
    if (!status)
        status = mount_begin(mount, front->session);
    fuse_opt_free_args(&args);
    return status;
}

/* Gives the background process a session of its own, and detaches it from the terminal. */
static void leave_terminal(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    if (chdir("/") < 0 || fd < 0)
        return;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* In the foreground process: waits until the mount replies. Returns the exit status. */
static int wait_for_mount(const struct front *front, const struct mount *mount, int ready)
{
    struct stat st;
    char byte;
    ssize_t n;

    do
        n = read(ready, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1 || stat(mount->directory, &st) < 0) {
        complain("cannot mount on '%s': the file system process ended at once", mount->directory);
        return EXIT_MOUNT;
    }
    if (front->options->verbose)
        printf("%s mounted on %s\n", front->image.layers.items[0].path, mount->directory);
    return EXIT_GOOD;
}

/* Whether a signal that ends this program is pending: all are blocked until the mount replies. */
static bool was_interrupted(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
           sigismember(&pending, SIGHUP) || sigismember(&pending, SIGQUIT);
}

static int run_in_background(struct front *front, const struct mount *mount)
{
    int ready[2], status;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        complain("cannot create a process: %s", strerror(errno));
        mount_end(mount);
        return EXIT_SYSTEM;
    }
    if (pid > 0) {
        close(ready[1]);
        close(fuse_session_fd(front->session));
        status = wait_for_mount(front, mount, ready[0]);
        if (!was_interrupted() && status == EXIT_GOOD)
            return status;
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0); /* the monitor unmounts */
        return was_interrupted() ? EXIT_INTERRUPTED : status;
    }
    close(ready[0]);
    leave_terminal();
    return monitor_run(front, mount, ready[1]);
}

/* Makes the filter before processes of that kind are forked: it takes longer than all other layers
 * of the sandbox, and they share it. */
static void make_filter(struct front *front, enum sandbox_kind kind)
{
    if (front->options->sandbox.mode != SANDBOX_OFF)
        sandbox_filter_make(&front->filters[kind], kind);
}

static int run(struct front *front, struct options *o)
{
    struct mount mount;
    int status = open_image(front, o);

    if (!status)
        status = mount_check(&mount, o);
    if (status || o->fake)
        return status;
    o->sandbox.filters = front->filters;
    make_filter(front, SANDBOX_JOB);
    status = open_references(front);
    if (status)
        return status;
    make_filter(front, SANDBOX_FRONT);
    if (front->image.layers.has_data_files_to_open)
        make_filter(front, SANDBOX_ASKING_JOB);
    monitor_block_signals();
    status = begin_session(front, &mount, o);
    if (status)
        return status;
    return o->foreground ? monitor_run(front, &mount, -1) : run_in_background(front, &mount);
}

int main(int argc, char **argv)
{
    struct options options;
    /* Static: the processes that exit without returning here must not be reported as leaking. */
    static struct front front;
    int status;

    if (!open_standard_descriptors()) {
        complain("cannot open /dev/null: %s", strerror(errno));
        return EXIT_SYSTEM;
    }
    nodes_begin();
    status = options_parse(&options, argc, argv);
    if (status)
        return status;
    if (options.help || options.version) {
        if (options.help)
            options_help();
        else
            printf("mount.instar %s\n", VERSION);
        options_free(&options);
        return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_SYSTEM;
    }
    options.uid = options.has_uid ? options.uid : getuid();
    options.gid = options.has_gid ? options.gid : getgid();
    front.request_timeout = mount_request_timeout();
    front.options = &options;
    front.options_text = options_describe(&options);
    if (!front.options_text)
        complain("out of memory");
    status = front.options_text ? run(&front, &options) : EXIT_SYSTEM;
    layers_end(&front.image.layers);
    free(front.options_text);
    options_free(&options);
    return status;
}
