/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the kernel that may have to wait: for a pass, or a recheck of the image's name. */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "front.h"

struct request {
    struct waiter waiter; /* first */
    struct front *front;
    fuse_req_t req;
    struct inode *inode; /* OPEN, OPENDIR */
    struct place place;
    struct place needed; /* the file that must be known; no node: none */
    bool is_eager;       /* LOOKUP */
    bool has_rechecked;  /* it has waited for a recheck: once is enough, as storage may hang */
    struct fuse_file_info fi;
    void (*answer)(struct request *r, int error);
    bool is_queued, is_interrupted;
};

/*
 * Calls r->answer as soon as r->needed is known: now, or when its job is done. If the image is gone
 * from its name, the answer also waits for a recheck, as another file may be the image. A client
 * that gets a signal while it waits is answered EINTR. *r is copied.
 */
void request_when_known(const struct request *r);

#endif
