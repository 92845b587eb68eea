// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel asks, answered from the node table. Sizes: a file whose text is known has its
 * true size; one that must be computed has size 0 until it is opened, OPEN waits for its pass, READ
 * never waits, and just before OPEN is answered the text's last byte is stored in the page cache:
 * that tells the kernel the size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "erofs.h"
#include "front.h"

/* Attributes of what cannot change are the kernel's for so long, seconds. */
#define FOR_LONG 3600.0

enum { FIRST_INO = 1 };

/* A request of the kernel that may have to wait for a pass. */
struct request {
    struct waiter waiter; /* first */
    struct front *front;
    fuse_req_t req;
    struct inode *inode; /* OPEN, OPENDIR */
    const struct node *node;
    struct fuse_file_info fi;
    void (*answer)(struct request *r, int error);
    bool queued, interrupted;
};

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

static void resume(struct waiter *waiter, int error)
{
    struct request *r = (struct request *)waiter;

    fuse_req_interrupt_func(r->req, NULL, NULL);
    r->answer(r, error);
    free(r);
}

/* The caller got a signal. libfuse may call this already while it is being set. */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct request *r = data;

    r->interrupted = true;
    if (!r->queued)
        return;
    jobs_leave(&r->front->jobs, &r->waiter);
    fuse_reply_err(req, EINTR);
    free(r);
}

/* Answers r as soon as what the pass of node says is known: now, or when its job has told. */
static void when_known(const struct node *node, const struct request *r)
{
    struct request *waiting;
    struct request now = *r;

    if (jobs_is_known(&r->front->jobs, node)) {
        now.answer(&now, 0);
        return;
    }
    waiting = malloc(sizeof *waiting);
    if (!waiting) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    *waiting = *r;
    waiting->waiter = (struct waiter){.pass = node->pass, .resume = resume};
    fuse_req_interrupt_func(r->req, on_interrupt, waiting);
    if (waiting->interrupted) {
        fuse_req_interrupt_func(r->req, NULL, NULL);
        fuse_reply_err(r->req, EINTR);
        free(waiting);
        return;
    }
    waiting->queued = true;
    jobs_wait(&r->front->jobs, &waiting->waiter);
}

/* Renders a file that needs no pass. NULL: out of memory. */
static struct result *render_status(struct front *front, const struct node *node)
{
    struct status status = {
        .image = front->image,
        .options = front->options_text,
        .problems = &front->jobs.problems,
        .file_size = (uint64_t)front->image_stat.st_size,
        .disk_size = (uint64_t)front->image_stat.st_blocks * 512,
        .bytes_read = front->jobs.bytes_read,
    };
    struct facts *facts = calloc(1, sizeof *facts);
    struct text text = {.bytes = NULL};
    struct result *result = NULL;

    if (facts) {
        int error;

        facts->status = &status;
        error = node->render(facts, node, &text);
        error = error ? error : text.error;
        result = result_new(error, text.bytes, error ? 0 : text.length);
    }
    text_free(&text);
    free(facts);
    return result;
}

/* The text of a node as far as it is known, with a reference; NULL: not computed. */
static struct result *known_result(struct front *front, const struct node *node)
{
    if (node->pass == PASS_DIRECTORY)
        return NULL;
    if (node->pass == PASS_STATUS)
        return render_status(front, node);
    return result_hold(front->jobs.results[node_index(node)]);
}

/* Fills in the attributes of an inode. Returns how long they hold, seconds. */
static double fill_stat(struct front *front, struct inode *inode, struct stat *st)
{
    const struct options *o = front->options;
    const struct result *result = inode->result;
    bool is_directory = inode->node->pass == PASS_DIRECTORY;

    *st = (struct stat){
        .st_ino = FIRST_INO + node_index(inode->node),
        .st_mode = is_directory ? S_IFDIR | (0555U & ~o->umask) : S_IFREG | (0444U & ~o->umask),
        .st_nlink = is_directory ? 2 : 1,
        .st_uid = o->uid,
        .st_gid = o->gid,
        .st_blksize = 4096,
        .st_atim = front->image_stat.st_mtim,
        .st_mtim = front->image_stat.st_mtim,
        .st_ctim = front->image_stat.st_ctim,
    };
    if (result && !result->error) {
        st->st_size = (off_t)result->length;
        st->st_blocks = (blkcnt_t)((result->length + 511) / 512);
        inode->size_told = true;
    }
    return is_directory || result ? FOR_LONG : 0;
}

/* Starts anew if the image has changed. Directories stay; their time is to be asked for anew. */
static void refresh(struct front *front)
{
    if (!front_refresh(front))
        return;
    for (const struct node *n = nodes; n->path; n++) {
        const struct inode *inode =
            n == nodes ? &front->inodes.root : front->inodes.current[node_index(n)];

        if (n->pass == PASS_DIRECTORY && inode)
            fuse_lowlevel_notify_inval_inode(front->session, ino_of(front, inode), -1, 0);
    }
}

/* The file whose pass tells whether node is there. */
static const struct node *told_by(const struct node *node)
{
    return node->after ? node_by_path(node->after) : node;
}

/* Whether a file is known not to apply to this image, or none in a directory that depends on it. */
static bool is_absent(struct front *front, const struct node *node)
{
    const struct result *result = front->jobs.results[node_index(node)];

    if (node->pass != PASS_DIRECTORY)
        return result && result->error == -ENOENT;
    if (!node->after)
        return false;
    for (const struct node *n = nodes; n->path; n++)
        if (node_is_in(n, node) && !is_absent(front, n))
            return false;
    return true;
}

