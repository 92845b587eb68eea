// SPDX-License-Identifier: Apache-2.0
/*
 * FUSE operations, answered from the node table. Sizes: a file whose text is known has its true
 * size; one that must be computed has size 0 until it is opened. OPEN waits for the pass, READ
 * never waits. Just before OPEN is answered, the text's last byte is stored in the page cache,
 * which sets the size.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "erofs.h"
#include "formats/escape.h"
#include "front.h"
#include "fs/tree/limits.h"
#include "listing.h"
#include "presence.h"
#include "request.h"
#include "status.h"
#include "xattrs.h"

/* The kernel may cache what cannot change for this long, seconds. */
#define FOR_LONG 3600.0

static struct front *front_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static struct inode *inode_of(struct front *front, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? &front->inodes.root : (struct inode *)(uintptr_t)ino;
}

static fuse_ino_t ino_of(struct front *front, const struct inode *inode)
{
    return inode == &front->inodes.root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)inode;
}

/* The text of a place, which the caller holds; NULL: not computed. */
static struct result *known_result(struct front *front, const struct place *place)
{
    if (node_is_directory(place->node))
        return NULL;
    if (place->node->show)
        return status_render(front, place);
    return result_hold(views_result(&front->image.views, place));
}

/* Fills in the attributes of an inode. Returns how long the kernel may cache them, seconds. */
static double fill_stat(struct front *front, struct inode *inode, struct stat *st)
{
    const struct options *o = front->options;
    const struct result *result = inode->result;
    const struct stat *image = &mounted_layer(&front->image, inode->place.view)->st;
    bool is_directory = node_is_directory(inode->place.node);

    *st = (struct stat){
        .st_ino = inode_number(&inode->place, inode->is_eager),
        .st_mode = is_directory ? S_IFDIR | (0555U & ~o->umask) : S_IFREG | (0444U & ~o->umask),
        .st_nlink = is_directory ? 2 : 1,
        .st_uid = o->uid,
        .st_gid = o->gid,
        .st_blksize = 4096,
        .st_atim = image->st_mtim,
        .st_mtim = image->st_mtim,
        .st_ctim = image->st_ctim,
    };
    if (result && !result->error) {
        st->st_size = (off_t)result->length;
        st->st_blocks = (blkcnt_t)((result->length + 511) / 512);
        inode->has_size = true;
    }
    return is_directory || result ? FOR_LONG : 0;
}

/* Begins a new generation if the image has changed. Directories stay, but their times change. */
static void refresh(struct front *front)
{
    if (!front_refresh(front))
        return;
    fuse_lowlevel_notify_inval_inode(front->session, FUSE_ROOT_ID, -1, 0);
    for (size_t i = 0; i < INODE_BUCKETS; i++)
        for (const struct inode *inode = front->inodes.buckets[i]; inode; inode = inode->next)
            if (node_is_directory(inode->place.node))
                fuse_lowlevel_notify_inval_inode(front->session, ino_of(front, inode), -1, 0);
}

static void answer_lookup(struct request *r, int error)
{
    struct front *front = r->front;
    const struct node *node = r->place.node;
    struct result *result = known_result(front, &r->place);
    struct fuse_entry_param entry = {.ino = 0};
    struct inode *inode;

    /* A failed job is an error of open() only, so that the tree can be listed. */
    if (presence_is_absent(&front->image, &r->place)) {
        fuse_reply_err(r->req, error ? -error : ENOENT);
        result_drop(result);
        return;
    }
    inode = inodes_lookup(&front->inodes, &r->place, r->is_eager, result);
    result_drop(result);
    if (!inode) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    entry.ino = ino_of(front, inode);
    entry.generation = inode->generation;
    entry.attr_timeout = fill_stat(front, inode, &entry.attr);
    /* Most directories never change; a file's name may lead to another inode next time. */
    entry.entry_timeout = node_is_directory(node) && !node->after ? FOR_LONG : 0;
    if (fuse_reply_entry(r->req, &entry) == -ENOENT)
        inodes_forget(&front->inodes, inode, 1);
}

