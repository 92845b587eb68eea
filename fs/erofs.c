// SPDX-License-Identifier: Apache-2.0
/* Operations that write: each returns EROFS. */
#include "erofs.h"

#include <errno.h>

void erofs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                   struct fuse_file_info *fi)
{
    (void)ino;
    (void)attr;
    (void)to_set;
    (void)fi;
    fuse_reply_err(req, EROFS);
}

void erofs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    (void)parent;
    (void)name;
    (void)mode;
    (void)rdev;
    fuse_reply_err(req, EROFS);
}

void erofs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    erofs_mknod(req, parent, name, mode, 0);
}

void erofs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    erofs_mknod(req, parent, name, 0, 0);
}

void erofs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    erofs_mknod(req, parent, name, 0, 0);
}

void erofs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned flags)
{
    (void)new_parent;
    (void)new_name;
    (void)flags;
    erofs_mknod(req, parent, name, 0, 0);
}

void erofs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    (void)ino;
    erofs_mknod(req, parent, name, 0, 0);
}

void erofs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags)
{
    (void)value;
    (void)size;
    (void)flags;
    erofs_mknod(req, ino, name, 0, 0);
}

void erofs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    erofs_mknod(req, ino, name, 0, 0);
}