static void answer_lookup(struct request *r, int error)
{
    struct front *front = r->front;
    struct result *result = known_result(front, r->node);
    struct fuse_entry_param entry = {.ino = 0};
    struct inode *inode;

    /* A job that died is told at open(): the tree can be listed all the same. */
    (void)error;
    if (is_absent(front, r->node)) {
        fuse_reply_err(r->req, ENOENT);
        result_drop(result);
        return;
    }
    inode = inodes_lookup(&front->inodes, r->node, result);
    result_drop(result);
    if (!inode) {
        fuse_reply_err(r->req, ENOMEM);
        return;
    }
    entry.ino = ino_of(front, inode);
    entry.generation = inode->generation;
    entry.attr_timeout = fill_stat(front, inode, &entry.attr);
    /* Most directories never change; a file's name may lead to another text next time. */
    entry.entry_timeout = r->node->pass == PASS_DIRECTORY && !r->node->after ? FOR_LONG : 0;
    if (fuse_reply_entry(r->req, &entry) == -ENOENT)
        inodes_forget(&front->inodes, inode, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct front *front = front_of(req);
    const struct node *node = node_in(inode_of(front, parent)->node, name);
    struct request r = {.front = front, .req = req, .node = node, .answer = answer_lookup};

    if (!node) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    refresh(front);
    if (node->after || node->pass == PASS_HEADER)
        when_known(told_by(node), &r);
    else
        answer_lookup(&r, 0);
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

/* Tells the kernel the size of a file that was 0 when it was looked up, by storing the last byte.
 */
static void tell_size(struct front *front, struct inode *inode)
{
    const struct result *result = inode->result;
    struct fuse_bufvec last = FUSE_BUFVEC_INIT(1);

    if (inode->size_told || result->length == 0)
        return;
    last.buf[0].mem = (char *)(uintptr_t)result->bytes + result->length - 1;
    fuse_lowlevel_notify_store(front->session, ino_of(front, inode), (off_t)result->length - 1,
                               &last, 0);
    inode->size_told = true;
}

static void answer_open(struct request *r, int error)
{
    struct inode *inode = r->inode;
    struct open_file *file;

    if (!error && !inode->result)
        inode->result = known_result(r->front, r->node);
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
    tell_size(r->front, inode);
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
                        .node = inode->node,
                        .fi = *fi,
                        .answer = answer_open};

    if ((fi->flags & O_ACCMODE) != O_RDONLY)
        fuse_reply_err(req, EROFS);
    else if (inode->result)
        answer_open(&r, 0);
    else
        when_known(inode->node, &r);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    const struct result *result = ((const struct open_file *)(uintptr_t)fi->fh)->result;
    size_t start = (size_t)offset < result->length ? (size_t)offset : result->length;
    size_t rest = result->length - start;

    (void)ino;
    fuse_reply_buf(req, result->bytes + start, size < rest ? size : rest);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    inodes_close((struct open_file *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void answer_opendir(struct request *r, int error)
{
    (void)error;
    fuse_reply_open(r->req, &r->fi);
}

/* A listing shows what applies to this image, which the headers tell. */
static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct front *front = front_of(req);
    struct inode *inode = inode_of(front, ino);
    struct request r = {
        .front = front, .req = req, .inode = inode, .fi = *fi, .answer = answer_opendir};
    const struct node *asked = inode->node;

    for (const struct node *n = nodes; n->path; n++)
        if ((n->after || n->pass == PASS_HEADER) && node_is_in(n, inode->node) &&
            told_by(n)->pass > asked->pass)
            asked = told_by(n);
    refresh(front);
    when_known(asked, &r);
}

static bool is_listed(struct front *front, const struct node *node, const struct node *directory)
{
    return node_is_in(node, directory) && !is_absent(front, node);
}

/* Adds an entry whose successor has the offset next. Returns whether it fitted. */
static bool add_entry(fuse_req_t req, char *buffer, size_t size, size_t *used, const char *name,
                      const struct node *node, off_t next)
{
    struct stat st = {
        .st_ino = FIRST_INO + node_index(node),
        .st_mode = node->pass == PASS_DIRECTORY ? S_IFDIR : S_IFREG,
    };
    size_t length = fuse_add_direntry(req, buffer + *used, size - *used, name, &st, next);

    if (length > size - *used)
        return false;
    *used += length;
    return true;
}

/* Offsets: 1 is after ".", 2 after "..", 3 + i after nodes[i]. */
static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    struct front *front = front_of(req);
    const struct node *directory = inode_of(front, ino)->node;
    char *buffer = malloc(size);
    size_t used = 0;
    bool fits = buffer != NULL;

    (void)fi;
    if (!buffer) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (offset < 1)
        fits = add_entry(req, buffer, size, &used, ".", directory, 1);
    if (fits && offset < 2)
        fits = add_entry(req, buffer, size, &used, "..", nodes, 2);
    for (size_t i = offset < 3 ? 0 : (size_t)offset - 2; fits && i < nodes_count(); i++)
        if (is_listed(front, &nodes[i], directory))
            fits =
                add_entry(req, buffer, size, &used, node_name(&nodes[i]), &nodes[i], (off_t)i + 3);
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, 0);
}

/* A number that a file shows, or 0 if it is not known. */
static uint64_t known_number(struct front *front, const char *path)
{
    const struct result *result = front->jobs.results[node_index(node_by_path(path))];
    uint64_t number = 0;

    for (size_t i = 0;
         result && i < result->length && result->bytes[i] >= '0' && result->bytes[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(result->bytes[i] - '0');
    return number;
}

/* How many files and directories are there as far as is known. */
static fsfilcnt_t count_files(struct front *front)
{
    fsfilcnt_t count = 0;

    for (const struct node *n = nodes; n->path; n++)
        count += !is_absent(front, n);
    return count;
}

/* df shows the virtual size and, once it is known, what is allocated of it. */
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
        .f_files = count_files(front),
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
