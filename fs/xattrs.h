/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of the files and directories of the mount. */
#ifndef FS_XATTRS_H
#define FS_XATTRS_H

#include "front.h"

/*
 * Reply to getxattr(2) and listxattr(2). Only the user. namespace has attributes; for a name in
 * another one the reply is ENOTSUP.
 */
void xattrs_get(fuse_req_t req, const struct inode *inode, const char *name, size_t size);
void xattrs_list(fuse_req_t req, const struct inode *inode, size_t size);

#endif