/* Reports why a name is refused: in `problems`, and as an extended attribute of the directory. */
static void refuse_name(struct front *front, struct inode *directory, const char *name,
                        const struct reason *why)
{
    struct view *view = views_get(&front->image.views, directory->place.view);
    char path[PLACE_PATH_BYTES], escaped[4 * 256],
        line[sizeof path + sizeof escaped + sizeof *why + 4];

    inode_refuse(directory, why->words);
    if (!view || view->problems.length >= PROBLEMS_REFUSED_MAX)
        return;
    place_path(&directory->place, path);
    escape_text(escaped, sizeof escaped, name, strlen(name));
    snprintf(line, sizeof line, "%s/%s: %s", path, escaped, why->words);
    text_add_lines_once(&view->problems, line, strlen(line));
}

/* Finds the place with that name in the directory. Returns 0 or -errno. */
static int find_place(struct front *front, struct inode *directory, const char *name,
                      struct place *place)
{
    struct reason why = {.words = ""};
    int error;

    if (place_in(&directory->place, name, place))
        return view_exists(place->view, &front->image.layers) ? 0 : -ENOENT;
    if (jobs_set_bytes(&front->jobs) > KEPT_SETS_BYTES)
        front_reclaim_sets(front);
    error = option_sets_place(&front->sets, &directory->place, name, place, &why);
    if (error == -ENOSPC) {
        front_reclaim_sets(front);
        error = option_sets_place(&front->sets, &directory->place, name, place, &why);
    }
    if (error && *why.words)
        refuse_name(front, directory, name, &why);
    return error;
}

