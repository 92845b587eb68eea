/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations that write; each replies EROFS. On a read-only mount the kernel refuses them
 * itself: they arrive only after root has remounted it read-write. Contracts: fuse_lowlevel.h.
 */
#ifndef FS_EROFS_H
#define FS_EROFS_H

#include <fuse_lowlevel.h>

void erofs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                   struct fuse_file_info *fi);
void erofs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void erofs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void erofs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void erofs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void erofs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned flags);
void erofs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void erofs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags);
void erofs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
