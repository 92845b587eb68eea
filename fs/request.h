/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the kernel that may have to wait: for a pass, or until it is known whether another
 * file has the image's name. */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "front.h"

struct request {
    struct waiter waiter; /* first */
    struct front *front;
    fuse_req_t req;
    struct inode *inode; /* OPEN, OPENDIR */
    struct place place;
    struct place asked; /* what must be known; no node: nothing */
    bool eager;         /* LOOKUP */
    bool has_looked;    /* it has waited for a look; once is enough, if storage hangs */
    struct fuse_file_info fi;
    void (*answer)(struct request *r, int error);
    bool queued, interrupted;
};

/*
 * Calls r->answer as soon as what the pass of r->asked says is known, if something is asked: now,
 * or when its job has told; and not before somebody has looked for another file, if what is known
 * of r->place is of one that is gone. Who gets a signal meanwhile is answered EINTR. *r is copied.
 */
void request_when_known(const struct request *r);

#endif
