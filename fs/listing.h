/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of directories. */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include "front.h"

/* Answers READDIR with up to size bytes of what is in the directory from offset on. */
void listing_reply(fuse_req_t req, struct front *front, const struct inode *directory, size_t size,
                   off_t offset);

#endif
