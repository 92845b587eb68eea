// SPDX-License-Identifier: Apache-2.0
/* The main function of minimal file systems with one thread. */
#include "serve-ll.h"

#include <stdio.h>

static int serve(struct fuse_session *session, const char *directory)
{
    int status = 1;

    if (fuse_set_signal_handlers(session) != 0)
        return 1;
    if (fuse_session_mount(session, directory) == 0) {
        fuse_daemonize(0);
        status = fuse_session_loop(session) != 0;
        fuse_session_unmount(session);
    }
    fuse_remove_signal_handlers(session);
    return status;
}

int serve_ll(int argc, char **argv, const struct fuse_lowlevel_ops *operations)
{
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session;
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIR\n", argv[0]);
        return 2;
    }
    session = fuse_session_new(&args, operations, sizeof *operations, NULL);
    fuse_opt_free_args(&args);
    if (!session)
        return 1;
    status = serve(session, argv[1]);
    fuse_session_destroy(session);
    return status;
}
