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
    struct place asked; /* what it waits for */
    bool eager;         /* LOOKUP */
    struct fuse_file_info fi;
    void (*answer)(struct request *r, int error);
    bool queued, interrupted;
};

/* Whether the answer is to wait until somebody has looked for another file, as what is known of the
 * place is of one that is gone. */
bool request_must_look(const struct request *r);

/*
 * Calls r->answer as soon as what the pass of the place says is known: now, or when its job has
 * told; and not before somebody has looked, if the answer must wait for that. Who gets a signal
 * meanwhile is answered EINTR. *r is copied.
 */
void request_when_known(const struct place *place, const struct request *r);

#endif
