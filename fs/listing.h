/* SPDX-License-Identifier: Apache-2.0 */
/* READDIR: the entries of a directory. */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include "front.h"

/* Replies to READDIR with the directory's entries from offset on, at most size bytes. */
void listing_reply(fuse_req_t req, struct front *front, const struct inode *directory, size_t size,
                   off_t offset);

#endif