/* Whether that is .now/, the unlisted second view of the tree in which a lookup computes. */
static bool is_now(const struct inode *directory, const char *name)
{
    const struct place *place = &directory->place;

    return !place->view && place->node == nodes && !directory->is_eager &&
           strcmp(name, ".now") == 0;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct front *front = front_of(req);
    struct inode *directory = inode_of(front, parent);
    struct request r = {.front = front,
                        .req = req,
                        .answer = answer_lookup,
                        .is_eager = directory->is_eager,
                        .waiter.is_lookup = !directory->is_eager};
    int error = 0;

    refresh(front);
    if (is_now(directory, name)) {
        r.is_eager = true;
        r.place = directory->place;
    } else {
        error = find_place(front, directory, name, &r.place);
    }
    if (error == -ENOENT) { /* there will never be such a name */
        fuse_reply_entry(req, &(struct fuse_entry_param){.entry_timeout = FOR_LONG});
        return;
    }
    if (error) {
        fuse_reply_err(req, -error);
        return;
    }
    if (r.place.node->after || passes[r.place.node->pass].shapes_listings)
        r.needed = presence_decider(&r.place);
    else if (r.is_eager && r.place.node->pass)
        r.needed = r.place;
    request_when_known(&r);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    struct front *front = front_of(req);

    inodes_forget(&front->inodes, inode_of(front, ino), count);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct front *front = front_of(req);

    for (size_t i = 0; i < count; i++)
        inodes_forget(&front->inodes, inode_of(front, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct front *front = front_of(req);
    struct stat st;
    double timeout = fill_stat(front, inode_of(front, ino), &st);

    (void)fi;
    fuse_reply_attr(req, &st, timeout);
}

/* Sets the size of a file in the kernel, 0 since its lookup, by storing the last byte. */
static void send_size(struct front *front, struct inode *inode)
{
    const struct result *result = inode->result;
    struct fuse_bufvec last = FUSE_BUFVEC_INIT(1);

    if (inode->has_size || result->length == 0)
        return;
    last.buf[0].mem = (char *)(uintptr_t)result->bytes + result->length - 1;
    fuse_lowlevel_notify_store(front->session, ino_of(front, inode), (off_t)result->length - 1,
                               &last, 0);
    inode->has_size = true;
}

static void answer_open(struct request *r, int error)
{
    struct inode *inode = r->inode;
    struct open_file *file;

    if (!error && !inode->result)
        inode->result = known_result(r->front, &r->place);
    if (!error && !inode->result)
        error = -EIO;
    if (!error)
        error = inode->result->error;
    if (error) {
        fuse_reply_err(r->req, -error);
        return;
    }
    file = inodes_open(&r->front->inodes, inode->result);
    if (!file) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    send_size(r->front, inode);
    r->fi.fh = (uintptr_t)file;
    r->fi.keep_cache = 1;
    /* -ENOENT: the mount is gone, and no RELEASE will come. */
    if (fuse_reply_open(r->req, &r->fi) == -ENOENT)
        inodes_close(file);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct front *front = front_of(req);
    struct inode *inode = inode_of(front, ino);
    struct request r = {.front = front,
                        .req = req,
                        .inode = inode,
                        .place = inode->place,
                        .needed = inode->place,
                        .fi = *fi,
                        .answer = answer_open};

    if ((fi->flags & O_ACCMODE) != O_RDONLY)
        fuse_reply_err(req, EROFS);
    else if (inode->is_stale)
        fuse_reply_err(req, ESTALE);
    else if (inode->result)
        answer_open(&r, 0);
    else
        request_when_known(&r);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    const struct open_file *file = (const struct open_file *)(uintptr_t)fi->fh;
    size_t length = file ? file->result->length : 0;
    size_t start = (size_t)offset < length ? (size_t)offset : length;
    size_t rest = length - start;

    (void)ino;
    if (!file) /* an answer such as ENOSYS made the kernel stop sending OPEN */
        fuse_reply_err(req, EIO);
    else
        fuse_reply_buf(req, file->result->bytes + start, size < rest ? size : rest);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    if (fi->fh)
        inodes_close((struct open_file *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void answer_opendir(struct request *r, int error)
{
    (void)error;
    fuse_reply_open(r->req, &r->fi);
}

/* A listing has the files that apply to this image, which depends on its headers. */
static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct front *front = front_of(req);
    struct inode *inode = inode_of(front, ino);
    struct request r = {.front = front,
                        .req = req,
                        .inode = inode,
                        .place = inode->place,
                        .needed = presence_listing_decider(&inode->place),
                        .fi = *fi,
                        .answer = answer_opendir,
                        .waiter.is_lookup = !inode->is_eager};

    refresh(front);
    request_when_known(&r);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    struct front *front = front_of(req);

    (void)fi;
    listing_reply(req, front, inode_of(front, ino), size, offset);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, 0);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    xattrs_get(req, inode_of(front_of(req), ino), name, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    xattrs_list(req, inode_of(front_of(req), ino), size);
}

/* The number in a file of the whole image; 0 if it is not known. */
static uint64_t known_number(const struct front *front, const char *path)
{
    const struct place place = {.node = node_by_path(path)};
    const struct result *result = views_result(&front->image.views, &place);

    return result ? result->number : 0;
}

/* df shows the virtual size and, once it is known, the allocated size. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct front *front = front_of(req);
    uint64_t size = known_number(front, "virtual_size"),
             used = known_number(front, "allocated_size");
    struct statvfs st = {
        .f_bsize = 512,
        .f_frsize = 512,
        .f_blocks = size / 512,
        .f_bfree = (size - used) / 512,
        .f_bavail = (size - used) / 512,
        .f_files = presence_count(&front->image),
        .f_namemax = 255,
    };

    (void)ino;
    fuse_reply_statfs(req, &st);
}

const struct fuse_lowlevel_ops front_operations = {
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .release = op_release,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
    .statfs = op_statfs,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setattr = erofs_setattr,
    .mknod = erofs_mknod,
    .mkdir = erofs_mkdir,
    .unlink = erofs_unlink,
    .rmdir = erofs_unlink,
    .symlink = erofs_symlink,
    .rename = erofs_rename,
    .link = erofs_link,
    .setxattr = erofs_setxattr,
    .removexattr = erofs_removexattr,
};
