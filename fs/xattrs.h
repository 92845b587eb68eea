/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: what the tree tells besides its files. */
#ifndef FS_XATTRS_H
#define FS_XATTRS_H

#include "front.h"

/* getxattr(2) and listxattr(2): only names of user. are known, of others the kernel need not ask.
 */
void xattrs_get(fuse_req_t req, const struct inode *inode, const char *name, size_t size);
void xattrs_list(fuse_req_t req, const struct inode *inode, size_t size);

#endif
